"""PSNR, SSIM, squared error and KL divergence of reconstructions of held-out pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mien.evaluation.context import Context, autoencodes
from mien.evaluation.measure import Mean, Measure, Row
from mien.evaluation.record import Record

if TYPE_CHECKING:
    from mien.run.opening import OpenRun

SMALLEST_SSIM = 11  # side of SSIM's window in pixels


@dataclass(frozen=True, kw_only=True)
class Errors(Record):
    """Errors of n reconstructions; SSIM for pictures only, KL for models with a distribution of latents."""

    n: int
    psnr_db: Mean
    ssim: Mean | None = None
    mse: Mean
    kl_nats: Mean | None = None


class Reconstruction(Measure[Errors]):
    """Errors of ``decode(encode(x).mean)``."""

    Result = Errors
    order = 10

    def applies(self, run: OpenRun) -> bool:
        """Return whether the model encodes and decodes."""
        return autoencodes(run)

    def take(self, context: Context) -> Errors:
        """Return the errors of the held-out pictures."""
        import torch

        from mien.applications.basics import BATCH, batches
        from mien.losses import kl
        from mien.metrics.reconstruction import psnr, ssim
        from mien.networks.point import Point

        run, test = context.run, context.test
        scores: dict[str, list[torch.Tensor]] = {"psnr_db": [], "ssim": [], "mse": [], "kl_nats": []}
        with torch.inference_mode():
            for number, batch in enumerate(batches(run.dataset, test, context.device)):
                q = run.model.encode(batch.x)  # type: ignore[operator]
                x_rec = run.model.decode(q.mean)  # type: ignore[operator]
                scores["psnr_db"].append(psnr(batch.x, x_rec).cpu())
                if min(run.dataset.shape[1:]) >= SMALLEST_SSIM:
                    scores["ssim"].append(ssim(batch.x, x_rec).cpu())
                scores["mse"].append((batch.x - x_rec).square().flatten(1).mean(1).cpu())
                if not isinstance(q, Point):
                    scores["kl_nats"].append(kl(q).cpu())
                context.note("reconstruction", min((number + 1) * BATCH, len(test)), len(test))
        return Errors(n=len(test), **{key: Mean.of(torch.cat(values)) for key, values in scores.items() if values})

    def rows(self, result: Errors) -> list[Row]:
        """Return a row for each error."""
        how = f"{result.n:,} held-out pictures; ± deviation over pictures"
        rows = [result.psnr_db.row("PSNR (dB)", how, 2, "up")]
        if result.ssim:
            rows.append(result.ssim.row("SSIM", how, 3, "up"))
        rows.append(result.mse.row("MSE in [-1, 1]", how, 4, "down"))
        if result.kl_nats:
            rows.append(result.kl_nats.row("KL (nats)", how, 1, None))
        return rows
