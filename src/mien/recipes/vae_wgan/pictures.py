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

from mien.recipes import common, families
from mien.recipes.families import DFC, OURS
from mien.recipes.families import PLAIN_VAE as PLAIN
from mien.recipes.recipe import Claim, Number, Recipe, Row

if TYPE_CHECKING:
    from mien.recipes.trained import Trained

NAMES = (OURS, DFC, PLAIN)
SHARP, FID = "edges of reconstructions", "feature-FID of samples"


def extra(trained: Trained) -> Mapping[str, Number]:
    """Return the sharpness of the reconstructions of each model."""
    return {f"{SHARP}, {name}": common.sharpness(trained, name) for name in trained.names}


RECIPE = Recipe(
    title="Fig. 3 to 6: samples and reconstructions by VAE-WGAN, DFC-VAE and the plain VAE",
    source="Hou et al. 2019, Fig. 3 to 6, numbers not readable",
    runs=families.generators({}),
    scales=families.generator_scales({}, common.CELEBA32, common.CELEBA64, seeds=(0, 1, 2)),
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
