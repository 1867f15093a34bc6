"""VAE-WGAN, Fig. 8 to 10: the weights α of the KL and β of the reconstruction (§4.2.4).

Claim: with a large β, pictures are reconstructed better, but samples have unusual shapes; with a large α and a small β,
samples look like the reconstructions, and both are poor. α = 1 and β = .5 are a good balance.

Command: mien reproduce vae_wgan/weights --scale smoke|small|paper
Time on two cores: smoke 15 s; small 45 min (4 models); paper about 8 days.
Time on one GPU, not measured: small 7 min; paper 30 h.

The paper shows pictures. Here, SSIM stands for the quality of reconstructions, and the distance from pictures on a
judge's features for the quality of samples. β = 0 (Fig. 10) leaves the reconstruction to the critic.
"""

from __future__ import annotations

from mien.recipes import common
from mien.recipes.recipe import Claim, Effort, Recipe, Row, Run, Scale

WEIGHTS = {"α 1, β 0.5": (1.0, 0.5), "α 1, β 0.01": (1.0, 0.01), "α 0.01, β 1": (0.01, 1.0), "α 1, β 0": (1.0, 0.0)}
USUAL, KL, FEATURES, NONE = WEIGHTS
FID, SSIM = "feature-FID of samples", "SSIM"

RECIPE = Recipe(
    title="Fig. 8 to 10: weights of KL and reconstruction",
    source="Hou et al. 2019, Fig. 8 to 10, pictures without numbers",
    runs={
        "judge": common.JUDGE,
        "loss network": common.LOSS_NETWORK,
        **{
            name: Run("vae_wgan", {"alpha": alpha, "beta": beta}, {"loss_network": "loss network"})
            for name, (alpha, beta) in WEIGHTS.items()
        },
    },
    scales={
        "smoke": Scale(common.AVATARS, {"attribute_cnn": common.TINY_CNN, "vae_wgan": common.TINY_VAE}),
        "small": Scale(common.CELEBA32, {"attribute_cnn": common.SMALL_CNN, "vae_wgan": common.SMALL_VAE_WGAN}),
        "paper": Scale(
            common.CELEBA64,
            {"attribute_cnn": common.PAPER_CNN, "vae_wgan": Effort(epochs=5, settings=common.VGG19)},
            held_out=10_000,
        ),
    },
    measures=("reconstruction", "feature_fid"),
    rows=[
        *[Row(f"{FID}, {name}", name, "feature_fid.samples", digits=2) for name in WEIGHTS],
        *[Row(f"{SSIM}, {name}", name, "reconstruction.ssim") for name in WEIGHTS],
        *[Row(f"KL, {name}", name, "reconstruction.kl_nats", unit="nats", digits=1) for name in WEIGHTS],
    ],
    claims=[
        Claim("With a large β, pictures are reconstructed better than with the usual weights: SSIM",
              lambda result: result.exceeds(f"{SSIM}, {FEATURES}", f"{SSIM}, {USUAL}")),
        Claim("With a large β, samples are farther from pictures",
              lambda result: result.exceeds(f"{FID}, {FEATURES}", f"{FID}, {USUAL}")),
        Claim("With a large α and a small β, samples are farther from pictures",
              lambda result: result.exceeds(f"{FID}, {KL}", f"{FID}, {USUAL}")),
    ],
    figure=common.samples,
)  # fmt: skip
