"""Residual GAN, Fig. 7: beards are added to faces of women only (§6.3).

Claim: beards and other features of men occur together in the training pictures. VAE/GAN, which adds a beard by a
vector, changes those features too (the hair becomes short); the residual GAN adds the beard only.

Command: mien reproduce residual_gan/decorrelation --scale smoke|small|paper
Time on two cores, not measured: smoke 15 s; small 40 min (2 models, 3 seeds, a judge); paper about 2 weeks.
Time on one GPU, not measured: small 10 min; paper 20 h.

The paper shows pictures of women. Here, an independent judge looks at held-out pictures with the attribute Male off.
The rows are the share of faces with a beard after the edit minus that before; the share of men, after the edit minus
before; and the mean absolute change of its probabilities of the attributes that are no beards. CelebA has no attribute
for the length of the hair. The edits of VAE/GAN are compared with its reconstructions, as in the paper. At the scale
smoke, the avatars with long hair stand for women, and they get a beard.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mien.recipes import common, judging
from mien.recipes.recipe import Claim, Effort, Number, Recipe, Row, Run, Scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from mien.recipes.trained import Trained

OURS, VECTORS = "residual GAN", "VAE/GAN"
NAMES = (OURS, VECTORS)
BEARDS = ("No_Beard", "Beard", "5_o_Clock_Shadow", "Goatee", "Mustache", "Sideburns")
ADDED, MEN, OTHERS = "beard added", "man added", "change of other attributes"
MOST = 500


def women(trained: Trained, n: int) -> Tensor:
    """Return at most n held-out pictures (n, C, H, W) of women; of avatars with long hair."""
    from mien.data.dataset import spread

    opened = trained.open(OURS)
    name, value = ("Male", -1) if "Male" in opened.dataset.attributes else ("Long_Hair", 1)
    column = opened.dataset.attribute_table[opened.splits.test][:, opened.dataset.attributes.index(name)]
    return opened.dataset.batch(spread(opened.splits.test[column == value], n)).x.to(trained.device)


def bearded(trained: Trained, run: str, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return what a run starts from and the same pictures with a beard, (B, C, H, W) each, on the CPU."""
    from mien.applications import reconstruct

    editor: Any = trained.open(run).editor()
    name, amount = ("No_Beard", -1.0) if "No_Beard" in editor.names else ("Beard", 1.0)
    base = x if run == OURS else reconstruct(trained.model(run), x)
    return base.cpu(), editor(x, {name: amount}).cpu()


def seen(judge: Any, probabilities: Tensor, what: str) -> Tensor:
    """Return whether the judge sees a beard, or an attribute, in each picture (B,), 0 or 1."""
    names = list(judge.attributes)
    if what == "beard" and "No_Beard" in names:
        return (probabilities[:, names.index("No_Beard")] < 0.5).float()
    return (probabilities[:, names.index("Beard" if what == "beard" else what)] > 0.5).float()


def extra(trained: Trained) -> Mapping[str, Number]:
    """Return how often the judge sees a beard and a man, and the change of the other attributes, for each model."""
    x, judge, numbers = women(trained, min(MOST, trained.held_out)), trained.judge(), {}
    names = list(judge.attributes)
    rest = [i for i, name in enumerate(names) if name not in BEARDS]
    for run in trained.names:
        before, after = (judging.judged(judge, part) for part in bearded(trained, run, x))
        numbers[f"{ADDED}, {run}"] = common.mean(seen(judge, after, "beard") - seen(judge, before, "beard"))
        numbers[f"{OTHERS}, {run}"] = common.mean((after - before)[:, rest].abs().mean(1))
        if "Male" in names:
            numbers[f"{MEN}, {run}"] = common.mean(seen(judge, after, "Male") - seen(judge, before, "Male"))
    return numbers


def figure(trained: Trained) -> Figure:
    """Draw pictures, reconstructions by VAE/GAN, and both edits, as in Fig. 7."""
    import torch

    x = women(trained, common.SHOWN)
    rebuilt, vectors = bearded(trained, VECTORS, x)
    rows = torch.stack([x.cpu(), rebuilt, vectors, bearded(trained, OURS, x)[1]])
    return common.bands(rows, ["real", f"{VECTORS}, no edit", VECTORS, OURS], "faces of women with beards")


RECIPE = Recipe(
    title="Fig. 7: beards on faces of women",
    source="Shen & Liu 2017, Fig. 7, pictures without numbers",
    runs={"judge": common.JUDGE, OURS: Run("residual_gan", {"attribute": "No_Beard"}), VECTORS: Run("vae_gan")},
    scales={
        "smoke": Scale(
            common.AVATARS,
            {
                "attribute_cnn": common.TINY_CNN,
                "residual_gan": Effort(3, settings={"width": 4, "attribute": "Beard"}, training={"batch": 8}),
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
            held_out=2000,
        ),
    },
    measures=(),
    rows=[Row(f"{kind}, {name}", unit="%", digits=1) for kind in (ADDED, MEN, OTHERS) for name in NAMES],
    claims=[
        Claim("The residual GAN adds beards: the judge sees one in more than half of the faces that had none",
              lambda result: result.above(f"{ADDED}, {OURS}", 0.5)),
        # an edit that does nothing changes no other attribute either
        Claim("It adds beards and changes the other attributes less than VAE/GAN does",
              lambda result: result.every(result.above(f"{ADDED}, {OURS}", 0.5),
                                          result.exceeds(f"{OTHERS}, {VECTORS}", f"{OTHERS}, {OURS}"))),
    ],
    figure=figure,
    extra=extra,
    departures="VAE/GAN has the settings of its own paper (Larsen et al. 2016).",
)  # fmt: skip
