"""Residual GAN, Fig. 6: without residual images, and without dual learning (§6.2).

Claim: without residual images, the pictures have noise and wrong further attributes; without dual learning, their
quality drops. Both together give the best edits.

Command: mien reproduce residual_gan/ablations --scale smoke|small|paper
Time on two cores: smoke 15 s; small 20 min (3 models, 3 seeds); paper about 5 weeks.
Time on one GPU, not measured: small 10 min; paper 2 days.

The paper shows pictures of edited glasses. Here, an independent judge finds glasses (the gain, from 0 to 1) and changes
of other attributes, and the change of pixels is measured, mean |x̃ − x| with pictures in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mien.recipes import common
from mien.recipes.recipe import Claim, Number, Recipe, Row, Run, Scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mien.recipes.trained import Trained

GLASSES = "Eyeglasses"
VARIANTS = {"whole model": {}, "no residual": {"residual": False}, "no dual": {"dual": False}}
WHOLE = "whole model"


def extra(trained: Trained) -> Mapping[str, Number]:
    """Return the change of pixels by adding glasses, for each variant."""
    x, numbers = trained.pictures(trained.held_out), {}
    for name in trained.names:
        edited = trained.open(name).editor()(x, {GLASSES: 1.0})
        numbers[f"change of pixels, {name}"] = common.mean((edited - x).abs().flatten(1).mean(1).cpu())
    return numbers


def figure(trained: Trained) -> Figure:
    """Draw held-out pictures, and glasses added by each variant."""
    import torch

    x = trained.pictures(common.SHOWN)
    rows = [trained.open(name).editor()(x, {GLASSES: 1.0}).cpu() for name in trained.names]
    return common.bands(torch.stack([x.cpu(), *rows]), ["real", *trained.names], "glasses added by each variant")


RECIPE = Recipe(
    title="Fig. 6: without residual images, and without dual learning",
    source="Shen & Liu 2017, Fig. 6, pictures without numbers",
    runs={
        "judge": common.JUDGE,
        **{name: Run("residual_gan", {"attribute": GLASSES, **changes}) for name, changes in VARIANTS.items()},
    },
    scales={
        "smoke": Scale(common.AVATARS, {"attribute_cnn": common.TINY_CNN, "residual_gan": common.TINY_RESIDUAL}),
        "small": Scale(
            common.CELEBA32,
            {"attribute_cnn": common.SMALL_CNN, "residual_gan": common.SMALL_RESIDUAL},
            seeds=(0, 1, 2),
        ),
        "paper": Scale(
            common.CELEBA128, {"attribute_cnn": common.PAPER_CNN, "residual_gan": common.PAPER_RESIDUAL}
        ),
    },
    measures=("edits",),
    rows=[
        *[Row(f"gain, {name}", name, f"edits.per_attribute.{GLASSES}.gain", unit="%", digits=1) for name in VARIANTS],
        *[Row(f"change of other attributes, {name}", name, "edits.leakage", unit="%", digits=2) for name in VARIANTS],
        *[Row(f"change of pixels, {name}", digits=4) for name in VARIANTS],
    ],
    claims=[
        Claim("Without residual images, edits change more other attributes",
              lambda result: result.exceeds("change of other attributes, no residual",
                                            f"change of other attributes, {WHOLE}")),
        Claim("Without residual images, edits change more pixels",
              lambda result: result.exceeds("change of pixels, no residual", f"change of pixels, {WHOLE}")),
        Claim("Without dual learning, glasses are added and removed less well",
              lambda result: result.exceeds(f"gain, {WHOLE}", "gain, no dual")),
    ],
    figure=figure,
    extra=extra,
)  # fmt: skip
