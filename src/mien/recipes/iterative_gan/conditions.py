"""Iterative GAN, Fig. 8: faces from the same noise and labels, with one label changed (§5.3.5).

Claim: the labels control generated faces: one changed label changes that attribute and keeps the rest of the face.

Command: mien reproduce iterative_gan/conditions --scale smoke|small|paper
Time on two cores: smoke 10 s; small 20 min (the runs of iterative_gan/recognition and a judge); paper about 2 months.
Time on one GPU, not measured: small 8 min; paper a week.

The paper shows pictures, with Bushy_Eyebrows, Eyeglasses or Smiling added, and with several labels. Here are Bangs,
Eyeglasses and Bald, as in Fig. 9(b), with Male and Smiling. A judge looks at pairs of faces of the same noise, with the
label on and off. The control of a label is the judge's mean probability of the attribute with the label on, minus that
with it off. The change of the other attributes is the mean of the absolute differences of their probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mien.recipes import common, families
from mien.recipes.recipe import Claim, Number, Recipe, Row, Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mien.recipes.trained import Trained

ATTRIBUTES = ("Bangs", "Eyeglasses", "Bald", "Male", "Smiling")
GAN, PAIRS = "iterative GAN", 200


def extra(trained: Trained) -> Mapping[str, Number]:
    """Return the control of each label, and the change of the other attributes, over pairs of generated faces."""
    import torch

    from mien.applications import generate
    from mien.applications.basics import recognize

    model, judge = trained.model(GAN), trained.judge()
    names, numbers, others = list(model.conditions), {}, []
    for name in [name for name in ATTRIBUTES if name in names]:
        probabilities = []
        for value in (1, -1):
            asked = torch.zeros(PAIRS, len(names))
            asked[:, names.index(name)] = value
            probabilities.append(recognize(judge, generate(model, PAIRS, trained.seed, asked).to(trained.device)).cpu())
        change = probabilities[0] - probabilities[1]
        column = judge.attributes.index(name)
        numbers[f"control, {name}"] = common.mean(change[:, column])
        rest = [i for i in range(change.shape[1]) if i != column]
        others.append(change[:, rest].abs().mean(1))
    control = [number.mean or 0.0 for number in numbers.values()]
    together = {"control, mean": common.mean(torch.tensor(control)), "change of others": common.mean(torch.cat(others))}
    return {**numbers, **together}


def figure(trained: Trained) -> Figure:
    """Draw faces of the same noise: as they are, and with one label on."""
    import torch

    from mien.applications import generate

    model = trained.model(GAN)
    names = [name for name in ATTRIBUTES if name in model.conditions]
    rows = [generate(model, common.SHOWN, trained.seed)]
    for name in names:
        asked = torch.zeros(common.SHOWN, len(model.conditions))
        asked[:, list(model.conditions).index(name)] = 1
        rows.append(generate(model, common.SHOWN, trained.seed, asked))
    return common.bands(torch.stack(rows), ["no request", *names], "generated faces with one label changed")


RECIPE = Recipe(
    title="Fig. 8: the same noise with one label changed",
    source="Ma et al. 2019, Fig. 8, pictures without numbers",
    runs={"judge": common.JUDGE, GAN: Run("iterative_gan")},
    scales=families.judged("iterative_gan", common.TINY_ITERATIVE, common.SMALL_ITERATIVE, common.PAPER_ITERATIVE),
    measures=(),
    rows=[
        Row("control, mean", unit="points", digits=1),
        *[Row(f"control, {name}", unit="points", digits=1) for name in ATTRIBUTES],
        Row("change of others", unit="points", digits=1),
    ],
    claims=[
        Claim("A label controls its attribute: the mean control is above 50 points",
              lambda result: result.above("control, mean", 0.5)),
        Claim("A label changes its own attribute more than the others",
              lambda result: result.exceeds("control, mean", "change of others")),
    ],
    figure=figure,
    extra=extra,
)  # fmt: skip
