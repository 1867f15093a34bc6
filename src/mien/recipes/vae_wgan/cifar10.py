"""VAE-WGAN, Fig. 4 and 6: samples and reconstructions of CIFAR-10 (§4.2.1, §4.2.2).

Claim: also on CIFAR-10, VAE-WGAN has the highest inception score and reconstructs better than plain VAE and DFC-VAE.

Command: mien reproduce vae_wgan/cifar10 --scale smoke|small|paper
Time on two cores, not measured: smoke 25 s; small 2 h (7 models); paper about 4 days.
Time on one GPU, not measured: small 20 min; paper 12 h.

The paper prints its inception scores inside the figure, from which they cannot be read. Ours need Inception's weights;
without them, the rows stay empty. At the scale small, an attribute_cnn that was trained on half of the training
pictures is the loss network, in place of VGG-19, so the loss knows the classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mien.recipes import common, families
from mien.recipes.families import DFC, OURS
from mien.recipes.families import PLAIN_VAE as PLAIN
from mien.recipes.recipe import Claim, Number, Pictures, Recipe, Row
from mien.recipes.vae_wgan.pictures import SHARP
from mien.recipes.vae_wgan.samples import FID, GANS, NAMES, SCORE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mien.recipes.trained import Trained

CIFAR = Pictures("cifar10", 32)
DECODERS = (OURS, "VAE/GAN", DFC, PLAIN)


def extra(trained: Trained) -> Mapping[str, Number]:
    """Return the sharpness of the reconstructions of the models that reconstruct."""
    return {f"{SHARP}, {name}": common.sharpness(trained, name) for name in DECODERS}


def figure(trained: Trained) -> Figure:
    """Draw held-out pictures with their reconstructions, and samples, by each model that has them."""
    import torch

    from mien.applications import generate, reconstruct

    x = trained.pictures(common.SHOWN)
    rows = [x.cpu(), *(reconstruct(trained.model(name), x).cpu() for name in DECODERS)]
    samples = [generate(trained.model(name), common.SHOWN, trained.seed) for name in trained.names]
    labels = ["real", *(f"{name}, rebuilt" for name in DECODERS), *(f"{name}, sample" for name in trained.names)]
    return common.bands(torch.stack([*rows, *samples]), labels, "reconstructions and samples of CIFAR-10")


RECIPE = Recipe(
    title="Fig. 4 and 6: samples and reconstructions of CIFAR-10",
    source="Hou et al. 2019, Fig. 4 and 6, numbers not readable",
    runs=families.generators(GANS),
    scales=families.generator_scales(GANS, CIFAR, CIFAR, omitted=("inception2k",)),
    measures=("reconstruction", "feature_fid", "inception2k"),
    rows=[
        *[Row(f"{SCORE}, {name}", name, "inception2k.value", digits=2) for name in NAMES],
        *[Row(f"{FID}, {name}", name, "feature_fid.samples", digits=2) for name in NAMES],
        *[Row(f"{SHARP}, {name}", unit="%", digits=1) for name in DECODERS],
        *[Row(f"SSIM, {name}", name, "reconstruction.ssim") for name in DECODERS],
    ],
    claims=[
        Claim("VAE-WGAN has the highest inception score of the seven models",
              lambda result: result.every(*(result.exceeds(f"{SCORE}, {OURS}", f"{SCORE}, {name}")
                                            for name in NAMES[1:]))),
        Claim("VAE-WGAN's samples are nearer to pictures than those of DFC-VAE and of the plain VAE",
              lambda result: result.every(*(result.exceeds(f"{FID}, {name}", f"{FID}, {OURS}")
                                            for name in (DFC, PLAIN)))),
        Claim("The plain VAE's reconstructions are more blurred than VAE-WGAN's",
              lambda result: result.exceeds(f"{SHARP}, {OURS}", f"{SHARP}, {PLAIN}")),
    ],
    figure=figure,
    extra=extra,
    departures="DCGAN, WGAN, LSGAN and VAE/GAN are built after their own papers; the compared paper gives no settings.",
)  # fmt: skip
