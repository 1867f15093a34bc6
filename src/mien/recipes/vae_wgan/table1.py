"""VAE-WGAN, Table 1 and Fig. 14: 40 attributes of faces from the latents of five models, one per loss layer (§4.4).

Claim: the latents of the five models side by side (500 numbers) predict attributes with linear SVMs better than those
of one model that uses several layers, and better than published networks.

Command: mien reproduce vae_wgan/table1 --scale smoke|small|paper
Time on two cores: smoke 15 s; small 70 min (7 models of 2,500 steps); paper about 2 weeks.
Time on one GPU, not measured: small 10 min; paper 3 days.

At the scale small, an attribute_cnn that was trained on half of the training pictures is the loss network, in place of
VGG-19, so the loss layers know attributes. C of the SVMs is .001: 500 numbers are too many for C = 1 and 7,200
pictures. The paper does not print its C.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mien.recipes import common
from mien.recipes.common import one
from mien.recipes.recipe import Claim, Effort, Number, Recipe, Row, Run, Scale
from mien.recipes.vae_wgan_table1 import PUBLISHED, compare

if TYPE_CHECKING:
    from mien.recipes.trained import Trained

TOGETHER, C, MOST = "five layers together", 0.001, 20_000  # MOST training pictures of the SVMs
LAYERS = tuple(f"layer {layer}" for layer in range(1, 6))
BESIDE = {"VAE-123": (1, 2, 3), "VAE-345": (3, 4, 5)}
OTHERS = ("LNets+ANet", "PANDA-l", "FaceTracer", "VGG-FC", "PANDA-w")  # only the paper has their numbers
OF_LOSS = {"loss_network": "loss network"}


def extra(trained: Trained) -> Mapping[str, Number]:
    """Return the accuracy of each model alone and of the five together, and the paired differences."""
    opened = {name: trained.open(name) for name in trained.names}
    together = [name for name in opened if name in LAYERS]
    result = compare(opened, together, MOST, C, trained.note)
    n, joint = result["n"], result["multi-view"]
    numbers = {name: one(row["mean_accuracy"], n, row["sem"]) for name, row in result["alone"].items()}
    gains = {f"together minus {name}": one(g["mean"], n, g["sem"]) for name, g in result["gain"].items()}
    always = {"always the commoner value": one(result["majority_baseline"], n)}
    return {TOGETHER: one(joint["mean_accuracy"], n, joint["sem"]), **numbers, **gains, **always}


RECIPE = Recipe(
    title="Table 1: attributes from the latents of five models together",
    source="Hou et al. 2019, Table 1, mean accuracy over 40 attributes of 20,000 faces",
    runs={
        "loss network": common.LOSS_NETWORK,
        **{f"layer {i}": Run("vae_wgan", {"layers": (i,)}, OF_LOSS) for i in range(1, 6)},
        **{name: Run("dfc_vae", {"layers": layers}, OF_LOSS) for name, layers in BESIDE.items()},
    },
    scales={
        "smoke": Scale(
            common.AVATARS,
            {"attribute_cnn": common.TINY_CNN, "vae_wgan": common.TINY_VAE, "dfc_vae": common.TINY_VAE},
            runs=("layer 1", "layer 5", "VAE-345"),
        ),
        "small": Scale(
            common.CELEBA32,
            {
                "attribute_cnn": common.SMALL_CNN,
                "vae_wgan": common.SMALL_VAE_WGAN,
                "dfc_vae": common.SMALL_VAE_WGAN,
            },
        ),
        "paper": Scale(
            common.CELEBA64,
            {name: Effort(epochs=5, settings=common.VGG19) for name in ("vae_wgan", "dfc_vae")},
            held_out=20_000,
        ),
    },
    measures=(),
    rows=[
        Row(TOGETHER, reported=PUBLISHED["VAE-WGAN, multi-view"], unit="%", digits=2),
        *[Row(name, reported=PUBLISHED.get(name), unit="%", digits=2)
          for name in (*BESIDE, *LAYERS)],
        *[Row(f"together minus {name}", unit="points", digits=2) for name in (*BESIDE, *LAYERS)],
        Row("always the commoner value", unit="%", digits=2),
        *[Row(name, reported=PUBLISHED[name], unit="%") for name in OTHERS],
    ],
    claims=[
        Claim("Five models of one loss layer each, together, predict attributes better than VAE-345",
              lambda result: result.above("together minus VAE-345")),
        Claim("They predict attributes better than VAE-123", lambda result: result.above("together minus VAE-123")),
        Claim("They predict attributes better than each of the five alone",
              lambda result: result.every(*(result.above(f"together minus {name}") for name in LAYERS))),
    ],
    figure=common.reconstructions,
    extra=extra,
    departures="LNets+ANet, PANDA, FaceTracer and VGG-FC are not repeated: their numbers are the paper's.",
)  # fmt: skip
