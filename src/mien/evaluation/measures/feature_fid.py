"""Fréchet and kernel distance, precision and recall of samples and reconstructions on a judge's features.

The same distances between training pictures and held-out pictures are the lower limit of the measure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from mien.abilities import Generates, can
from mien.errors import MienError
from mien.evaluation.context import Context
from mien.evaluation.inception import SetDistance, real_pictures
from mien.evaluation.measure import Better, Measure, Row, Skipped, spread_text
from mien.evaluation.record import Record
from mien.metrics.reliability import unreliable

if TYPE_CHECKING:
    from torch import Tensor

    from mien.run.opening import OpenRun

KID_LEAST = 50  # fewest pictures on each side: subsets of fewer are too small
FEWEST = {"feature_kid": KID_LEAST, "feature_precision_recall": KID_LEAST, "feature_score": KID_LEAST}
SIDES = ("samples", "reconstructions", "real_against_real")
# the other measures of a side: field, digits, better direction, label, description
KINDS: tuple[tuple[str, int, Better, str, str], ...] = (
    ("kid", 4, "down", "feature-KID", "the same; ± deviation over subsets"),
    ("precision_recall", 3, "up", "feature precision / recall", "the same; 3 neighbors"),
    ("score", 2, "up", "feature score", "by the judge's classes; ± over parts"),
)


@dataclass(frozen=True)
class Side(Record):
    """The measures of one set of pictures against the held-out ones."""

    fid: float | None = None
    fid_spread: float | None = None
    kid: SetDistance | None = None
    precision_recall: SetDistance | None = None
    score: SetDistance | None = None


@dataclass(frozen=True)
class FeatureDistances(Record):
    """The measures of each side, n pictures against n held-out pictures, on ``features`` features of the judge.

    Results of versions without the kernel distance have no ``protocol`` and no spreads.
    """

    n: int
    features: int
    protocol: dict[str, Any] | None
    sides: dict[str, Side]

    def to_json(self) -> dict[str, Any]:
        """Return plain values: Fréchet distances by side, then each other measure as a table of sides."""
        out: dict[str, Any] = {"n": self.n, "features": self.features}
        if self.protocol is not None:
            out["protocol"] = dict(self.protocol)
        for name, side in self.sides.items():
            if side.fid is not None:
                out[name] = side.fid
                out |= {f"{name}_spread": side.fid_spread} if self.protocol is not None else {}
            for kind, *_ in KINDS:
                if (block := getattr(side, kind)) is not None:
                    out.setdefault(kind, {})[name] = block.to_json()
        return out

    @classmethod
    def from_json(cls, values: Any) -> Self:
        """Return the distances that :meth:`to_json` wrote."""
        try:
            sides = {}
            for name in SIDES:
                blocks = {kind: values[kind][name] for kind, *_ in KINDS if name in values.get(kind, {})}
                if name in values or blocks:
                    sides[name] = Side.from_json(
                        {"fid": values.get(name), "fid_spread": values.get(f"{name}_spread"), **blocks}
                    )
            return cls(values["n"], values["features"], values.get("protocol"), sides)
        except (KeyError, TypeError, AttributeError):
            raise MienError("expected distances on a judge's features, got other values: measure again") from None


class FeatureFID(Measure[FeatureDistances]):
    """The distance between sets of generated and real pictures, on the judge's features."""

    Result = FeatureDistances
    judged = True
    order = 20

    def applies(self, run: OpenRun) -> bool:
        """Return whether the model generates."""
        return can(run.model, Generates)

    def take(self, context: Context) -> FeatureDistances:
        """Return the distances of samples, reconstructions and training pictures from held-out pictures."""
        from mien.metrics.distributions import collect_real, measure, names
        from mien.metrics.feature_networks import of_judge

        if context.judge is None or context.judge_sha256 is None:
            raise Skipped("expected a judge, got none: pass --judge RUN")
        network = of_judge(context.judge, context.judge_sha256)
        n, seed, note = len(context.test), context.seed, context.note
        chosen = [name for name in names(network) if n >= FEWEST.get(name, 2)]
        real = collect_real(chosen, network, real_pictures(context, context.test), n, seed, note)
        protocol = network.about()
        sides = {}
        for side, pictures in _sides(context).items():
            blocks = measure(chosen, network, real, n, pictures, seed, note)
            values: dict[str, Any] = {}
            for name, block in blocks.items():
                if name == "feature_fid":
                    values |= {"fid": block["value"], "fid_spread": block["spread"]}
                else:  # the common keys of the protocol are stored once
                    own = {key: value for key, value in block.items() if key not in protocol}
                    values[name.removeprefix("feature_")] = own
            sides[side] = Side.from_json(values)
        return FeatureDistances(n, network.number, protocol, sides)

    def rows(self, result: FeatureDistances) -> list[Row]:
        """Return the rows: for each measure, one row for each side."""
        how = f"{result.n:,} against {result.n:,}, judge's {result.features} features (not Inception)"
        warning = unreliable(result.n, result.features)
        rows = []
        for name, side in result.sides.items():
            if side.fid is not None:
                with_spread = how if side.fid_spread is None else f"{how}; ± jackknife standard error"
                with_spread = f"{warning}; {with_spread}" if warning else with_spread
                spread = spread_text(side.fid_spread, 2)
                rows.append(Row(f"feature-FID, {_words(name)}", f"{side.fid:.2f}", with_spread, "down", spread))
        for kind, digits, better, label, words in KINDS:
            for name, side in result.sides.items():
                block: SetDistance | None = getattr(side, kind)
                if block is None:
                    continue
                rows.append(block.row(f"{label}, {_words(name)}", words, digits, better))
        return rows


def _words(side: str) -> str:
    return side.replace("_", " ")


def _sides(context: Context) -> dict[str, Callable[[int], Iterable[Tensor]]]:
    """Return the sets to compare with held-out pictures: by name, a function from n to batches of n pictures."""
    import numpy as np

    from mien.applications.basics import generate_batches

    others = np.random.default_rng(context.seed).permutation(context.run.index)
    sides: dict[str, Callable[[int], Iterable[Tensor]]] = {
        "samples": lambda n: generate_batches(context.model, n, context.seed)
    }
    if context.autoencodes:
        sides["reconstructions"] = lambda n: (context.plain(x) for x in real_pictures(context, context.test[:n]))
    if len(others) >= len(context.test):
        sides["real_against_real"] = lambda n: real_pictures(context, others[:n])
    return sides
