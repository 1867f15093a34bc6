"""Iterative GAN, Table 2: the time to rebuild and to generate 64 pictures of 128x128 (§4.2).

Claim: 64 pictures are rebuilt in 3.2256 s and generated in 2.1558 s, on one GTX 1070Ti.

Command: mien reproduce iterative_gan/table2 --scale smoke|small|paper
Time on two cores: smoke 10 s; small 5 min (mostly the preparation of the pictures); paper the same.
Time on one GPU, not measured: small 5 min; paper the same.

The time does not depend on the values of the weights, so one update is enough. The result says on which device and with
how many threads it was measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mien.recipes import common
from mien.recipes.recipe import Claim, Effort, Number, Recipe, Row, Run, Scale

if TYPE_CHECKING:
    from mien.recipes.trained import Trained

GAN, PICTURES = "iterative GAN", 64
REBUILD, GENERATE = "seconds to rebuild 64 pictures", "seconds to generate 64 pictures"
REPORTED = {REBUILD: 3.2256, GENERATE: 2.1558}
WHOLE = Effort(steps=1, training={"batch": 16})


def extra(trained: Trained) -> Mapping[str, Number]:
    """Return both times."""
    from mien.applications import generate, reconstruct

    model, x = trained.model(GAN), trained.pictures(PICTURES)
    x = x.repeat(-(-PICTURES // len(x)), 1, 1, 1)[:PICTURES]
    return {
        REBUILD: common.seconds(lambda: reconstruct(model, x), trained.device),
        GENERATE: common.seconds(lambda: generate(model, PICTURES), trained.device),
    }


RECIPE = Recipe(
    title="Table 2: time to rebuild and to generate 64 pictures",
    source="Ma et al. 2019, Table 2, on a GTX 1070Ti",
    runs={GAN: Run("iterative_gan")},
    scales={
        "smoke": Scale(common.AVATARS, {"iterative_gan": common.TINY_ITERATIVE}),
        "small": Scale(common.CELEBA128, {"iterative_gan": WHOLE}),
        "paper": Scale(common.CELEBA128, {"iterative_gan": WHOLE}),
    },
    measures=(),
    rows=[Row(label, reported=value, unit="s", digits=4) for label, value in REPORTED.items()],
    claims=[
        Claim("64 pictures are rebuilt in less than 3.2256 s on this machine",
              lambda result: result.below(REBUILD, REPORTED[REBUILD])),
        Claim("64 pictures are generated in less than 2.1558 s on this machine",
              lambda result: result.below(GENERATE, REPORTED[GENERATE])),
    ],
    figure=common.reconstructions,  # after one update, they show nothing yet
    extra=extra,
)  # fmt: skip
