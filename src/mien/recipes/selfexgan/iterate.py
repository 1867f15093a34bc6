"""SelfExGAN, Fig. 4.8: a picture is encoded and decoded again and again (§4.1.3).

Claim: when the model is fed with its own output, a digit changes gradually into another digit.

Command: mien reproduce selfexgan/iterate --scale smoke|small|paper
Time on two cores: smoke 10 s; small 30 min (the runs of selfexgan/reconstruction); paper about 2 days.
Time on one GPU, not measured: small 6 min; paper 8 h.

The thesis shows two rows of pictures. Here, an independent judge names the class after each of ten rounds. The claim
needs two things: some digits change their class after the first round, and the last round changes pixels by less than
the first one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mien.recipes import common
from mien.recipes.recipe import Claim, Effort, Number, Recipe, Row, Run, Scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mien.recipes.trained import Trained

GAN, ROUNDS, FED = "SelfExGAN", 10, 500
OTHER = "other class after ten rounds than after one"
FIRST, LAST = "change of pixels in the first round", "change of pixels in the last round"


def extra(trained: Trained) -> Mapping[str, Number]:
    """Return the share of digits whose class differs from that of the first round, and the changes of pixels."""
    from mien.applications.basics import recognize
    from mien.applications.iterate import iterate

    fed, judge = iterate(trained.model(GAN), trained.pictures(min(FED, trained.held_out)), ROUNDS), trained.judge()
    first, last = (recognize(judge, fed.pictures[:, i].to(trained.device)).argmax(1).cpu() for i in (1, ROUNDS))
    return {
        OTHER: common.mean((first != last).float()),
        FIRST: common.mean(fed.change[:, 0]),
        LAST: common.mean(fed.change[:, -1]),
    }


def figure(trained: Trained) -> Figure:
    """Draw pictures with their ten rounds to the right."""
    from mien.applications.iterate import iterate

    fed = iterate(trained.model(GAN), trained.pictures(6), ROUNDS)
    return common.bands(fed.pictures, [""] * 6, "digits and ten rounds of encoding and decoding")


RECIPE = Recipe(
    title="Fig. 4.8: iterative feeding",
    source="Liu 2018, Fig. 4.8, pictures without numbers",
    runs={"judge": common.JUDGE, GAN: Run("selfexgan")},
    scales={
        "smoke": Scale(common.DIGITS32, {"attribute_cnn": common.TINY_CNN, "selfexgan": common.TINY_SELFEX}),
        "small": Scale(
            common.MNIST32, {"attribute_cnn": common.SMALL_CNN, "selfexgan": common.SMALL_SELFEX}, seeds=(0, 1, 2)
        ),
        "paper": Scale(
            common.MNIST32, {"attribute_cnn": common.PAPER_CNN, "selfexgan": Effort(settings={"table": "mnist"})}
        ),
    },
    measures=(),
    rows=[
        Row(OTHER, unit="%", digits=1),
        Row(FIRST, digits=4),
        Row(LAST, digits=4),
    ],
    claims=[
        Claim("Some digits change their class after the first round: more than 5 %",
              lambda result: result.above(OTHER, 0.05)),
        # a decoder that always gives the same picture changes nothing after the first round
        Claim("This change is gradual: the last round changes fewer pixels than the first one",
              lambda result: result.every(result.above(OTHER, 0.05), result.exceeds(FIRST, LAST))),
    ],
    figure=figure,
    extra=extra,
)  # fmt: skip
