"""Iterative GAN, Fig. 5: faces rebuilt with parts of the integrated loss (§5.3.2).

Claim: faces rebuilt with the integrated loss (L_per, L_pix and L_z) are nearest to the person in the picture; those
with L_pix alone, L_z alone, or both, fail to preserve the identity.

Command: mien reproduce iterative_gan/reconstruction --scale smoke|small|paper
Time on two cores: smoke 20 s; small 60 min (4 models at 64 pixels); paper about 8 months.
Time on one GPU, not measured: small 12 min; paper 4 weeks.

The paper prints FaceNet's distances below the pictures of Fig. 5, from which they cannot be read. Here it is the
distance of dlib's embedding, which needs mien[faces]. At 64 pixels, dlib finds the face in most pictures.
"""

from __future__ import annotations

from mien.recipes import common
from mien.recipes.recipe import Claim, Recipe, Row, Run, Scale

LOSSES = {  # λ1, λ2, λ3 of L_per, L_pix, L_z
    "L_pix": (0.0, 0.5, 0.0),
    "L_z": (0.0, 0.0, 1.0),
    "L_z + L_pix": (0.0, 0.5, 1.0),
    "all": (2.0, 0.5, 1.0),
}
DISTANCE = "identity distance"

RECIPE = Recipe(
    title="Fig. 5: faces rebuilt with parts of the integrated loss",
    source="Ma et al. 2019, Fig. 5, numbers not readable",
    runs={
        name: Run("iterative_gan", dict(zip(("lambda1", "lambda2", "lambda3"), weights, strict=True)))
        for name, weights in LOSSES.items()
    },
    scales={
        "smoke": Scale(common.AVATARS, {"iterative_gan": common.TINY_ITERATIVE}, held_out=6, runs=("L_pix", "all")),
        "small": Scale(common.CELEBA64, {"iterative_gan": common.SMALL_ITERATIVE}),
        "paper": Scale(common.CELEBA128, {"iterative_gan": common.PAPER_ITERATIVE}),
    },
    measures=("reconstruction", "identity"),
    rows=[
        *[Row(f"{DISTANCE}, {name}", name, "identity.changed.reconstructed.mean") for name in LOSSES],
        *[Row(f"both faces found, {name}", name, "identity.changed.reconstructed.found", unit="%", digits=1)
          for name in LOSSES],
        *[Row(f"PSNR, {name}", name, "reconstruction.psnr_db", unit="dB", digits=2) for name in LOSSES],
    ],
    claims=[
        Claim("With all losses, rebuilt faces are nearest to the person in the picture",
              lambda result: result.every(*(result.exceeds(f"{DISTANCE}, {name}", f"{DISTANCE}, all")
                                            for name in LOSSES if name != "all"))),
    ],
    figure=common.reconstructions,
)  # fmt: skip
