"""Success of edits, measured by a judge, and by the true counterfactual if it is known.

Protocol: on held-out pictures, each attribute is added to pictures without it and removed from pictures with it, by
the amount 1. An edit succeeds if the probability of the judge is on the requested side of 0.5 afterwards. Leakage is
the share of the *other* attributes whose prediction differs between the edit and the plain reconstruction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Editor = Callable[[Tensor, str, float], Tensor]
Judge = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class EditScores:
    """Scores of one attribute over n pictures."""

    attribute: str
    success: float
    unedited: float  # the share that is on the asked side already in the plain reconstruction
    leakage: float
    n: int
    added: float | None  # success where it was to be added, None if nowhere
    added_n: int
    removed: float | None
    removed_n: int


def edit_accuracy(
    edit: Editor, judge: Judge, x: Tensor, attributes: Tensor, seen: Tensor, attribute: str, names: tuple[str, ...]
) -> EditScores:
    """Return how often the judge sees the edit of ``attribute``.

    Args:
        edit: (pictures, attribute, amount) → pictures.
        judge: pictures → probabilities (B, A), in the order of ``names``.
        x: pictures (B, C, H, W); attributes: (B, A) of ±1.
        seen: what the judge says of the plain reconstructions of ``x``, probabilities (B, A); the same for
            every attribute, hence made once by the caller.
    """
    a = names.index(attribute)
    before, after, targets = [], [], []
    for sign in (1, -1):
        rows = attributes[:, a] == -sign
        if rows.any():
            before.append(seen[rows] > 0.5)
            after.append(judge(edit(x[rows], attribute, float(sign))) > 0.5)
            targets.append(torch.full((int(rows.sum()),), sign > 0))
    plain, edited, target = torch.cat(before).cpu(), torch.cat(after).cpu(), torch.cat(targets)
    others = torch.arange(len(names)) != a
    right = edited[:, a] == target

    def share(rows: Tensor) -> float | None:
        return float(right[rows].float().mean()) if rows.any() else None

    return EditScores(
        attribute,
        success=float(right.float().mean()),
        unedited=float((plain[:, a] == target).float().mean()),
        leakage=float((edited[:, others] != plain[:, others]).float().mean()),
        n=len(target),
        added=share(target),
        added_n=int(target.sum()),
        removed=share(~target),
        removed_n=int((~target).sum()),
    )


CHANGED = 0.05  # a pixel belongs to the true change when it differs by more than this, in [-1, 1]


@dataclass(frozen=True)
class CounterfactualScores:
    """Mean absolute distances, in [-1, 1], to the true counterfactuals of one attribute over n pictures.

    ``edited``, ``unedited`` and ``bound`` are measured on the pixels that the true change touches: of the
    edit, of the plain reconstruction (doing nothing), and of the reconstruction of the true counterfactual
    (as near as the model can come). ``elsewhere`` is the edit's distance on all other pixels.
    """

    attribute: str
    edited: float
    unedited: float
    bound: float
    elsewhere: float
    n: int


def counterfactual_distance(
    x: Tensor, edited: Tensor, unedited: Tensor, truth: Tensor, bound: Tensor, attribute: str
) -> CounterfactualScores:
    """Return how far edits are from the truth; all pictures (B, C, H, W) in [-1, 1], in the same order.

    Args:
        x: the pictures before; truth: the same with the attribute really changed.
        edited, unedited: the edit and the plain reconstruction of ``x``; bound: the reconstruction of ``truth``.
    """
    changed = ((truth - x).abs().amax(1, keepdim=True) > CHANGED).expand_as(x)  # (B, C, H, W)

    def distance(pictures: Tensor, where: Tensor) -> float:
        off = ((pictures - truth).abs() * where).flatten(1).sum(1)
        return float((off / where.flatten(1).sum(1).clamp(min=1)).mean())

    return CounterfactualScores(
        attribute,
        distance(edited, changed),
        distance(unedited, changed),
        distance(bound, changed),
        distance(edited, ~changed),
        len(x),
    )
