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

from mien.recipes import common
from mien.recipes.recipe import Claim, Effort, Recipe, Row, Run, Scale
from mien.recipes.vae_wgan.pictures import DFC, OF_LOSS, OURS, PIXELS, PLAIN

GANS = {"DCGAN": "dcgan", "WGAN": "wgan", "LSGAN": "ls_gan", "VAE/GAN": "vae_gan"}
NAMES = (OURS, *GANS, DFC, PLAIN)
SCORE, FID = "inception score", "feature-FID of samples"
MODELS = ("vae_wgan", "dfc_vae", "vae", *GANS.values())

RECIPE = Recipe(
    title="Fig. 3: samples of faces by seven models",
    source="Hou et al. 2019, Fig. 3, numbers not readable",
    runs={
        "judge": common.JUDGE,
        "loss network": common.LOSS_NETWORK,
        OURS: Run("vae_wgan", uses=OF_LOSS),
        DFC: Run("dfc_vae", {"layers": (1, 2, 3)}, OF_LOSS),
        PLAIN: Run("vae"),
        **{name: Run(model) for name, model in GANS.items()},
    },
    scales={
        "smoke": Scale(
            common.AVATARS, {"attribute_cnn": common.TINY_CNN, **dict.fromkeys(MODELS, common.TINY_VAE)},
            omitted=("inception2k",),
        ),
        "small": Scale(
            common.CELEBA32,
            {
                "attribute_cnn": common.SMALL_CNN,
                **dict.fromkeys(("vae_wgan", "dfc_vae"), common.SMALL_VAE_WGAN),
                "vae": PIXELS,
                **dict.fromkeys(GANS.values(), common.SMALL_BASELINE),
            },
            seeds=(0, 1, 2),
        ),
        "paper": Scale(
            common.CELEBA64,
            {
                "attribute_cnn": common.PAPER_CNN,
                **dict.fromkeys(("vae_wgan", "dfc_vae"), Effort(epochs=5, settings=common.VGG19)),
                **dict.fromkeys(("vae", *GANS.values()), Effort(epochs=5)),
            },
            held_out=10_000,
        ),
    },
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
