"""ROC-AUC of pairs of one person against pairs of strangers by similarities of latents, with pixels as the baseline.

It uses the test pictures of the evaluation; ``mien similarity`` uses all validation and test pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mien.abilities import Encodes, can
from mien.errors import MienError
from mien.evaluation.context import Context
from mien.evaluation.measure import Measure, Row, Skipped
from mien.evaluation.same_person import SamePerson

if TYPE_CHECKING:
    from mien.run.opening import OpenRun

LEAST = 20  # fewest pairs of each kind; with fewer, the interval is wider than .25


@dataclass(frozen=True)
class PersonScores(SamePerson):
    """The AUC on the test pictures."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values, ``n`` pairs of one person first."""
        return {"n": self.n_same, **super().to_json()}


class SimilarityAUC(Measure[PersonScores]):
    """Similarities as a test of identity."""

    Result = PersonScores
    order = 70

    def applies(self, run: OpenRun) -> bool:
        """Return whether the model encodes and the data set names persons."""
        return can(run.model, Encodes) and run.dataset.identity is not None

    def take(self, context: Context) -> PersonScores:
        """Return the AUC of every similarity that the model allows."""
        from mien.applications.similarity import NOISE
        from mien.evaluation.similarity import compare_persons
        from mien.metrics import similarity_auc as auc

        run = context.run
        assert run.dataset.identity is not None, "applies() requires it"
        try:
            pairs = auc.draw_pairs(run.dataset.identity[context.test], auc.MOST, context.seed)
        except MienError as reason:
            raise Skipped(str(reason)) from None
        if min(len(pairs.same), len(pairs.strangers)) < LEAST:
            raise Skipped(
                f"expected {LEAST} pairs of one person and of strangers or more, got {len(pairs.same)} and "
                f"{len(pairs.strangers)} among {len(context.test):,} test pictures: "
                "mien similarity takes valid ones too"
            )
        result, _ = compare_persons(run, context.test, "test", NOISE, pairs, context.seed, context.note)
        return PersonScores.from_json(result.to_json())

    def rows(self, result: PersonScores) -> list[Row]:
        """Return a row for each similarity; the row of pixels, the baseline, is indented."""
        rows: list[Row] = []
        for name, one in result.measures.items():
            pixels = name == "pixels"
            rows.append(
                Row(
                    "same-person AUC, pixels alone" if pixels else f"same-person AUC, {name}",
                    f"{one.auc:.3f}",
                    "the same pairs" if rows else result.pairs,
                    None if pixels else "up",
                    f"({one.low:.3f} to {one.high:.3f})",
                    indented=pixels,
                )
            )
        return rows
