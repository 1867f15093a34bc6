"""Iterative GAN, Fig. 9 (b): generation from labels, against CGAN and ACGAN (§5.3.6).

Claim: faces of the iterative GAN are better than those of CGAN and ACGAN, and one changed label keeps the rest of the
face best.

Command: mien reproduce iterative_gan/generation --scale smoke|small|paper
Time on two cores, not measured: smoke 15 s; small 60 min (3 models, 3 seeds, a judge); paper about 3 months.
Time on one GPU, not measured: small 15 min; paper 10 days.

The paper shows pictures with FaceNet's distances below, which cannot be read. Here, a judge looks at pairs of faces of
the same noise with Bangs, Eyeglasses or Bald on and off. The control of a label is the judge's mean probability of the
attribute with the label on, minus that with it off. The change of the others is the mean of the absolute differences of
their probabilities. The distance of samples from pictures on the judge's features stands for their quality.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mien.recipes import common, judging
from mien.recipes.recipe import Claim, Effort, Number, Recipe, Row, Run, Scale, exceeds

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from mien.recipes.trained import Trained

OURS = "iterative GAN"
COMPARED = {"CGAN": "cgan", "ACGAN": "acgan"}
NAMES = (OURS, *COMPARED)
ATTRIBUTES, PAIRS = ("Bangs", "Eyeglasses", "Bald"), 200
CONTROL, OTHERS, FID = "control", "change of others", "feature-FID of samples"


def pair(trained: Trained, run: str, name: str, n: int) -> tuple[Tensor, Tensor]:
    """Return faces (n, C, H, W) of the same noise with a label off, and with it on."""
    import torch

    from mien.applications import generate

    model = trained.model(run)
    request = torch.zeros(n, len(model.conditions))
    column = list(model.conditions).index(name)
    faces = []
    for value in (-1, 1):
        request[:, column] = value
        faces.append(generate(model, n, trained.seed, request.clone()))
    return faces[0], faces[1]


def chosen(trained: Trained) -> list[str]:
    """Return the attributes of the paper that the data have."""
    return [name for name in ATTRIBUTES if name in trained.model(OURS).conditions]


def extra(trained: Trained) -> Mapping[str, Number]:
    """Return the control of the labels and the change of the other attributes, means over the labels, by model."""
    import torch

    judge, numbers = trained.judge(), {}
    for run in trained.names:
        control, others = [], []
        for name in chosen(trained):
            off, on = (judging.judged(judge, faces) for faces in pair(trained, run, name, PAIRS))
            change, column = on - off, judge.attributes.index(name)
            rest = [i for i in range(change.shape[1]) if i != column]
            control.append(change[:, column])
            others.append(change[:, rest].abs().mean(1))
        numbers[f"{CONTROL}, {run}"] = common.mean(torch.stack(control).mean(0))
        numbers[f"{OTHERS}, {run}"] = common.mean(torch.stack(others).mean(0))
    return numbers


def figure(trained: Trained) -> Figure:
    """Draw pairs of faces by each model, with the first label off and on."""
    import torch

    name, labels = chosen(trained)[0], list[str]()
    rows: list[Tensor] = []
    for run in trained.names:
        rows += pair(trained, run, name, common.SHOWN)
        labels += [run, f"+{name}"]
    return common.bands(torch.stack(rows), labels, f"generated faces without and with {name}")


RECIPE = Recipe(
    title="Fig. 9 (b): generation from labels, against CGAN and ACGAN",
    source="Ma et al. 2019, Fig. 9, numbers not readable",
    runs={
        "judge": common.JUDGE,
        OURS: Run("iterative_gan"),
        **{name: Run(model) for name, model in COMPARED.items()},
    },
    scales={
        "smoke": Scale(
            common.AVATARS,
            {
                "attribute_cnn": common.TINY_CNN,
                "iterative_gan": common.TINY_ITERATIVE,
                **dict.fromkeys(COMPARED.values(), common.TINY_GAN),
            },
        ),
        "small": Scale(
            common.CELEBA32,
            {
                "attribute_cnn": common.SMALL_CNN,
                "iterative_gan": common.SMALL_ITERATIVE,
                **dict.fromkeys(COMPARED.values(), common.SMALL_BASELINE),
            },
            seeds=(0, 1, 2),
        ),
        "paper": Scale(
            common.CELEBA128,
            {
                "attribute_cnn": common.PAPER_CNN,
                "iterative_gan": common.PAPER_ITERATIVE,
                **dict.fromkeys(COMPARED.values(), Effort(epochs=50)),
            },
        ),
    },
    measures=("feature_fid",),
    rows=[
        *[Row(f"{kind}, {name}", unit="points", digits=1) for kind in (CONTROL, OTHERS) for name in NAMES],
        *[Row(f"{FID}, {name}", name, "feature_fid.samples", digits=2) for name in NAMES],
    ],
    claims=[
        *[Claim(f"Faces of the iterative GAN are nearer to pictures than those of {name}",
                exceeds(f"{FID}, {name}", f"{FID}, {OURS}")) for name in COMPARED],
        # a label that changes nothing changes no other attribute either
        Claim("One changed label controls its attribute and changes the others less than with ACGAN",
              lambda result: result.every(result.above(f"{CONTROL}, {OURS}", 0.25),
                                          result.exceeds(f"{OTHERS}, ACGAN", f"{OTHERS}, {OURS}"))),
    ],
    figure=figure,
    extra=extra,
)  # fmt: skip
