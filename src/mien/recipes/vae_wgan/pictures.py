"""VAE-WGAN, Fig. 3 to 6: samples and reconstructions by several models (§4.2.1, §4.2.2).

Claim: VAE-WGAN has the highest inception score of all models; plain VAE's pictures are very blurry; VAE-WGAN
reconstructs better than plain VAE and DFC-VAE.

Command: mien reproduce vae_wgan/pictures --scale smoke|small|paper
Time on two cores: smoke 15 s; small 70 min (3 models, 3 seeds); paper about 4 days.
Time on one GPU, not measured: small 10 min; paper 20 h.

The paper prints its inception scores inside the figures, from which they cannot be read. Inception's weights are not at
hand at every scale, so the distance of samples from pictures on a judge's features stands for the score, and the share
of edges that reconstructions keep stands for sharpness. LPIPS and inception scores: mien evaluate RUN --metric.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mien.recipes import common
from mien.recipes.recipe import Claim, Effort, Number, Recipe, Row, Run, Scale

if TYPE_CHECKING:
    from mien.recipes.trained import Trained

OURS, PLAIN, DFC = "VAE-WGAN", "Plain-VAE", "DFC-VAE"
NAMES = (OURS, DFC, PLAIN)
SHARP, FID = "edges of reconstructions", "feature-FID of samples"
OF_LOSS = {"loss_network": "loss network"}
PIXELS = Effort(2500, settings={"width": 16, "lr": 3e-3, "betas": (0.9, 0.99)}, training={"batch": 32, "ema": 0.99})


def extra(trained: Trained) -> Mapping[str, Number]:
    """Return the sharpness of the reconstructions of each model."""
    return {f"{SHARP}, {name}": common.sharpness(trained, name) for name in trained.names}


RECIPE = Recipe(
    title="Fig. 3 to 6: samples and reconstructions by VAE-WGAN, DFC-VAE and the plain VAE",
    source="Hou et al. 2019, Fig. 3 to 6, numbers not readable",
    runs={
        "judge": common.JUDGE,
        "loss network": common.LOSS_NETWORK,
        OURS: Run("vae_wgan", uses=OF_LOSS),
        DFC: Run("dfc_vae", {"layers": (1, 2, 3)}, OF_LOSS),
        PLAIN: Run("vae"),
    },
    scales={
        "smoke": Scale(
            common.AVATARS,
            {"attribute_cnn": common.TINY_CNN, **dict.fromkeys(("vae_wgan", "dfc_vae", "vae"), common.TINY_VAE)},
        ),
        "small": Scale(
            common.CELEBA32,
            {
                "attribute_cnn": common.SMALL_CNN,
                **dict.fromkeys(("vae_wgan", "dfc_vae"), common.SMALL_VAE_WGAN),
                "vae": PIXELS,
            },
            seeds=(0, 1, 2),
        ),
        "paper": Scale(
            common.CELEBA64,
            {
                "attribute_cnn": common.PAPER_CNN,
                **dict.fromkeys(("vae_wgan", "dfc_vae"), Effort(epochs=5, settings=common.VGG19)),
                "vae": Effort(epochs=5),
            },
            held_out=10_000,
        ),
    },
    measures=("reconstruction", "feature_fid"),
    rows=[
        *[Row(f"{FID}, {name}", name, "feature_fid.samples", digits=2) for name in NAMES],
        *[Row(f"{SHARP}, {name}", unit="%", digits=1) for name in NAMES],
        *[Row(f"PSNR, {name}", name, "reconstruction.psnr_db", unit="dB", digits=2) for name in NAMES],
        *[Row(f"SSIM, {name}", name, "reconstruction.ssim") for name in NAMES],
    ],
    claims=[
        Claim("VAE-WGAN's samples are nearer to pictures than those of DFC-VAE and of the plain VAE",
              lambda result: result.every(*(result.exceeds(f"{FID}, {name}", f"{FID}, {OURS}") for name in NAMES[1:]))),
        Claim("The plain VAE's reconstructions are more blurred than VAE-WGAN's",
              lambda result: result.exceeds(f"{SHARP}, {OURS}", f"{SHARP}, {PLAIN}")),
        Claim("VAE-WGAN preserves the structure of pictures better than DFC-VAE: SSIM",
              lambda result: result.exceeds(f"SSIM, {OURS}", f"SSIM, {DFC}")),
    ],
    figure=common.reconstructions,
    extra=extra,
    departures="DCGAN, WGAN, VAE/GAN and LSGAN are in vae_wgan/samples, and CIFAR-10 in vae_wgan/cifar10.",
)  # fmt: skip
