"""Iterative GAN, Fig. 6: single attributes reversed (§5.3.3).

Claim: the iterative GAN changes one attribute of a face, in either direction, and leaves the other attributes.

Command: mien reproduce iterative_gan/edits --scale smoke|small|paper
Time on two cores: smoke 10 s; small 20 min (the runs of iterative_gan/recognition and a judge); paper about 2 months.
Time on one GPU, not measured: small 8 min; paper a week.

The paper shows pictures. Here, an independent judge looks at them: the gain of an edit is the share of faces in which
it finds the reversed attribute, from 0 (as often as before) to 1 (as often as in real pictures with that attribute).
An attribute that the judge itself cannot see has no gain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mien.recipes import common, families
from mien.recipes.recipe import Claim, Recipe, Row, Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mien.recipes.trained import Trained

ATTRIBUTES = ("Male", "Eyeglasses", "Bangs", "Bald")  # of Fig. 6
GAN, GAIN, OTHERS = "iterative GAN", "gain, all attributes that the judge sees", "change of other attributes"


def figure(trained: Trained) -> Figure:
    """Draw held-out pictures, reconstructions, and each attribute added."""
    return common.added(trained, GAN, ATTRIBUTES, "faces and edits of single attributes")


RECIPE = Recipe(
    title="Fig. 6: single attributes reversed",
    source="Ma et al. 2019, Fig. 6, pictures without numbers",
    runs={"judge": common.JUDGE, GAN: Run("iterative_gan")},
    scales=families.judged("iterative_gan", common.TINY_ITERATIVE, common.SMALL_ITERATIVE, common.PAPER_ITERATIVE),
    measures=("edits",),
    rows=[
        Row(GAIN, GAN, "edits.gain.mean", unit="%", digits=1),
        *[Row(f"gain, {name}", GAN, f"edits.per_attribute.{name}.gain", unit="%", digits=1) for name in ATTRIBUTES],
        Row(OTHERS, GAN, "edits.leakage", unit="%", digits=2),
    ],
    claims=[
        Claim("An edit reverses an attribute: the mean gain is above a half",
              lambda result: result.above(GAIN, 0.5)),
        # an edit that does nothing changes no other attribute either
        Claim("An edit that reverses an attribute leaves the others: the judge finds fewer than 5 % of them changed",
              lambda result: result.every(result.above(GAIN, 0.5), result.below(OTHERS, 0.05))),
    ],
    figure=figure,
)  # fmt: skip
