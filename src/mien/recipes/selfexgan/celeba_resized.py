"""SelfExGAN, Fig. 4.6: pictures, reconstructions and samples of CelebA, resized (§4.1.2).

Claim: without any reconstruction loss, G(E(x)) reconstructs x, and G(z) of random z gives new pictures.

Command: mien reproduce selfexgan/celeba_resized --scale smoke|small|paper
Time on two cores, not measured: smoke 10 s; small 40 min (3 seeds and a judge); paper about 3 days.
Time on one GPU, not measured: small 7 min; paper 10 h.

The thesis shows pictures. Here, a reconstruction is compared with its own picture and with another one. The scale paper
has the networks of table 4.6.
"""

from __future__ import annotations

from mien.recipes import families
from mien.recipes.recipe import Pictures

RECIPE = families.pictures_of_thesis(
    title="Fig. 4.6: reconstructions and samples of CelebA, resized",
    source="Liu 2018, Fig. 4.6, pictures without numbers",
    small=Pictures("celeba", 32),
    paper=Pictures("celeba", 64, count=40_000),
    table="celeba_resized",
    classes=False,
)
