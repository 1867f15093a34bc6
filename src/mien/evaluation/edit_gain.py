"""Edits as a judge recognizes them, against what it finds in real pictures: what the measures of edits share.

Nothing here imports torch when it is imported: ``mien show`` reads stored results without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from mien import models
from mien.evaluation.context import Context
from mien.evaluation.measure import Skipped
from mien.evaluation.record import Record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from mien.applications.arithmetic import Editor
    from mien.metrics.edits import Ceiling, EditScores, Thresholds

AMOUNTS = (0.5, 1.0, 1.5, 2.0, 3.0)
MAIN = 1.0  # the amount of the scores beside the curve
EACH = 100  # pictures with an attribute, and pictures without it, that are edited by models of many attributes
EACH_VALID = 25  # the same of validation pictures, for the choice of an amount
FEW = 4  # attributes below which each has rows of its own, and all held-out pictures are edited
VALID = 2000  # validation pictures that thresholds are chosen on

# the attributes that each paper edits
PAPERS = {
    "VAE-WGAN": ("Bald", "Black_Hair", "Eyeglasses", "Male", "Smiling", "Mustache"),
    "Iterative GAN": ("Male", "Eyeglasses", "Bangs", "Bald"),
    "Residual GAN": ("Eyeglasses", "No_Beard", "Mouth_Slightly_Open", "Smiling", "Young", "Male"),
}


@dataclass(frozen=True, kw_only=True)
class Point(Record):
    """Success, leakage and gain of edits by one amount."""

    amount: float
    success: float
    leakage: float
    gain: float | None = None


@dataclass(frozen=True, kw_only=True)
class Judged(Record):
    """What the judge recognizes in edits of one attribute by the amount 1, see :class:`mien.metrics.edits.EditScores`.

    Results of older versions have no ``threshold``: they were judged at 0.5, on pictures of which most lack a rare
    attribute, and their success is the mean over pictures. Now it is the mean of adding and removing.

    Args:
        threshold: of the judge's probability.
        ceiling_added, ceiling_removed: what the judge finds in real pictures, on ceiling_added_n pictures with the
            attribute and ceiling_removed_n without it; ceiling: the mean of both.
        gain_added, gain_removed, gain: (success − unedited) / (ceiling − unedited).
        amount: the amount that works best on validation pictures, see :func:`mien.metrics.edits.choose_amount`.
        curve: the same scores by growing amounts.
    """

    success: float
    unedited: float
    leakage: float
    n: int
    added: float | None
    added_n: int
    removed: float | None
    removed_n: int
    unedited_added: float | None = None
    unedited_removed: float | None = None
    threshold: float | None = None
    ceiling: float | None = None
    ceiling_added: float | None = None
    ceiling_added_n: int | None = None
    ceiling_removed: float | None = None
    ceiling_removed_n: int | None = None
    gain: float | None = None
    gain_added: float | None = None
    gain_removed: float | None = None
    amount: float | None = None
    curve: tuple[Point, ...] | None = None

    @property
    def room(self) -> float | None:
        """Return ceiling − unedited, what an edit can gain; None where it is not known."""
        return None if self.ceiling is None else self.ceiling - self.unedited

    @property
    def ceiling_n(self) -> int:
        """Number of real pictures of the rarer kind."""
        return min(self.ceiling_added_n or 0, self.ceiling_removed_n or 0)


@dataclass(frozen=True, kw_only=True)
class Gain(Record):
    """The mean gain over attributes.

    Args:
        mean: over ``names``; None if there are none. sem: the standard error over them; None for fewer than two.
        names: the attributes whose (ceiling − unedited) is at least ``floor``; left_out: those the judge cannot see.
        too_few: those of which fewer than 5 held-out pictures have the attribute, or fewer than 5 lack it.
    """

    mean: float | None
    sem: float | None
    names: tuple[str, ...]
    left_out: tuple[str, ...]
    too_few: tuple[str, ...]
    floor: float

    @property
    def count(self) -> int:
        """Number of attributes, those without a gain too."""
        return len(self.names) + len(self.left_out) + len(self.too_few)

    @property
    def without(self) -> str:
        """The attributes without a gain and why, as text; empty if there are none."""
        reasons = {"the judge cannot see them": self.left_out, "fewer than 5 pictures of a kind": self.too_few}
        return "; ".join(f"left out, {why}: {', '.join(names)}" for why, names in reasons.items() if names)

    @classmethod
    def of(cls, per: Mapping[str, Judged], names: Iterable[str]) -> Self:
        """Return the mean gain over the attributes ``names``."""
        from mien.metrics.edits import FEWEST, FLOOR

        names = tuple(names)
        enough = [name for name in names if per[name].room is not None and per[name].ceiling_n >= FEWEST]
        used = tuple(name for name in enough if (per[name].room or 0.0) >= FLOOR)
        gains = [gain for name in used if (gain := per[name].gain) is not None]
        mean = sum(gains) / len(gains) if gains else None
        sem = None
        if mean is not None and len(gains) > 1:
            sem = (sum((gain - mean) ** 2 for gain in gains) / (len(gains) - 1) / len(gains)) ** 0.5
        left_out = tuple(name for name in enough if name not in used)
        too_few = tuple(name for name in names if name not in enough)
        return cls(mean=mean, sem=sem, names=used, left_out=left_out, too_few=too_few, floor=FLOOR)


def papers(per: Mapping[str, Judged]) -> dict[str, Gain]:
    """Return the gain over each paper's own attributes, for the papers of which all attributes are in ``per``."""
    return {paper: Gain.of(per, names) for paper, names in PAPERS.items() if all(name in per for name in names)}


def mean_curve(per: Mapping[str, Judged], gain: Gain) -> tuple[Point, ...]:
    """Return for each amount the mean success and leakage over all attributes and the mean gain over ``gain.names``."""
    curves = {name: one.curve for name, one in per.items() if one.curve}
    points = []
    for i, amount in enumerate(AMOUNTS if curves else ()):
        gains = [one for name in gain.names if (one := curves[name][i].gain) is not None]
        points.append(
            Point(
                amount=amount,
                success=sum(curve[i].success for curve in curves.values()) / len(curves),
                leakage=sum(curve[i].leakage for curve in curves.values()) / len(curves),
                gain=sum(gains) / len(gains) if gains else None,
            )
        )
    return tuple(points)


@dataclass(frozen=True)
class Pictures:
    """Pictures of one split and the judge's view of them.

    Args:
        index: positions (n,) in the data set; attributes: (n, A) of ±1, 0 where not known.
        ceilings: of each attribute, from these pictures as they are.
    """

    index: NDArray[np.int64]
    attributes: NDArray[np.int8]
    ceilings: list[Ceiling]


@dataclass(frozen=True)
class JudgeView:
    """The judge's thresholds, chosen on validation pictures, and its ceilings on these and on held-out pictures."""

    thresholds: Thresholds
    test: Pictures
    valid: Pictures


def judge_view(context: Context) -> JudgeView:
    """Return the judge's thresholds and ceilings.

    Raises:
        Skipped: there is no judge.
    """
    from mien.data.dataset import spread
    from mien.metrics.edits import ceilings, thresholds

    if context.judge is None:
        raise Skipped(missing_judge())
    table = context.run.dataset.attribute_table
    index = {"test": context.test, "valid": spread(context.run.splits.valid, VALID)}
    attributes = {key: table[rows] for key, rows in index.items()}
    real = {key: _real(context, rows) for key, rows in index.items()}
    limits = thresholds(real["valid"], _tensor(attributes["valid"]))
    views = {
        key: Pictures(index[key], attributes[key], ceilings(real[key], _tensor(attributes[key]), limits.values))
        for key in index
    }
    return JudgeView(limits, views["test"], views["valid"])


def missing_judge() -> str:
    """Return the message that asks for a judge."""
    able = " or ".join(models.models_with(["Recognizes", "Describes"]))
    return f"expected a judge, got none: pass --judge RUN, a run of {able} on the same data"


def judged_edits(
    context: Context,
    view: JudgeView,
    editor: Editor,
    names: Sequence[str],
    choose: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Judged]:
    """Return what the judge recognizes in edits of held-out pictures, by attribute.

    Args:
        names: the attributes to edit; those that no held-out picture is known to have or to lack are left out.
        choose: whether to choose an amount for each attribute on validation pictures.
        progress: called with (done, total) attributes.
    """
    from mien.metrics.edits import gain

    each, parts = None if len(names) < FEW else EACH, 2 if choose else 1

    def note(part: int) -> Callable[[int, int], None]:
        return lambda done, total: progress(part * total + done, parts * total) if progress else None

    test = _scores(context, view, view.test, editor, names, each, note(0))
    valid = _scores(context, view, view.valid, editor, names, EACH_VALID, note(1)) if choose else {}
    all_names, per = context.run.dataset.attributes, {}
    for name, scores in test.items():
        a = all_names.index(name)
        ceiling, main = view.test.ceilings[a], scores[AMOUNTS.index(MAIN)]
        both = _both(ceiling)
        amount = _best_amount(valid[name], view.valid.ceilings[a]) if name in valid else None
        curve = tuple(
            Point(amount=at, success=one.success, leakage=one.leakage, gain=gain(one.success, one.unedited, both))
            for at, one in zip(AMOUNTS, scores, strict=True)
        )
        per[name] = Judged(
            success=main.success,
            unedited=main.unedited,
            leakage=main.leakage,
            n=main.n,
            added=main.added,
            added_n=main.added_n,
            removed=main.removed,
            removed_n=main.removed_n,
            unedited_added=main.unedited_added,
            unedited_removed=main.unedited_removed,
            threshold=float(view.thresholds.values[a]),
            ceiling=both,
            ceiling_added=ceiling.added,
            ceiling_added_n=ceiling.added_n,
            ceiling_removed=ceiling.removed,
            ceiling_removed_n=ceiling.removed_n,
            gain=gain(main.success, main.unedited, both),
            gain_added=gain(main.added, main.unedited_added, ceiling.added),
            gain_removed=gain(main.removed, main.unedited_removed, ceiling.removed),
            amount=amount,
            curve=curve,
        )
    return per


def _best_amount(scores: Sequence[EditScores], ceiling: Ceiling) -> float | None:
    """Return the amount to choose; None if none works, or the judge cannot see the attribute."""
    from mien.metrics.edits import FEWEST, FLOOR, choose_amount, gain

    both, unedited = _both(ceiling), scores[0].unedited
    if both is None or both - unedited < FLOOR or min(ceiling.added_n, ceiling.removed_n) < FEWEST:
        return None
    gains = [gain(one.success, unedited, both) or 0.0 for one in scores]
    return choose_amount(AMOUNTS, gains, [one.leakage for one in scores])


def _scores(
    context: Context,
    view: JudgeView,
    pictures: Pictures,
    editor: Editor,
    names: Sequence[str],
    each: int | None,
    progress: Callable[[int, int], None],
) -> dict[str, list[EditScores]]:
    """Return the scores of each attribute by each amount, on at most ``each`` pictures of either kind (None: all)."""
    import numpy as np
    import torch

    from mien.applications.basics import batches, map_batches
    from mien.metrics.edits import edit_accuracy

    everything = tuple(context.run.dataset.attributes)
    rows = {name: _choice(pictures.attributes[:, everything.index(name)], each) for name in names}
    rows = {name: chosen for name, chosen in rows.items() if len(chosen)}
    if not rows:
        return {}

    def ask(x: Tensor) -> Tensor:
        return map_batches(context.judge.recognize, x)

    union = np.unique(np.concatenate(list(rows.values())))
    starts, answers = [], []
    for batch in batches(context.run.dataset, pictures.index[union], context.device):
        starts.append(editor.start(batch.x))
        answers.append(ask(context.plain(batch.x)))
    start, plain = torch.cat(starts), torch.cat(answers)
    out = {}
    for number, (name, chosen) in enumerate(rows.items()):
        places = torch.from_numpy(np.searchsorted(union, chosen)).to(start.device)
        attributes = _tensor(pictures.attributes[chosen]).to(start.device)
        out[name] = [
            edit_accuracy(
                lambda part, attribute, by: editor.finish(part, {attribute: by}),
                ask,
                start[places],
                attributes,
                plain[places],
                name,
                everything,
                view.thresholds.values,
                amount,
            )
            for amount in AMOUNTS
        ]
        progress(number + 1, len(rows))
    return out


def _choice(values: NDArray[np.int8], each: int | None) -> NDArray[np.int64]:
    """Return positions of at most ``each`` entries of +1 and as many of −1, evenly spaced."""
    import numpy as np

    from mien.data.dataset import spread

    kinds = [np.flatnonzero(values == sign) for sign in (1, -1)]
    return np.sort(np.concatenate([kind if each is None else spread(kind, each) for kind in kinds]))


def _real(context: Context, index: NDArray[np.int64]) -> Tensor:
    """Return the judge's probabilities (n, A) for pictures as they are."""
    import torch

    from mien.applications.basics import batches, map_batches

    dataset = context.run.dataset
    parts = [map_batches(context.judge.recognize, b.x).cpu() for b in batches(dataset, index, context.device)]
    return torch.cat(parts) if parts else torch.empty(0, len(dataset.attributes))


def _both(ceiling: Ceiling) -> float | None:
    """Return the mean of adding and removing; None if either is not known."""
    if ceiling.added is None or ceiling.removed is None:
        return None
    return (ceiling.added + ceiling.removed) / 2


def _tensor(values: NDArray[np.int8]) -> Tensor:
    import numpy as np
    import torch

    return torch.from_numpy(np.ascontiguousarray(values))
