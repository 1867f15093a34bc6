"""Held-out pictures during training: sample sheets, and the signs of a collapsed posterior."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from torch import Tensor

from mien import losses
from mien.abilities import Decodes, Edits, Encodes, Generates
from mien.data.batch import Batch
from mien.data.pictures import from_float, save_picture, waveforms
from mien.models.base import Model
from mien.networks.point import Point

WATCHED = 32  # held-out pictures that are measured; half of them are shown
KL_FLOOR = 0.5  # nats: below, the posterior carries less than one bit about a picture
DIVERSITY_FLOOR = 0.05  # spread of reconstructions over spread of pictures


@dataclass
class Findings:
    """Values for the log, and the description of a problem; empty without one."""

    values: dict[str, float] = field(default_factory=dict)
    problem: str = ""


def watch(model: Model, batch: Batch) -> tuple[list[Tensor], Findings]:
    """Return rows of pictures (n, C, H, W) to show, and the findings on the pictures of ``batch``.

    A posterior has collapsed when it carries no information about the picture (KL near zero) or when
    every reconstruction is the same picture.
    """
    rows: list[Tensor] = []
    findings = Findings()
    shown = len(batch) // 2 or len(batch)
    if isinstance(model, Encodes) and isinstance(model, Decodes):
        q = model.encode(batch.x)
        x_rec = model.decode(q.mean)
        rows += [batch.x[:shown], x_rec[:shown]]
        spread = float(x_rec.std(0).mean() / batch.x.std(0).mean().clamp(min=1e-6))
        findings.values = {
            "held_out_diversity": spread,
            "held_out_mse": float((x_rec - batch.x).square().mean()),
        }
        kl = math.inf
        if not isinstance(q, Point):  # a point has no divergence
            findings.values["held_out_kl"] = kl = float(losses.kl(q).mean())
        if kl < KL_FLOOR:
            findings.problem = (
                f"the posterior carries {kl:.2g} nats about a picture (held-out KL; expected above {KL_FLOOR}): "
                "raise the weight of the reconstruction (--set beta=… or pair_loss=…, or a smaller sigma=…), or lower "
                "alpha"
            )
        elif spread < DIVERSITY_FLOOR:
            findings.problem = (
                f"all reconstructions look alike (spread {spread:.2g} of the pictures', "
                f"expected above {DIVERSITY_FLOOR})"
            )
    elif isinstance(model, Edits):
        rows.append(batch.x[:shown])
        for amount in (1.0, -1.0):
            edited = model.edit(batch.x, {model.editable[0]: amount})
            rows.append(edited[:shown])
            findings.values[f"held_out_change_{amount:+.0f}"] = float((edited - batch.x).abs().mean())
    if isinstance(model, Generates):
        rows.append(model.generate(shown, seed=0))
    return rows, findings


def write_sheet(path: Path, rows: list[Tensor]) -> None:
    """Write rows of pictures (n, C, H, W) in [-1, 1] as one PNG, with a thin white line between pictures."""
    lines = []
    for row in rows:
        x = row.float().cpu().numpy()
        pictures = from_float(waveforms(x) if x.shape[2] == 1 else x)  # (n, H, W, C)
        padded = np.pad(pictures, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=255)
        lines.append(np.concatenate(list(padded), axis=1))
    sheet = np.concatenate(lines)
    save_picture(np.repeat(sheet, 3, axis=2) if sheet.shape[2] == 1 else sheet, path)
