"""SSAVAE, title and §2.2: learning with few labels (no experiment with numbers in the paper).

Claim: the model is semi-supervised. That few labels are enough for a useful classifier is this recipe's own reading.

Command: mien reproduce ssavae/few_labels --scale smoke|small|paper
Time on two cores: smoke 15 s; small 45 min (4 models, 3 seeds); paper about 5 h.
Time on one GPU, not measured: small 6 min; paper 40 min.

The paper calls its method semi-supervised and reports no accuracy. Here, the model gets all labels, 1,000 of them, or
100 of them (10 of each digit). A fourth model departs from the paper: it has 100 labels and the loss that asks for the
same class of a shifted picture (consistency = 1).
"""

from __future__ import annotations

from typing import Any

from mien.recipes import common
from mien.recipes.recipe import Claim, Recipe, Row, Run, Scale

VARIANTS: dict[str, dict[str, Any]] = {
    "all labels": {},
    "1,000 labels": {"labeled": 1000},
    "100 labels": {"labeled": 100},
    "100 labels, consistency": {"labeled": 100, "consistency": 1.0},
}

RECIPE = Recipe(
    title="Few labels: class accuracy of SSAVAE",
    source="Zemouri 2020, §2.2, without numbers",
    runs={name: Run("ssavae", {"latent": 100, **changes}) for name, changes in VARIANTS.items()},
    scales={
        "smoke": Scale(common.DIGITS, {"ssavae": common.TINY_SSAVAE}, runs=("all labels", "100 labels")),
        "small": Scale(common.MNIST28, {"ssavae": common.SMALL_SSAVAE}, held_out=2000, seeds=(0, 1, 2)),
        "paper": Scale(common.MNIST28, held_out=10_000, seeds=(0, 1, 2)),
    },
    measures=("classes", "reconstruction"),
    rows=[
        *[Row(f"accuracy, {name}", name, "classes.recognition.accuracy", unit="%", digits=2) for name in VARIANTS],
        *[Row(f"PSNR, {name}", name, "reconstruction.psnr_db", unit="dB", digits=2) for name in VARIANTS],
    ],
    claims=[
        Claim("100 labels are enough for an accuracy above 90 %",
              lambda result: result.above("accuracy, 100 labels", 0.9)),
        Claim("Consistency, which is not in the paper, is better than the paper's losses with 100 labels",
              lambda result: result.exceeds("accuracy, 100 labels, consistency", "accuracy, 100 labels")),
    ],
    figure=common.reconstructions,
)  # fmt: skip
