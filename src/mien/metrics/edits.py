"""Success of edits, measured by a judge against what the judge finds in real pictures, and by the true counterfactual.

Protocol: on held-out pictures, each attribute is added to pictures without it and removed from pictures with it, by one
amount. An edit succeeds if the judge's probability is on the requested side of the attribute's threshold afterwards.
Leakage is the share of the *other* attributes whose decision differs between the edit and the plain reconstruction.

No judge finds every attribute in real pictures, so 100 % is out of reach for a perfect editor. The ceiling is the
share that the judge finds in real pictures, and the gain is (success − unedited) / (ceiling − unedited): 0 for doing
nothing, 1 for edits that the judge cannot tell from real pictures. Gains are not clipped: a judge may find an
exaggerated attribute more often than a real one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Editor = Callable[[Tensor, str, float], Tensor]
Judge = Callable[[Tensor], Tensor]

FEWEST = 5  # pictures with an attribute, and pictures without it, for a threshold of its own
DEFAULT = 0.5  # the threshold of other attributes
FLOOR = 0.2  # the smallest (ceiling − unedited) of an attribute in the mean gain
ENOUGH = 0.95  # the chosen amount reaches this share of the best score


@dataclass(frozen=True)
class EditScores:
    """Scores of one attribute over n pictures; None stands for an absent kind of pictures.

    Attributes:
        success: share of edits that the judge recognizes, the mean of adding and removing.
        unedited: the same share for the plain reconstructions, the mean of adding and removing.
        leakage: share of the other attributes whose decision an edit changes.
        added, removed: success of adding it to added_n pictures and of removing it from removed_n pictures.
        unedited_added, unedited_removed: the same for the plain reconstructions.
    """

    attribute: str
    success: float
    unedited: float
    leakage: float
    n: int
    added: float | None
    added_n: int
    removed: float | None
    removed_n: int
    unedited_added: float | None
    unedited_removed: float | None


def edit_accuracy(
    edit: Editor,
    judge: Judge,
    x: Tensor,
    attributes: Tensor,
    unedited: Tensor,
    attribute: str,
    names: tuple[str, ...],
    thresholds: Tensor | float = DEFAULT,
    amount: float = 1.0,
) -> EditScores:
    """Return how often the judge recognizes the edit of ``attribute``.

    Args:
        edit: (pictures, attribute, amount) → pictures.
        judge: pictures → probabilities (B, A), in the order of ``names``.
        x: what ``edit`` takes: pictures (B, C, H, W), or their latents (B, K).
        attributes: (B, A) of ±1, 0 where not known.
        unedited: the judge's probabilities (B, A) for the plain reconstructions of ``x``. They are the same for every
            attribute, so the caller computes them once.
        thresholds: (A,), or one for all: an attribute is recognized if its probability is above.
        amount: above 0; the edit adds by it and removes by its negative.
    """
    a = names.index(attribute)
    limits = torch.as_tensor(thresholds, dtype=unedited.dtype, device=unedited.device)
    before, after, targets = [], [], []
    for sign in (1, -1):
        rows = attributes[:, a] == -sign
        if rows.any():
            before.append(unedited[rows] > limits)
            after.append(judge(edit(x[rows], attribute, sign * amount)) > limits)
            targets.append(torch.full((int(rows.sum()),), sign > 0))
    plain, edited, target = torch.cat(before).cpu(), torch.cat(after).cpu(), torch.cat(targets)
    others = torch.arange(len(names)) != a

    def shares(decisions: Tensor) -> tuple[float | None, float | None]:
        right = decisions[:, a] == target
        return _share(right[target]), _share(right[~target])

    added, removed = shares(edited)
    unedited_added, unedited_removed = shares(plain)
    return EditScores(
        attribute,
        success=_mean(added, removed),
        unedited=_mean(unedited_added, unedited_removed),
        leakage=float((edited[:, others] != plain[:, others]).float().mean()),
        n=len(target),
        added=added,
        added_n=int(target.sum()),
        removed=removed,
        removed_n=int((~target).sum()),
        unedited_added=unedited_added,
        unedited_removed=unedited_removed,
    )


@dataclass(frozen=True)
class Thresholds:
    """The judge's threshold of each attribute, ``values`` (A,), and the positions of those that fell back to 0.5."""

    values: Tensor
    fallback: tuple[int, ...]


def thresholds(probabilities: Tensor, attributes: Tensor) -> Thresholds:
    """Return for each attribute the threshold that maximizes the judge's balanced accuracy on real pictures.

    At 0.5, a judge that was trained on few pictures with an attribute, such as Bald, never finds it, neither in real
    pictures nor in edits. The pictures must be the run's validation pictures: a judge that was trained on the same data
    and split has not seen them, and edits are measured on others.

    Candidates are 0.5 and the midpoints between neighboring probabilities. Of several best ones, the nearest to 0.5 is
    taken. The threshold is 0.5, and the attribute is in ``fallback``, if there are fewer than 5 pictures with it or
    without it, or if no threshold is better than chance.

    Args:
        probabilities: of the judge, (n, A).
        attributes: (n, A) of ±1, 0 where not known.

    >>> limits = thresholds(torch.tensor([[0.1]] * 6 + [[0.3]] * 6), torch.tensor([[-1]] * 6 + [[1]] * 6))
    >>> round(float(limits.values[0]), 3), limits.fallback
    (0.2, ())
    """
    values, fallback = [], []
    for a in range(attributes.shape[1]):
        known = attributes[:, a] != 0
        value = _threshold(probabilities[known, a].cpu().double(), attributes[known, a].cpu() > 0)
        values.append(DEFAULT if value is None else value)
        if value is None:
            fallback.append(a)
    return Thresholds(torch.tensor(values), tuple(fallback))


def _threshold(probabilities: Tensor, has: Tensor) -> float | None:
    """Return the best threshold for probabilities (n,); None where there is no reason for any."""
    if min(int(has.sum()), int((~has).sum())) < FEWEST:
        return None
    unique = torch.unique(probabilities)  # sorted
    candidates = torch.cat([torch.tensor([DEFAULT], dtype=unique.dtype), (unique[:-1] + unique[1:]) / 2])
    missed = torch.searchsorted(probabilities[has].sort().values, candidates, right=True)
    refused = torch.searchsorted(probabilities[~has].sort().values, candidates, right=True)
    balanced = ((1 - missed / has.sum()) + refused / (~has).sum()) / 2
    best = float(balanced.max())
    if best <= 0.5:
        return None
    tied = candidates[balanced >= best - 1e-9]
    return float(tied[(tied - DEFAULT).abs().argmin()])


@dataclass(frozen=True)
class Ceiling:
    """What the judge finds of one attribute in real pictures: the most that an editor can be expected to reach.

    Attributes:
        added: share of the pictures with the attribute, added_n of them, in which the judge finds it.
        removed: share of the pictures without it, removed_n of them, in which the judge does not find it.
    """

    added: float | None
    added_n: int
    removed: float | None
    removed_n: int


def ceilings(probabilities: Tensor, attributes: Tensor, limits: Tensor | float = DEFAULT) -> list[Ceiling]:
    """Return the ceiling of each attribute from the judge's probabilities (n, A) for real pictures.

    Args:
        attributes: (n, A) of ±1, 0 where not known.
        limits: thresholds (A,), or one for all.
    """
    decisions, attributes = (probabilities > limits).cpu(), attributes.cpu()
    out = []
    for a in range(attributes.shape[1]):
        has, lacks = attributes[:, a] > 0, attributes[:, a] < 0
        out.append(Ceiling(_share(decisions[has, a]), int(has.sum()), _share(~decisions[lacks, a]), int(lacks.sum())))
    return out


def gain(value: float | None, unedited: float | None, ceiling: float | None) -> float | None:
    """Return (value − unedited) / (ceiling − unedited), not clipped.

    It is None where a value is missing, and where the ceiling is not above ``unedited``: a blurred reconstruction may
    show an attribute less often than real pictures without it do, and then nothing is left to gain.

    >>> gain(0.5, 0.2, 0.8)
    0.5
    """
    if value is None or unedited is None or ceiling is None or ceiling <= unedited:
        return None
    return round((value - unedited) / (ceiling - unedited), 6)


def choose_amount(amounts: Sequence[float], gains: Sequence[float], leakages: Sequence[float]) -> float | None:
    """Return the amount that a user should choose: the smallest one that nearly reaches the best gain − leakage.

    The score of an amount is its gain minus its leakage, the share of the other attributes that the edit changes. A
    plain reconstruction has the score 0. The smallest amount whose score is at least 95 % of the best one is taken,
    because a smaller amount changes less of the person.

    Args:
        amounts: above 0; gains, leakages: of each amount, on validation pictures.

    Returns:
        The amount; None if no amount has a score above 0.

    >>> choose_amount([0.5, 1.0, 1.5, 2.0], [0.3, 0.79, 0.82, 0.84], [0.01, 0.02, 0.04, 0.08])
    1.0
    """
    # with a single attribute there is no other one that could change: its leakage is NaN
    scores = [one - (0.0 if math.isnan(leaked) else leaked) for one, leaked in zip(gains, leakages, strict=True)]
    best = max(scores)
    if best <= 0:
        return None
    return min(amount for amount, score in zip(amounts, scores, strict=True) if score >= ENOUGH * best)


def leakage_at(gain_wanted: float, gains: Sequence[float], leakages: Sequence[float]) -> float | None:
    """Return the leakage of a curve where its gain first reaches a value, by linear interpolation; None if never.

    Args:
        gains, leakages: of growing amounts; the curve starts at (0, 0), the plain reconstruction.

    >>> leakage_at(0.5, [0.4, 0.6], [0.02, 0.04])
    0.03
    """
    low, leaked = 0.0, 0.0
    for high, leak in zip(gains, leakages, strict=True):
        if high >= gain_wanted > low:
            return round(leaked + (leak - leaked) * (gain_wanted - low) / (high - low), 6)
        low, leaked = high, leak
    return None


def _share(right: Tensor) -> float | None:
    return float(right.float().mean()) if len(right) else None


def _mean(*values: float | None) -> float:
    present = [value for value in values if value is not None]
    return sum(present) / len(present)


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
