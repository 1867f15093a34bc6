"""Residual GAN, Fig. 4, second rows: the same edits by VAE/GAN's attribute vectors (§6.1).

Claim: VAE/GAN changes many details, such as hair, skin and background, where the residual GAN changes the attribute
only.

Command: mien reproduce residual_gan/details --scale smoke|small|paper
Time on two cores, not measured: smoke 15 s; small 40 min (3 models, 3 seeds, a judge); paper about 3 weeks.
Time on one GPU, not measured: small 10 min; paper 2 days.

The paper shows pictures. Here, Eyeglasses and Smiling are reversed. An independent judge says in how many faces it sees
the reversed attribute, and how much its probabilities of the other attributes change. The change of pixels is the mean
of |x̃ - x| with pictures in [-1, 1]; that of VAE/GAN contains the error of its reconstructions, as in the paper's
figure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mien.recipes import common, judging
from mien.recipes.recipe import Claim, Number, Recipe, Row, Run, Scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from mien.recipes.trained import Trained

ATTRIBUTES, VECTORS, OURS = ("Eyeglasses", "Smiling"), "VAE/GAN", "residual GAN"
METHODS, MOST = (OURS, VECTORS), 500
REVERSED, OTHERS, PIXELS = "attribute reversed", "change of other attributes", "change of pixels"


def edits(trained: Trained, method: str, name: str, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the edited pictures, the reversed attributes and the changes of others, see :func:`judging.reverse`."""
    run = name if method == OURS else VECTORS
    return judging.reverse(trained.judge(), trained.open(run).editor(), x, name)


def extra(trained: Trained) -> Mapping[str, Number]:
    """Return the means over both attributes for each method."""
    import torch

    x, numbers = trained.pictures(min(MOST, trained.held_out)), {}
    for method in METHODS:
        parts = [edits(trained, method, name, x) for name in ATTRIBUTES]
        numbers[f"{REVERSED}, {method}"] = common.mean(torch.stack([part[1] for part in parts]).mean(0))
        numbers[f"{OTHERS}, {method}"] = common.mean(torch.stack([part[2] for part in parts]).mean(0))
        change = [(part[0] - x.cpu()).abs().flatten(1).mean(1) for part in parts]
        numbers[f"{PIXELS}, {method}"] = common.mean(torch.stack(change).mean(0))
    return numbers


def figure(trained: Trained) -> Figure:
    """Draw held-out pictures with both edits by both methods."""
    import torch

    x, rows, labels = trained.pictures(common.SHOWN), [], ["real"]
    for name in ATTRIBUTES:
        for method in METHODS:
            rows.append(edits(trained, method, name, x)[0])
            labels.append(f"{name}, {method}")
    return common.bands(torch.stack([x.cpu(), *rows]), labels, "edits by residual images and by vectors")


RECIPE = Recipe(
    title="Fig. 4: residual images against VAE/GAN's attribute vectors",
    source="Shen & Liu 2017, Fig. 4, pictures without numbers",
    runs={
        "judge": common.JUDGE,
        **{name: Run("residual_gan", {"attribute": name}) for name in ATTRIBUTES},
        VECTORS: Run("vae_gan"),
    },
    scales={
        "smoke": Scale(
            common.AVATARS,
            {
                "attribute_cnn": common.TINY_CNN,
                "residual_gan": common.TINY_RESIDUAL,
                "vae_gan": common.TINY_VAE,
            },
        ),
        "small": Scale(
            common.CELEBA32,
            {**common.SMALL_EDITOR, "vae_gan": common.SMALL_BASELINE},
            seeds=(0, 1, 2),
        ),
        "paper": Scale(
            common.CELEBA128,
            common.PAPER_EDITOR,
        ),
    },
    measures=(),
    rows=[
        *[Row(f"{kind}, {method}", unit="%", digits=1) for kind in (REVERSED, OTHERS) for method in METHODS],
        *[Row(f"{PIXELS}, {method}", digits=4) for method in METHODS],
    ],
    claims=[
        # an edit that does nothing changes nothing else either
        Claim("The residual GAN reverses attributes and changes fewer pixels than VAE/GAN",
              lambda result: result.every(result.above(f"{REVERSED}, {OURS}", 0.5),
                                          result.exceeds(f"{PIXELS}, {VECTORS}", f"{PIXELS}, {OURS}"))),
        Claim("It reverses attributes and changes the other attributes less than VAE/GAN",
              lambda result: result.every(result.above(f"{REVERSED}, {OURS}", 0.5),
                                          result.exceeds(f"{OTHERS}, {VECTORS}", f"{OTHERS}, {OURS}"))),
    ],
    figure=figure,
    extra=extra,
    departures="VAE/GAN is built after its own paper (Larsen et al. 2016); the compared paper gives no settings.",
)  # fmt: skip
