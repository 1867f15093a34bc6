"""SelfExGAN, §3.2: the related systems BiGAN, AGE, IVE-GAN and VAE/GAN on MNIST (no experiment in the thesis).

Claim: SelfExGAN reconstructs without a reconstruction loss. That it does so better than the related systems that also
have none (BiGAN, IVE-GAN) is this recipe's own reading.

Command: mien reproduce selfexgan/related --scale smoke|small|paper
Time on two cores, not measured: smoke 20 s; small 90 min (5 models, 3 seeds); paper about 5 days.
Time on one GPU, not measured: small 15 min; paper 20 h.

The thesis describes these systems and compares no numbers. Here, an independent judge names the classes of pictures and
of their reconstructions: they agree by chance in a tenth of the cases. AGE and VAE/GAN have reconstruction losses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mien.recipes import common, families
from mien.recipes.families import GAN, KEPT, OWN
from mien.recipes.recipe import Claim, Effort, Number, Recipe, Row, Run, Scale, exceeds

if TYPE_CHECKING:
    from mien.recipes.trained import Trained

RELATED = {"BiGAN": "bigan", "AGE": "age", "IVE-GAN": "ive_gan", "VAE/GAN": "vae_gan"}
NAMES, FID = (GAN, *RELATED), "feature-FID of samples"


def extra(trained: Trained) -> Mapping[str, Number]:
    """Return how many reconstructions are nearer to their own picture than to another one, by model."""
    return {f"{OWN}, {name}": families.own_picture(trained, name) for name in trained.names}


RECIPE = Recipe(
    title="Related systems on MNIST",
    source="Liu 2018, §3.2, without numbers",
    runs={"judge": common.JUDGE, GAN: Run("selfexgan"), **{name: Run(model) for name, model in RELATED.items()}},
    scales={
        "smoke": Scale(
            common.DIGITS32,
            {
                "attribute_cnn": common.TINY_CNN,
                "selfexgan": common.TINY_SELFEX,
                **dict.fromkeys(RELATED.values(), common.TINY_VAE),
            },
        ),
        "small": Scale(
            common.MNIST32,
            {
                "attribute_cnn": common.SMALL_CNN,
                "selfexgan": common.SMALL_SELFEX,
                **dict.fromkeys(RELATED.values(), Effort(1400, settings={"width": 16})),
            },
            seeds=(0, 1, 2),
        ),
        "paper": Scale(
            common.MNIST32,
            {"attribute_cnn": common.PAPER_CNN, "selfexgan": Effort(settings={"table": "mnist"})},
            held_out=10_000,
        ),
    },
    measures=("classes", "feature_fid"),
    rows=[
        *[Row(f"{KEPT}, {name}", name, "classes.agreement.accuracy", unit="%", digits=1) for name in NAMES],
        *[Row(f"{OWN}, {name}", unit="%", digits=1) for name in NAMES],
        *[Row(f"{FID}, {name}", name, "feature_fid.samples", digits=2) for name in NAMES],
    ],
    claims=[
        Claim(f"Reconstructions keep the class more often than those of {name}",
              exceeds(f"{KEPT}, {GAN}", f"{KEPT}, {name}"))
        for name in ("BiGAN", "IVE-GAN")
    ],
    figure=common.reconstructions,
    extra=extra,
    departures="The related systems are built after their own papers.",
)  # fmt: skip
