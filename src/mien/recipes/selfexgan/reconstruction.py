"""SelfExGAN, Fig. 4.1: pictures, reconstructions and samples of MNIST (§4.1.2).

Claim: without any reconstruction loss, G(E(x)) reconstructs x, and G(z) of random z gives new digits.

Command: mien reproduce selfexgan/reconstruction --scale smoke|small|paper
Time on two cores: smoke 10 s; small 30 min (3 seeds and a judge); paper about 2 days.
Time on one GPU, not measured: small 6 min; paper 8 h.

The thesis shows pictures. Here, an independent judge names the classes of pictures and of their reconstructions: they
agree by chance in a tenth of the cases. The scale paper has the networks of table 4.1; it
trains on all pictures, the thesis on 30,000.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mien.recipes import common, families
from mien.recipes.recipe import Claim, Recipe, Row, Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mien.recipes.trained import Trained

GAN = "SelfExGAN"


def figure(trained: Trained) -> Figure:
    """Draw held-out pictures, their reconstructions, and samples."""
    import torch

    from mien.applications import generate, reconstruct

    x, model = trained.pictures(common.SHOWN), trained.model(GAN)
    rows = [x.cpu(), reconstruct(model, x).cpu(), generate(model, common.SHOWN, trained.seed)]
    return common.bands(torch.stack(rows), ["real", "reconstructed", "samples"], "pictures, reconstructions, samples")


RECIPE = Recipe(
    title="Fig. 4.1: reconstructions and samples of MNIST",
    source="Liu 2018, Fig. 4.1, pictures without numbers",
    runs={"judge": common.JUDGE, GAN: Run("selfexgan")},
    scales=families.thesis_scales(common.MNIST32, common.MNIST32, "mnist", common.DIGITS32),
    measures=("classes", "reconstruction", "feature_fid"),
    rows=[
        Row("class of x and of its reconstruction agree", GAN, "classes.agreement.accuracy", unit="%", digits=1),
        Row("judge's accuracy on the pictures", GAN, "classes.judge_on_real.accuracy", unit="%", digits=1),
        Row("linear SVM on the latents", GAN, "classes.latent_svm.accuracy", unit="%", digits=1),
        Row("PSNR", GAN, "reconstruction.psnr_db", unit="dB", digits=2),
        Row("feature-FID of samples", GAN, "feature_fid.samples", digits=2),
        Row("feature-FID of real pictures", GAN, "feature_fid.real_against_real", digits=2),
    ],
    claims=[
        Claim("Reconstructions keep the digit: more than half of the classes agree",
              lambda result: result.above("class of x and of its reconstruction agree", 0.5)),
    ],
    figure=figure,
)  # fmt: skip
