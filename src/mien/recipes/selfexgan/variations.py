"""SelfExGAN, Fig. 4.12: variations of a cartoon face at three scales of noise (§4.2.3).

Claim: noise on the latent of a design gives other designs, and more noise gives designs that differ more.

Command: mien reproduce selfexgan/variations --scale smoke|small|paper
Time on two cores, not measured: smoke 10 s; small 30 min (the runs of selfexgan/cartoons); paper about 3 days.
Time on one GPU, not measured: small 6 min; paper 10 h.

The thesis shows cartoon faces from the web, and gives neither them nor the scales. Here, drawn avatars stand for them,
and the scales are 0.25, 0.5 and 1 of the prior's deviation. The distance of a variation from the reconstruction is the
mean absolute difference of pixels; the change is the share of attributes that an independent judge sees changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mien.recipes import common, families, judging
from mien.recipes.families import GAN
from mien.recipes.recipe import Claim, Number, Pictures, Recipe, Row, Run, Scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mien.recipes.trained import Trained

NOISES, N, MOST = (0.25, 0.5, 1.0), 4, 100
FAR, CHANGED = "distance of variations", "attributes changed"


def extra(trained: Trained) -> Mapping[str, Number]:
    """Return the distances of variations from the reconstruction, and the changed attributes, by the scale of noise."""
    from mien.applications import reconstruct
    from mien.applications.variations import variations

    x, model = trained.pictures(min(MOST, trained.held_out)), trained.model(GAN)
    rebuilt, judge, numbers = reconstruct(model, x).cpu(), trained.judge(), {}
    before = judging.judged(judge, rebuilt) > 0.5
    made = variations(model, x, NOISES, N, trained.seed)  # (B, S, n, C, H, W)
    for i, noise in enumerate(NOISES):
        numbers[f"{FAR}, {noise:g}"] = common.mean((made[:, i] - rebuilt[:, None]).abs().flatten(1).mean(1))
        after = judging.judged(judge, made[:, i].flatten(0, 1)) > 0.5
        changed = (after != before.repeat_interleave(N, 0)).float().mean(1)
        numbers[f"{CHANGED}, {noise:g}"] = common.mean(changed.view(-1, N).mean(1))
    return numbers


def figure(trained: Trained) -> Figure:
    """Draw one design and its variations, a row for each scale of noise."""
    from mien.applications.variations import variations

    made = variations(trained.model(GAN), trained.pictures(1), NOISES, common.SHOWN, trained.seed)[0]
    return common.bands(made, [f"noise {noise:g}" for noise in NOISES], "variations of a cartoon face")


RECIPE = Recipe(
    title="Fig. 4.12: variations of a cartoon face",
    source="Liu 2018, Fig. 4.12, pictures without numbers",
    runs={"judge": common.JUDGE, GAN: Run("selfexgan")},
    scales={
        name: Scale(scale.pictures, scale.efforts, scale.held_out, scale.seeds)
        for name, scale in families.thesis_scales(
            Pictures("avatars", 32, {"count": 6000}, packaged=True),
            Pictures("avatars", 64, {"count": 50_000}, count=40_000, packaged=True),
            "cartoon",
            common.AVATARS,
        ).items()
    },
    measures=(),
    rows=[
        *[Row(f"{FAR}, {noise:g}", digits=4) for noise in NOISES],
        *[Row(f"{CHANGED}, {noise:g}", unit="%", digits=1) for noise in NOISES],
    ],
    claims=[
        Claim("More noise gives designs that are farther away, at each of the three scales",
              lambda result: result.every(result.exceeds(f"{FAR}, 0.5", f"{FAR}, 0.25"),
                                          result.exceeds(f"{FAR}, 1", f"{FAR}, 0.5"))),
        Claim("Variations are other designs: with noise of 1, the judge sees more than 5 % of the attributes changed",
              lambda result: result.above(f"{CHANGED}, 1", 0.05)),
    ],
    figure=figure,
    extra=extra,
)  # fmt: skip
