"""SSAVAE, Fig. 9: reconstructions for a grid of β and γ (§3.3.2, §3.4.2).

Claim: reconstructions are blurred up to β = .003 and clearer from .005 to .01; at .1, most are generated and do not
match the pictures; γ = .1 corrects the class of some.

Command: mien reproduce ssavae/fig9 --scale smoke|small|paper
Time on two cores: smoke 20 s; small 30 min (10 models and a judge); paper about 3 h.
Time on one GPU, not measured: small 5 min; paper 30 min.

The paper gives no numbers. Here, an independent judge names the class of pictures and of their reconstructions, and the
share of edges that reconstructions keep stands for clearness. K = 2, as in the paper's discussion of the thresholds.
python -m mien.recipes.ssavae_fig9 trains only the decoder for each cell, on the same noise, and has K = 100.
"""

from __future__ import annotations

from mien.recipes import common
from mien.recipes.recipe import Claim, Recipe, Row, Run, Scale

BETAS, GAMMAS = (0.0, 0.003, 0.005, 0.01, 0.1), (0.0, 0.1)
CELLS = {f"β {beta:g}, γ {gamma:g}": (beta, gamma) for gamma in GAMMAS for beta in BETAS}
KEPT = "class kept"


RECIPE = Recipe(
    title="Fig. 9: reconstructions for β and γ",
    source="Zemouri 2020, Fig. 9, pictures without numbers",
    runs={
        "judge": common.JUDGE,
        **{name: Run("ssavae", {"latent": 2, "beta": b, "gamma": g}) for name, (b, g) in CELLS.items()},
    },
    scales={
        "smoke": Scale(
            common.DIGITS,
            {"attribute_cnn": common.TINY_CNN, "ssavae": common.TINY_SSAVAE},
            runs=("judge", "β 0.005, γ 0", "β 0.1, γ 0.1"),
        ),
        "small": Scale(common.MNIST28, {"attribute_cnn": common.SMALL_CNN, "ssavae": common.SMALL_SSAVAE}),
        "paper": Scale(common.MNIST28, {"attribute_cnn": common.PAPER_CNN}, held_out=10_000),
    },
    measures=("classes", "reconstruction"),
    rows=[
        *[Row(f"{KEPT}, {name}", name, "classes.agreement.accuracy", unit="%", digits=1) for name in CELLS],
        *[Row(f"edges, {name}", unit="%", digits=1) for name in CELLS],
        *[Row(f"MSE, {name}", name, "reconstruction.mse", digits=4) for name in CELLS],
    ],
    claims=[
        Claim("Reconstructions with β = .01 are clearer than with β = 0",
              lambda result: result.exceeds("edges, β 0.01, γ 0", "edges, β 0, γ 0")),
        Claim("With β = .1 and γ = 0, most reconstructions do not match: fewer keep the class than with β = .005",
              lambda result: result.exceeds(f"{KEPT}, β 0.005, γ 0", f"{KEPT}, β 0.1, γ 0")),
        Claim("γ = .1 corrects the class of some, with β = .1",
              lambda result: result.exceeds(f"{KEPT}, β 0.1, γ 0.1", f"{KEPT}, β 0.1, γ 0")),
    ],
    figure=common.reconstructions,
    extra=common.edges,
)  # fmt: skip
