"""Residual GAN, Table 2 against points by hand: landmarks of D0, D1 and D1m on CelebA and on LFW (§6.4).

Claim: glasses raise the error of the landmarks of the eyes. Removing them by the residual GAN lowers it, and the error
of the other landmarks stays the same.

Command: mien reproduce residual_gan/landmarks --scale smoke|small|paper
Time on two cores, not measured: smoke 20 s; small 30 min (the run of residual_gan/table2 and a judge); paper 2 weeks.
Time on one GPU, not measured: small 12 min; paper 16 h.

D0 are faces without glasses, D1 faces with glasses, and D1m those of D1 with the glasses removed. The column n of the
result says how many faces of each set have points by hand and were found by dlib. On CelebA, the rows need
list_landmarks_align_celeba.txt in the folder --root; without it, they are empty. LFW (in $MIEN_DATA/lfw, or
--root lfw=FOLDER) was never trained on. It has no attributes: the judge says which faces wear glasses. It needs
mien[faces]. The paper does not say whose points it compares with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mien.recipes import common, judging
from mien.recipes.common import one
from mien.recipes.recipe import Claim, Effort, Number, Recipe, Row, Run, Scale, exceeds
from mien.recipes.residual_gan.table2 import GAN, REPORTED

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from mien.recipes.trained import Trained

GLASSES, SETS, PARTS = "Eyeglasses", ("D0", "D1", "D1m"), ("eyes", "rest")
MOST, LARGEST = 5000, 200  # pictures of LFW, and faces of a set
FACES = "faces of LFW with points"


def truth(trained: Trained, keys: list[str]) -> NDArray[np.float64]:
    """Return the points by hand (n, 5, 2) of pictures, NaN where there are none."""
    import numpy as np

    assert trained.unseen is not None
    source = trained.unseen.source()
    position, points = {source.key(i): i for i in range(len(source))}, np.full((len(keys), 5, 2), np.nan)
    if hasattr(source, "landmarks"):
        for row, key in enumerate(keys):
            if (five := source.landmarks(position[key], trained.unseen.size)) is not None:
                points[row] = five
    return points


def extra(trained: Trained) -> Mapping[str, Number]:
    """Return the errors on LFW of each set; none without dlib, which the measure landmarks reports as skipped."""
    import numpy as np

    from mien.evaluation.faces import open_faces
    from mien.evaluation.measure import Skipped
    from mien.metrics.landmarks import celeba5_error

    x, keys = trained.unseen_pictures(MOST)
    points = truth(trained, keys)
    known = np.flatnonzero(np.isfinite(points).all((1, 2)))
    judge = trained.judge()
    glasses = (judging.judged(judge, x)[:, judge.attributes.index(GLASSES)] > 0.5).numpy()
    rows = {name: known[glasses[known] == value][:LARGEST] for name, value in (("D0", False), ("D1", True))}
    rows["D1m"] = rows["D1"]
    numbers = {f"{FACES}, {name}": one(len(rows[name])) for name in SETS}
    try:
        faces = open_faces()
    except Skipped:
        return numbers
    for name in [name for name in SETS if len(rows[name])]:
        pictures = x[rows[name]]
        if name == "D1m":
            pictures = trained.open(GAN).editor()(pictures, {GLASSES: -1.0})
        summary = celeba5_error(faces.landmarks(pictures), points[rows[name]]).summary()
        for part in PARTS if summary["n"] else ():
            numbers[f"{part}, {name}, LFW"] = one(summary[part]["mean"], summary["n"], summary[part]["sem"])
    return numbers


def figure(trained: Trained) -> Figure:
    """Draw faces of LFW with their glasses removed below."""
    import torch

    x = trained.unseen_pictures(common.SHOWN)[0]
    edited = trained.open(GAN).editor()(x, {GLASSES: -1.0})
    return common.bands(torch.stack([x.cpu(), edited.cpu()]), ["LFW", "no glasses"], "faces of LFW without glasses")


RECIPE = Recipe(
    title="Table 2 against points by hand, on CelebA and on LFW",
    source="Shen & Liu 2017, Table 2, on CelebA",
    runs={"judge": common.JUDGE, GAN: Run("residual_gan", {"attribute": GLASSES})},
    scales={
        "smoke": Scale(
            common.AVATARS,
            {"attribute_cnn": common.TINY_CNN, "residual_gan": common.TINY_RESIDUAL},
            unseen=judging.OTHER_AVATARS,
        ),
        "small": Scale(
            common.CELEBA64,
            {
                "attribute_cnn": common.SMALL_CNN,
                "residual_gan": Effort(1500, settings={"width": 16}, training={"batch": 16, "ema": 0.99, "flip": 0.5}),
            },
            unseen=judging.LFW64,
        ),
        "paper": Scale(
            common.CELEBA128,
            common.PAPER_EDITOR,
            unseen=judging.LFW128,
        ),
    },
    measures=("landmarks",),
    rows=[
        *[Row(f"{part}, {name}, CelebA", GAN, f"landmarks.celeba5.{name}.{part}.mean", REPORTED[name][i], digits=5)
          for i, part in enumerate(PARTS) for name in SETS],
        *[Row(f"{part}, {name}, LFW", digits=5) for part in PARTS for name in SETS],
        *[Row(f"{FACES}, {name}", digits=0) for name in SETS],
    ],
    claims=[
        Claim(f"Glasses raise the error of the eyes, on {data}",
              exceeds(f"eyes, D1, {data}", f"eyes, D0, {data}"))
        for data in ("CelebA", "LFW")
    ] + [
        Claim(f"Removing glasses lowers the error of the eyes, on {data}",
              exceeds(f"eyes, D1, {data}", f"eyes, D1m, {data}"))
        for data in ("CelebA", "LFW")
    ],
    figure=figure,
    extra=extra,
)  # fmt: skip
