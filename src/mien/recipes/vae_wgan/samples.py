"""VAE-WGAN, Fig. 3: samples of faces by seven models, with their inception scores (§4.2.1).

Claim: VAE-WGAN has the highest inception score of all models; plain VAE's samples are very blurry.

Command: mien reproduce vae_wgan/samples --scale smoke|small|paper
Time on two cores, not measured: smoke 25 s; small 3 h (7 models, 3 seeds; some of vae_wgan/pictures); paper 2 weeks.
Time on one GPU, not measured: small 25 min; paper 2 days.

The paper prints its inception scores inside the figure, from which they cannot be read. Ours need Inception's weights
(see mien measure --help); without them, the rows stay empty. The distance of samples from pictures on the features of a
judge needs no weights. LSGAN is the loss-sensitive GAN, the paper's reference [41].
"""

from __future__ import annotations

from mien.recipes import common, families
from mien.recipes.families import DFC, OURS
from mien.recipes.families import PLAIN_VAE as PLAIN
from mien.recipes.recipe import Claim, Recipe, Row

GANS = {"DCGAN": "dcgan", "WGAN": "wgan", "LSGAN": "ls_gan", "VAE/GAN": "vae_gan"}
NAMES = (OURS, *GANS, DFC, PLAIN)
SCORE, FID = "inception score", "feature-FID of samples"

RECIPE = Recipe(
    title="Fig. 3: samples of faces by seven models",
    source="Hou et al. 2019, Fig. 3, numbers not readable",
    runs=families.generators(GANS),
    scales=families.generator_scales(GANS, common.CELEBA32, common.CELEBA64, seeds=(0, 1, 2), omitted=("inception2k",)),
    measures=("feature_fid", "inception2k"),
    rows=[
        *[Row(f"{SCORE}, {name}", name, "inception2k.value", digits=2) for name in NAMES],
        *[Row(f"{FID}, {name}", name, "feature_fid.samples", digits=2) for name in NAMES],
    ],
    claims=[
        Claim("VAE-WGAN has the highest inception score of the seven models",
              lambda result: result.every(*(result.exceeds(f"{SCORE}, {OURS}", f"{SCORE}, {name}")
                                            for name in NAMES[1:]))),
        Claim("Its samples are nearest to pictures on the features of a judge",
              lambda result: result.every(*(result.exceeds(f"{FID}, {name}", f"{FID}, {OURS}") for name in NAMES[1:]))),
    ],
    figure=common.samples,
    departures="DCGAN, WGAN, LSGAN and VAE/GAN are built after their own papers; the compared paper gives no settings.",
)  # fmt: skip
