"""Residual GAN, Fig. 5: the edits of six attributes on LFW, on which nothing is trained (§6.1).

Claim: models that are trained on CelebA also add and remove attributes of the faces of LFW.

Command: mien reproduce residual_gan/lfw --scale smoke|small|paper
Time on two cores, not measured: smoke 20 s; small 50 min (the runs of residual_gan/edits); paper about 2 months.
Time on one GPU, not measured: small 10 min; paper 4 days.

--root is the folder of CelebA. LFW is in $MIEN_DATA/lfw, or --root lfw=FOLDER says where. The paper shows pictures.
Here, an independent judge, trained on CelebA too, looks at them: the share of faces in which it sees the attribute
before the edit and not after it, or the reverse. LFW has no attributes, so the judge says which faces have one; for
CelebA's held-out pictures the same is done. At the scale smoke, other avatars stand for LFW.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mien.recipes import common, judging
from mien.recipes.recipe import Claim, Number, Recipe, Row, Run, Scale
from mien.recipes.residual_gan.edits import ATTRIBUTES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mien.recipes.trained import Trained

MOST = 500  # pictures of each set
OWN, OTHER, LOSS = "reversed on CelebA", "reversed on LFW", "CelebA minus LFW, mean"


def extra(trained: Trained) -> Mapping[str, Number]:
    """Return the share of faces whose attribute is reversed, on CelebA and on LFW, and the difference of the means."""
    import torch

    judge, numbers, means = trained.judge(), {}, {}
    sets = {OWN: trained.pictures(min(MOST, trained.held_out)), OTHER: trained.unseen_pictures(MOST)[0]}
    for kind, x in sets.items():
        each = []
        for name in trained.names:
            share = judging.reverse(judge, trained.open(name).editor(), x, name)[1]
            numbers[f"{kind}, {name}"] = common.mean(share)
            each.append(share)
        means[kind] = common.mean(torch.stack(each).mean(0))
        numbers[f"{kind}, mean"] = means[kind]
    own, other = (means[kind] for kind in (OWN, OTHER))
    error = ((own.error or 0.0) ** 2 + (other.error or 0.0) ** 2) ** 0.5
    numbers[LOSS] = common.one((own.mean or 0.0) - (other.mean or 0.0), other.n, error)
    return numbers


def figure(trained: Trained) -> Figure:
    """Draw faces of LFW, and each attribute reversed."""
    import torch

    x, judge = trained.unseen_pictures(common.SHOWN)[0], trained.judge()
    rows = [judging.reverse(judge, trained.open(name).editor(), x, name)[0] for name in trained.names]
    return common.bands(torch.stack([x.cpu(), *rows]), ["real", *trained.names], "faces of LFW, attributes reversed")


RECIPE = Recipe(
    title="Fig. 5: edits of LFW's faces by models trained on CelebA",
    source="Shen & Liu 2017, Fig. 5, pictures without numbers",
    runs={"judge": common.JUDGE, **{name: Run("residual_gan", {"attribute": name}) for name in ATTRIBUTES}},
    scales={
        "smoke": Scale(
            common.AVATARS,
            {"attribute_cnn": common.TINY_CNN, "residual_gan": common.TINY_RESIDUAL},
            runs=("judge", "Eyeglasses", "Smiling"),
            unseen=judging.OTHER_AVATARS,
        ),
        "small": Scale(
            common.CELEBA32,
            common.SMALL_EDITOR,
            seeds=(0, 1, 2),
            unseen=judging.LFW32,
        ),
        "paper": Scale(
            common.CELEBA128,
            common.PAPER_EDITOR,
            unseen=judging.LFW128,
        ),
    },
    measures=(),
    rows=[
        *[Row(f"{kind}, {name}", unit="%", digits=1) for name in ("mean", *ATTRIBUTES) for kind in (OWN, OTHER)],
        Row(LOSS, unit="points", digits=1),
    ],
    claims=[
        Claim("Edits work on LFW: the judge sees the attribute reversed in more than half of the faces",
              lambda result: result.above(f"{OTHER}, mean", 0.5)),
        # a model that changes nothing loses nothing on LFW
        Claim("They work nearly as well as on CelebA: the share is less than 10 points lower",
              lambda result: result.every(result.above(f"{OTHER}, mean", 0.5), result.below(LOSS, 0.1))),
    ],
    figure=figure,
    extra=extra,
)  # fmt: skip
