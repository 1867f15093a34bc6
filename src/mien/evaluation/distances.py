"""How far generated pictures, as a set, are from real ones: on a judge's features, or on Inception's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from torch import Tensor

from mien.abilities import Generates
from mien.applications.basics import batches, generate_batches, reconstruct
from mien.errors import MienError
from mien.evaluation.context import Context, Skipped

KID_LEAST = 50  # pictures a side below which the kernel distance's subsets would be of a handful


def _real(context: Context, index: np.ndarray) -> Iterator[Tensor]:
    return (batch.x for batch in batches(context.run.dataset, index, context.device))


def judge_features(context: Context) -> dict[str, Any] | None:
    """Fréchet and kernel distances, precision and recall on the judge's features.

    Of samples, of reconstructions, and of training pictures against the held-out ones: the floor of the measure.
    """
    from mien.metrics.distributions import measure, names, see_real
    from mien.metrics.feature_networks import of_judge

    if not isinstance(context.model, Generates):
        return None
    if context.judge is None or context.about_judge is None:
        raise Skipped("no judge was given: pass --judge RUN")
    network = of_judge(context.judge, context.about_judge["weights_sha256"])
    test, n = context.test, len(context.test)
    fewest = {"feature_kid": KID_LEAST, "feature_precision_recall": KID_LEAST, "feature_score": KID_LEAST}
    wanted = [name for name in names(network) if n >= fewest.get(name, 2)]
    real = see_real(wanted, network, _real(context, test), n, context.seed, context.note)
    others = np.random.default_rng(context.seed).permutation(context.run.index)
    sides: dict[str, Callable[[int], Any]] = {"samples": lambda n: generate_batches(context.model, n, context.seed)}
    if context.autoencodes:
        sides["reconstructions"] = lambda n: (reconstruct(context.model, x) for x in _real(context, test[:n]))
    if len(others) >= n:
        sides["real_against_real"] = lambda n: _real(context, others[:n])
    result: dict[str, Any] = {"n": n, "features": network.number, "protocol": network.about()}
    for side, pictures in sides.items():
        for name, block in measure(wanted, network, real, n, pictures, context.seed, context.note).items():
            short = name.removeprefix("feature_")
            if short == "fid":
                result[side], result[f"{side}_spread"] = block["value"], block["spread"]
            else:
                kept = {k: v for k, v in block.items() if k not in result["protocol"]}
                result.setdefault(short, {})[side] = kept
    return result


def inception_features(name: str) -> Callable[[Context], dict[str, Any] | None]:
    """Return the measure of a protocol on Inception's features; all that are chosen come of one pass."""

    def taken(context: Context) -> dict[str, Any] | None:
        from mien.metrics.distributions import check, distributions, draw, names
        from mien.metrics.feature_networks import inception

        if not isinstance(context.model, Generates):
            return None
        if name not in context.shared:
            try:
                network = inception(device=context.device)
                index = draw(context.run.index, context.seed)
                wanted = [other for other in context.chosen if other in names(network)]
                check([name], network, len(index))
                wanted = [other for other in wanted if _possible(check, other, network, len(index))]
            except MienError as reason:  # no weights, or too few pictures
                raise Skipped(str(reason)) from None

            def generated(n: int) -> Iterator[Tensor]:
                return generate_batches(context.model, n, context.seed)

            context.shared.update(
                distributions(wanted, network, _real(context, index), len(index), generated, context.seed, context.note)
            )
        return context.shared[name]

    return taken


def _possible(check: Callable[..., Any], name: str, network: Any, n: int) -> bool:
    try:
        check([name], network, n)
    except MienError:
        return False
    return True


def perceptual(name: str) -> Callable[[Context], dict[str, Any] | None]:
    """Return the measure of LPIPS between held-out pictures and their reconstructions."""

    def taken(context: Context) -> dict[str, Any] | None:
        import torch

        from mien.metrics import lpips

        if not context.autoencodes:
            return None
        try:
            network = getattr(lpips, name)(device=context.device)
        except MienError as reason:
            raise Skipped(str(reason)) from None
        values: list[Tensor] = []
        for x in _real(context, context.test):
            values.append(lpips.lpips(x, reconstruct(context.model, x), network).cpu())
            context.note(name, sum(map(len, values)), len(context.test))
        all_ = torch.cat(values).double()
        n = len(all_)
        spread = {"mean": float(all_.mean()), "std": float(all_.std()), "sem": float(all_.std() / n**0.5)}
        return {"n": n, **spread, **network.about()}

    return taken
