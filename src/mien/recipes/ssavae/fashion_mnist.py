"""SSAVAE, Fig. 7 (d): Fashion-MNIST in two latents (§3.4.1).

Claim: two latents order the clothes by likeness: the three kinds of shoes are grouped together, and bags are apart.

Command: mien reproduce ssavae/fashion_mnist --scale smoke|small|paper
Time on two cores, not measured: smoke 15 s; small 35 min (3 models, 3 seeds); paper about 4 h.
Time on one GPU, not measured: small 6 min; paper 1 h.

No training of this recipe on Fashion-MNIST was run: the set was not at hand. The paper shows a plane of points. Here, a
linear SVM finds the classes in the two latents, and in those of the plain VAE.
"""

from __future__ import annotations

from mien.recipes import families
from mien.recipes.recipe import Pictures

RECIPE = families.plane(
    title="Fig. 7 (d): Fashion-MNIST in two latents",
    source="Zemouri 2020, Fig. 7 (d), a picture without numbers",
    small=Pictures("fashion_mnist", 28),
    paper=Pictures("fashion_mnist", 28),
    held_out=10_000,
)
