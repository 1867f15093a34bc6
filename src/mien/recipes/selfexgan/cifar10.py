"""SelfExGAN, Fig. 4.3: pictures, reconstructions and samples of CIFAR-10 (§4.1.2).

Claim: without any reconstruction loss, G(E(x)) reconstructs x, and G(z) of random z gives new pictures.

Command: mien reproduce selfexgan/cifar10 --scale smoke|small|paper
Time on two cores, not measured: smoke 10 s; small 40 min (3 seeds and a judge); paper about 3 days.
Time on one GPU, not measured: small 7 min; paper 10 h.

The thesis shows pictures. Here, a reconstruction is compared with its own picture and with another one, and an
independent judge names the classes of pictures and of reconstructions. The scale paper has the networks of table 4.3.
The thesis trains on a part of the pictures.
"""

from __future__ import annotations

from mien.recipes import families
from mien.recipes.recipe import Pictures

RECIPE = families.pictures_of_thesis(
    title="Fig. 4.3: reconstructions and samples of CIFAR-10",
    source="Liu 2018, Fig. 4.3, pictures without numbers",
    small=Pictures("cifar10", 32),
    paper=Pictures("cifar10", 32),
    table="cifar10",
    classes=True,
)
