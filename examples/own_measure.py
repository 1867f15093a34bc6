"""A measure of your own: how much darker or brighter reconstructions are than the pictures. It takes a few seconds.

python examples/own_measure.py

In a copy of mien, the two classes are a file of src/mien/evaluation/measures/, and mien evaluate takes the measure.
"""

from dataclasses import dataclass

import mien
from mien.abilities import Decodes, Encodes, can
from mien.evaluation.context import Context
from mien.evaluation.measure import Measure, Row, Skipped
from mien.evaluation.record import Record


@dataclass(frozen=True)
class Shift(Record):
    """The mean difference of the brightness over n pictures in [-1, 1], and its standard error."""

    n: int
    mean: float
    sem: float


class Brightness(Measure[Shift]):
    """Brightness of reconstructions minus that of the pictures."""

    Result = Shift
    usual = False  # taken only when it is named

    def applies(self, run):
        return can(run.model, Encodes, Decodes)

    def take(self, context):
        x = context.run.dataset.batch(context.test).x
        if len(x) < 2:
            raise Skipped(f"expected 2 held-out pictures or more, got {len(x)}: use a larger data set")
        difference = (context.plain(x) - x).mean((1, 2, 3)).double()
        return Shift(len(x), float(difference.mean()), float(difference.std() / len(x) ** 0.5))

    def rows(self, result):
        return [Row("brightness", f"{result.mean:+.3f}", f"{result.n} pictures", spread=f"± {result.sem:.3f}")]


if __name__ == "__main__":
    mien.train("vae", mien.Data("avatars", size=16, options={"count": 100}), "run-measure", {"width": 8}, steps=20)
    run = mien.open_run("run-measure")
    context = Context(run, run.splits.test, judge=None, judge_sha256=None, seed=0, note=lambda what, done, total: None)
    measure = Brightness()
    if measure.applies(run):
        for row in measure.rows(measure.take(context)):
            print(row.label, row.text, f"({row.how})")
