"""Residual GAN, Table 2: errors of landmarks without glasses (D0), with glasses (D1), with glasses removed (D1m).

Claim: glasses raise the error of the landmarks of the eyes. Removing them by the residual GAN lowers it, and the error
of the other landmarks stays the same (§6.4).

Command: mien reproduce residual_gan/table2 --scale smoke|small|paper
Time on two cores: smoke 15 s; small 15 min; paper about 2 weeks.
Time on one GPU, not measured: small 10 min; paper 16 h.

The paper's errors are distances to points by hand. Here they are distances between the points that dlib finds in a
picture and in moved copies of it, in eye distances (see mien evaluate --metric landmarks), so the numbers of the two
columns do not compare, but their order does. It needs mien[faces].
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mien.recipes import common
from mien.recipes.recipe import Claim, Effort, Recipe, Row, Run, Scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mien.recipes.trained import Trained

GAN = "residual GAN"
REPORTED = {"D0": (0.02341, 0.04424), "D1": (0.03570, 0.04605), "D1m": (0.03048, 0.04608)}


def figure(trained: Trained) -> Figure:
    """Draw held-out pictures with their glasses removed below."""
    import torch

    x = trained.pictures(common.SHOWN)
    edited = trained.open(GAN).editor()(x, {"Eyeglasses": -1.0})
    return common.bands(torch.stack([x.cpu(), edited.cpu()]), ["real", "no glasses"], "faces without their glasses")


RECIPE = Recipe(
    title="Table 2: landmarks after glasses are removed",
    source="Shen & Liu 2017, Table 2",
    runs={GAN: Run("residual_gan", {"attribute": "Eyeglasses"})},
    scales={
        "smoke": Scale(common.AVATARS, {"residual_gan": common.TINY_RESIDUAL}),
        "small": Scale(
            common.CELEBA64,
            {"residual_gan": Effort(1500, settings={"width": 16}, training={"batch": 16, "ema": 0.99, "flip": 0.5})},
        ),
        "paper": Scale(common.CELEBA128, {"residual_gan": common.PAPER_RESIDUAL}),
    },
    measures=("landmarks",),
    rows=[Row(f"{part}, {name}", GAN, f"landmarks.stability.{name}.{part}.mean", reported=values[i], digits=5)
          for i, part in enumerate(("eyes", "rest")) for name, values in REPORTED.items()],
    claims=[
        Claim("Glasses raise the error of the eyes", lambda result: result.exceeds("eyes, D1", "eyes, D0")),
        Claim("Removing glasses lowers the error of the eyes",
              lambda result: result.exceeds("eyes, D1", "eyes, D1m")),
    ],
    figure=figure,
)  # fmt: skip
