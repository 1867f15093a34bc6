"""Iterative GAN, Fig. 4: recognition of 40 attributes, as Hamming loss (§5.3.1).

Claim: the classifier of the iterative GAN has a much lower Hamming loss than DCGAN with an L2-SVM and than a CNN.

Command: mien reproduce iterative_gan/recognition --scale smoke|small|paper
Time on two cores: smoke 10 s; small 20 min (2 models, 3 seeds); paper about 2 months.
Time on one GPU, not measured: small 8 min; paper a week (the paper: 600,030 s).

Fig. 4 is a chart without numbers. The CNN is mien's attribute_cnn. DCGAN with an SVM is left out: mien has no DCGAN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mien.recipes import common
from mien.recipes.recipe import Claim, Effort, Recipe, Row, Run, Scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mien.recipes.trained import Trained

NAMES = ("iterative GAN", "CNN")


def figure(trained: Trained) -> Figure:
    """Draw the accuracy of each attribute by the iterative GAN, beside that of always the commoner value."""
    from mien import figures

    scores = trained.evaluate(NAMES[0])["recognition"]["per_attribute"]
    accuracy, majority = ([score[key] for score in scores.values()] for key in ("accuracy", "majority"))
    return figures.accuracy_bars(list(scores), accuracy, majority)


RECIPE = Recipe(
    title="Fig. 4: Hamming loss of 40 attributes",
    source="Ma et al. 2019, Fig. 4, a chart without numbers",
    runs={"iterative GAN": Run("iterative_gan"), "CNN": Run("attribute_cnn")},
    scales={
        "smoke": Scale(common.AVATARS, {"attribute_cnn": common.TINY_CNN, "iterative_gan": common.TINY_ITERATIVE}),
        "small": Scale(
            common.CELEBA32, {"attribute_cnn": Effort(1000), "iterative_gan": common.SMALL_ITERATIVE}, seeds=(0, 1, 2)
        ),
        "paper": Scale(
            common.CELEBA128,
            {"attribute_cnn": common.PAPER_CNN, "iterative_gan": common.PAPER_ITERATIVE},
            held_out=15_000,
        ),
    },
    measures=("recognition",),
    rows=[
        *[Row(f"Hamming loss, {name}", name, "recognition.hamming_loss", digits=4) for name in NAMES],
        Row("accuracy of always the commoner value", "CNN", "recognition.majority_baseline", unit="%", digits=2),
        *[Row(f"balanced accuracy, {name}", name, "recognition.balanced_accuracy", unit="%", digits=2)
          for name in NAMES],
    ],
    claims=[
        Claim("The iterative GAN's Hamming loss is below that of a CNN",
              lambda result: result.exceeds("Hamming loss, CNN", "Hamming loss, iterative GAN")),
    ],
    figure=figure,
)  # fmt: skip
