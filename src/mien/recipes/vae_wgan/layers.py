"""VAE-WGAN, Fig. 7: one layer of the loss network at a time (§4.2.3).

Claim: with the lowest layer, generated pictures are very blurry; with higher layers, they are much sharper, but the
structure of eyes and mouths is not preserved.

Command: mien reproduce vae_wgan/layers --scale smoke|small|paper
Time on two cores: smoke 15 s; small 45 min (5 models, those of vae_wgan/table1); paper about 10 days.
Time on one GPU, not measured: small 7 min; paper 2 days.

The paper gives no numbers. Here, the share of edges that reconstructions keep stands for sharpness, and SSIM for the
structure.
"""

from __future__ import annotations

from mien.recipes import common
from mien.recipes.recipe import Claim, Effort, Recipe, Row, Run, Scale

LAYERS = range(1, 6)


RECIPE = Recipe(
    title="Fig. 7: one layer of the loss network at a time",
    source="Hou et al. 2019, Fig. 7, without numbers",
    runs={
        "loss network": common.LOSS_NETWORK,
        **{f"layer {i}": Run("vae_wgan", {"layers": (i,)}, {"loss_network": "loss network"}) for i in LAYERS},
    },
    scales={
        "smoke": Scale(
            common.AVATARS,
            {"attribute_cnn": common.TINY_CNN, "vae_wgan": common.TINY_VAE},
            runs=("layer 1", "layer 5"),
        ),
        "small": Scale(common.CELEBA32, {"attribute_cnn": common.SMALL_CNN, "vae_wgan": common.SMALL_VAE_WGAN}),
        "paper": Scale(common.CELEBA64, {"vae_wgan": Effort(epochs=5, settings=common.VGG19)}, held_out=10_000),
    },
    measures=("reconstruction",),
    rows=[
        *[Row(f"edges, layer {i}", unit="%", digits=1) for i in LAYERS],
        *[Row(f"SSIM, layer {i}", f"layer {i}", "reconstruction.ssim") for i in LAYERS],
    ],
    claims=[
        Claim("With layer 5, reconstructions are sharper than with layer 1",
              lambda result: result.exceeds("edges, layer 5", "edges, layer 1")),
        Claim("With layer 5, the structure is preserved worse than with layer 1: SSIM",
              lambda result: result.exceeds("SSIM, layer 1", "SSIM, layer 5")),
    ],
    figure=common.samples,
    extra=common.edges,
)  # fmt: skip
