"""Iterative GAN, Fig. 4: recognition of 40 attributes, as Hamming loss (§5.3.1).

Claim: the classifier of the iterative GAN has a much lower Hamming loss than DCGAN with an L2-SVM and than a CNN.

Command: mien reproduce iterative_gan/recognition --scale smoke|small|paper
Time on two cores: smoke 10 s; small 20 min (2 models, 3 seeds; not measured with DCGAN); paper about 2 months.
Time on one GPU, not measured: small 8 min; paper a week (the paper: 600,030 s).

Fig. 4 is a chart without numbers. The CNN is mien's attribute_cnn. The features of DCGAN are those of its
discriminator: the maps of all layers, each reduced to 4x4 by its maxima, as in Radford et al. 2016, §5.1. A linear
L2-SVM for each attribute gets at most 5,000 training pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mien.recipes import common
from mien.recipes.recipe import Claim, Effort, Number, Recipe, Row, Run, Scale

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from torch import Tensor

    from mien.recipes.trained import Trained

NAMES, DCGAN = ("iterative GAN", "CNN"), "DCGAN + L2-SVM"
MOST, PARTS = 5000, 4  # training pictures of the SVMs; rows and columns of the maxima of a map


def features(trained: Trained, index: np.ndarray) -> np.ndarray:
    """Return the maxima in 4x4 parts of all maps of DCGAN's discriminator, of pictures at positions (n,): (n, K)."""
    import torch
    from torch.nn.functional import adaptive_max_pool2d

    from mien.applications.basics import batches, device_of

    opened = trained.open(DCGAN)
    model: Any = opened.model

    def of(x: Tensor) -> Tensor:
        maps = model.discriminator.with_maps(x, False)[1]
        return torch.cat([adaptive_max_pool2d(one, PARTS).flatten(1) for one in maps], 1).cpu()

    with torch.inference_mode():
        result: np.ndarray = torch.cat(
            [of(batch.x) for batch in batches(opened.dataset, index, device_of(model))]
        ).numpy()
    return result


def extra(trained: Trained) -> Mapping[str, Number]:
    """Return the Hamming loss of linear SVMs on DCGAN's features, with its standard error over attributes."""
    import torch

    from mien.data.dataset import spread
    from mien.metrics.latent_svm import latent_svm

    opened = trained.open(DCGAN)
    train, test = spread(opened.index, MOST), spread(opened.splits.test, trained.held_out)
    table = opened.dataset.attribute_table
    scores = latent_svm(
        features(trained, train), table[train], features(trained, test), table[test], opened.dataset.attributes
    )
    loss = common.mean(torch.from_numpy(1 - scores.accuracy))
    return {f"Hamming loss, {DCGAN}": common.one(loss.mean or 0.0, scores.n_test, loss.sem[0])}


def figure(trained: Trained) -> Figure:
    """Draw the accuracy of each attribute by the iterative GAN, beside that of always the commoner value."""
    from mien import figures

    scores = trained.evaluate(NAMES[0])["recognition"]["per_attribute"]
    accuracy, majority = ([score[key] for score in scores.values()] for key in ("accuracy", "majority"))
    return figures.accuracy_bars(list(scores), accuracy, majority)


RECIPE = Recipe(
    title="Fig. 4: Hamming loss of 40 attributes",
    source="Ma et al. 2019, Fig. 4, a chart without numbers",
    runs={"iterative GAN": Run("iterative_gan"), "CNN": Run("attribute_cnn"), DCGAN: Run("dcgan")},
    scales={
        "smoke": Scale(common.AVATARS, {"attribute_cnn": common.TINY_CNN, "iterative_gan": common.TINY_ITERATIVE,
                             "dcgan": common.TINY_GAN}),
        "small": Scale(
            common.CELEBA32,
            {
                "attribute_cnn": Effort(1000),
                "iterative_gan": common.SMALL_ITERATIVE,
                "dcgan": common.SMALL_BASELINE,
            },
            seeds=(0, 1, 2),
        ),
        "paper": Scale(
            common.CELEBA128,
            {"attribute_cnn": common.PAPER_CNN, "iterative_gan": common.PAPER_ITERATIVE, "dcgan": Effort(epochs=25)},
            held_out=15_000,
        ),
    },
    measures=("recognition",),
    rows=[
        *[Row(f"Hamming loss, {name}", name, "recognition.hamming_loss", digits=4) for name in NAMES],
        Row(f"Hamming loss, {DCGAN}", digits=4),
        Row("accuracy of always the commoner value", "CNN", "recognition.majority_baseline", unit="%", digits=2),
        *[Row(f"balanced accuracy, {name}", name, "recognition.balanced_accuracy", unit="%", digits=2)
          for name in NAMES],
    ],
    claims=[
        Claim("The iterative GAN's Hamming loss is below that of a CNN",
              lambda result: result.exceeds("Hamming loss, CNN", "Hamming loss, iterative GAN")),
        Claim("It is below that of DCGAN with an L2-SVM",
              lambda result: result.exceeds(f"Hamming loss, {DCGAN}", "Hamming loss, iterative GAN")),
    ],
    figure=figure,
    extra=extra,
)  # fmt: skip
