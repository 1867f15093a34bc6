"""SelfExGAN, Fig. 4.7: pictures, reconstructions and samples of cartoon faces (§4.1.2).

Claim: without any reconstruction loss, G(E(x)) reconstructs x, and G(z) of random z gives new pictures.

Command: mien reproduce selfexgan/cartoons --scale smoke|small|paper
Time on two cores, not measured: smoke 10 s; small 40 min (3 seeds and a judge); paper about 3 days.
Time on one GPU, not measured: small 7 min; paper 10 h.

The thesis uses cartoon faces from the web that are not published. Here, drawn avatars, which come with mien, stand for
them. A reconstruction is compared with its own picture and with another one. The scale paper has the networks of table
4.7.
"""

from __future__ import annotations

from mien.recipes import families
from mien.recipes.recipe import Pictures

RECIPE = families.pictures_of_thesis(
    title="Fig. 4.7: reconstructions and samples of cartoon faces",
    source="Liu 2018, Fig. 4.7, pictures without numbers",
    small=Pictures("avatars", 32, {"count": 6000}, packaged=True),
    paper=Pictures("avatars", 64, {"count": 50_000}, count=40_000, packaged=True),
    table="cartoon",
    classes=False,
)
