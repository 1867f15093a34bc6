"""SSAVAE, Fig. 10: reconstructions of CIFAR-10 (§3.5).

Claim: with K = 100, α_i = 1, β = .001 and γ = 0, the model reconstructs photographs.

Command: mien reproduce ssavae/cifar10 --scale smoke|small|paper
Time on two cores, not measured: smoke 15 s; small 60 min (2 models, 3 seeds); paper about 8 h.
Time on one GPU, not measured: small 8 min; paper 1 h.

The paper shows pairs of pictures. Here, the share of held-out pictures whose reconstruction is nearer to them than to
another picture stands for reconstruction, and the share of edges that it keeps for sharpness, beside the plain VAE.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mien.recipes import common, families
from mien.recipes.recipe import Claim, Effort, Number, Pictures, Recipe, Row, Run, Scale

if TYPE_CHECKING:
    from mien.recipes.trained import Trained

OURS, PLAIN = "SSAVAE", "VAE"
NAMES, OWN = (OURS, PLAIN), families.OWN
CIFAR = Pictures("cifar10", 32)


def extra(trained: Trained) -> Mapping[str, Number]:
    """Return how many reconstructions are nearest to their own picture, and how sharp they are."""
    own = {f"{OWN}, {name}": families.own_picture(trained, name) for name in trained.names}
    return {**own, **common.edges(trained)}


RECIPE = Recipe(
    title="Fig. 10: reconstructions of CIFAR-10",
    source="Zemouri 2020, Fig. 10, pictures without numbers",
    runs={
        OURS: Run("ssavae", {"latent": 100, "alphas": (1.0, 1.0, 1.0), "beta": 0.001, "gamma": 0.0}),
        PLAIN: Run("vae", {"latent": 100}),
    },
    scales={
        "smoke": Scale(common.DIGITS32, {"ssavae": common.TINY_SSAVAE, "vae": common.TINY_VAE}),
        "small": Scale(
            CIFAR,
            {"ssavae": common.SMALL_SSAVAE, "vae": Effort(800, settings={"width": 16, "lr": 1e-3})},
            seeds=(0, 1, 2),
        ),
        "paper": Scale(CIFAR, held_out=10_000),
    },
    measures=("classes", "reconstruction"),
    rows=[
        *[Row(f"{OWN}, {name}", unit="%", digits=1) for name in NAMES],
        *[Row(f"edges, {name}", unit="%", digits=1) for name in NAMES],
        *[Row(f"PSNR, {name}", name, "reconstruction.psnr_db", unit="dB", digits=2) for name in NAMES],
        Row("class accuracy, SSAVAE", OURS, "classes.recognition.accuracy", unit="%", digits=1),
    ],
    claims=[
        Claim("Reconstructions resemble their pictures: more than 90 % are nearer to their own picture",
              lambda result: result.above(f"{OWN}, {OURS}", 0.9)),
        Claim("They are sharper than those of the plain VAE",
              lambda result: result.exceeds(f"edges, {OURS}", f"edges, {PLAIN}")),
    ],
    figure=common.reconstructions,
    extra=extra,
)  # fmt: skip
