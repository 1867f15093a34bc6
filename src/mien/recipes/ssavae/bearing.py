"""SSAVAE, §0: industrial monitoring by signals (named in the introduction, without an experiment).

Claim: the method suits signals of machines as well as pictures.

Command: mien reproduce ssavae/bearing --scale smoke|small|paper
Time on two cores: smoke 10 s; small 5 min (2 models, 3 seeds); paper 10 min.
Time on one GPU, not measured: small 2 min; paper 4 min.

The data are vibrations of ten conditions of a bearing (Case Western Reserve University). The paper has no such
experiment, so the scale paper is the model's own number of epochs.
"""

from __future__ import annotations

from typing import Any

from mien.recipes import common
from mien.recipes.recipe import Claim, Effort, Pictures, Recipe, Row, Run, Scale

VARIANTS: dict[str, dict[str, Any]] = {"all labels": {}, "50 labels": {"labeled": 50}}
BEARING = Pictures("bearing", 1024)

RECIPE = Recipe(
    title="Signals: ten conditions of a bearing",
    source="Zemouri 2020, §0, without an experiment",
    runs={name: Run("ssavae", {"latent": 100, **changes}) for name, changes in VARIANTS.items()},
    scales={
        "smoke": Scale(Pictures("vibrations", 256, packaged=True), {"ssavae": common.TINY_SSAVAE}),
        "small": Scale(BEARING, {"ssavae": Effort(steps=500)}, seeds=(0, 1, 2)),
        "paper": Scale(BEARING, seeds=(0, 1, 2)),
    },
    measures=("classes", "reconstruction"),
    rows=[
        *[Row(f"accuracy, {name}", name, "classes.recognition.accuracy", unit="%", digits=2) for name in VARIANTS],
        *[Row(f"MSE, {name}", name, "reconstruction.mse", digits=4) for name in VARIANTS],
    ],
    claims=[
        Claim("With all labels, more than 95 % of the signals get their condition",
              lambda result: result.above("accuracy, all labels", 0.95)),
        Claim("With 50 labels, more than 80 % do", lambda result: result.above("accuracy, 50 labels", 0.8)),
    ],
    figure=common.reconstructions,
)  # fmt: skip
