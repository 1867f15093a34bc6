"""SelfExGAN, Fig. 4.4: pictures, reconstructions and samples of ImageNet at 32 pixels (§4.1.2).

Claim: without any reconstruction loss, G(E(x)) reconstructs x, and G(z) of random z gives new pictures.

Command: mien reproduce selfexgan/imagenet32 --scale smoke|small|paper
Time on two cores, not measured: smoke 10 s; small 40 min (3 seeds and a judge); paper about 3 days.
Time on one GPU, not measured: small 7 min; paper 10 h.

The thesis shows pictures. Here, a reconstruction is compared with its own picture and with another one, and an
independent judge names the classes, which it finds hard itself at this size. The scale paper has the networks of table
4.4 and the thesis's 40,000 pictures, if the folder holds as many.
"""

from __future__ import annotations

from mien.recipes import families
from mien.recipes.recipe import Pictures

RECIPE = families.pictures_of_thesis(
    title="Fig. 4.4: reconstructions and samples of ImageNet at 32 pixels",
    source="Liu 2018, Fig. 4.4, pictures without numbers",
    small=Pictures("imagenet32", 32, count=20_000),
    paper=Pictures("imagenet32", 32, count=40_000),
    table="imagenet32",
    classes=True,
)
