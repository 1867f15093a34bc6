"""SelfExGAN, Fig. 4.10: labeled training data of ImageNet at 32 pixels (§4.2.1).

Claim: pictures decoded from E(x) plus noise, with the label of x, are data for supervised learning.

Command: mien reproduce selfexgan/labeled_imagenet32 --scale smoke|small|paper
Time on two cores, not measured: smoke 10 s; small 40 min (the runs of selfexgan/imagenet32); paper about 3 days.
Time on one GPU, not measured: small 7 min; paper 10 h.

The measures are those of selfexgan/labeled_mnist.
"""

from __future__ import annotations

from mien.recipes import families
from mien.recipes.recipe import Pictures

RECIPE = families.labeled(
    title="Fig. 4.10: labeled training data of ImageNet at 32 pixels",
    source="Liu 2018, Fig. 4.10, pictures without numbers",
    small=Pictures("imagenet32", 32, count=20_000),
    paper=Pictures("imagenet32", 32, count=40_000),
    table="imagenet32",
)
