"""VAE-WGAN, §4.1: the time of one picture at test.

Claim: the model takes 0.012 s for one picture of 64x64, on one GTX 1080Ti.

Command: mien reproduce vae_wgan/timing --scale smoke|small|paper
Time on two cores: smoke 10 s; small 5 min (mostly the preparation of the pictures); paper the same.
Time on one GPU, not measured: small 5 min; paper the same.

The paper does not say how many pictures were processed at once, or whether the time is that of a reconstruction or of a
sample. Here, one picture at a time is encoded and decoded. The time does not depend on the values of the weights, so
one update is enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mien.recipes import common
from mien.recipes.recipe import Claim, Effort, Number, Recipe, Row, Run, Scale

if TYPE_CHECKING:
    from mien.recipes.trained import Trained

GAN, REPORTED = "VAE-WGAN", 0.012
ONE, SAMPLE = "seconds to encode and decode one picture", "seconds to generate one picture"
ONCE = Effort(steps=1, training={"batch": 16})


def extra(trained: Trained) -> Mapping[str, Number]:
    """Return the times of one reconstruction and of one sample."""
    import torch

    from mien.applications import reconstruct

    model, x = trained.model(GAN), trained.pictures(1)
    z = torch.zeros(1, model.latent, device=trained.device)

    def sample() -> None:
        with torch.inference_mode():
            model.decode(z)

    return {
        ONE: common.seconds(lambda: reconstruct(model, x), trained.device, rounds=21),
        SAMPLE: common.seconds(sample, trained.device, rounds=21),
    }


RECIPE = Recipe(
    title="Time of one picture",
    source="Hou et al. 2019, §4.1, on a GTX 1080Ti",
    runs={"loss network": common.LOSS_NETWORK, GAN: Run("vae_wgan", uses={"loss_network": "loss network"})},
    scales={
        "smoke": Scale(common.AVATARS, {"attribute_cnn": common.TINY_CNN, "vae_wgan": common.TINY_VAE}),
        "small": Scale(common.CELEBA64, {"attribute_cnn": ONCE, "vae_wgan": ONCE}),
        "paper": Scale(common.CELEBA64, {"attribute_cnn": ONCE, "vae_wgan": ONCE}),
    },
    measures=(),
    rows=[Row(ONE, reported=REPORTED, unit="s", digits=4), Row(SAMPLE, unit="s", digits=4)],
    claims=[
        Claim("One picture takes less than 0.012 s on this machine", lambda result: result.below(ONE, REPORTED)),
    ],
    figure=common.reconstructions,
    extra=extra,
)  # fmt: skip
