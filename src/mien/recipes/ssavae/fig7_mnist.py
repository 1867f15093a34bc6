"""SSAVAE, Fig. 7 (a): MNIST in two latents (§3.4.1).

Claim: two latents of the encoder, which is trained with the classifier, show the classes of MNIST apart from each
other; with 100 latents, reconstructions are better.

Command: mien reproduce ssavae/fig7_mnist --scale smoke|small|paper
Time on two cores, not measured: smoke 15 s; small 35 min (3 models, 3 seeds); paper about 4 h.
Time on one GPU, not measured: small 6 min; paper 1 h.

The paper shows a plane of points. Here, a linear SVM finds the classes in the two latents, and in those of the plain
VAE, which knows no classes.
"""

from __future__ import annotations

from mien.recipes import families
from mien.recipes.recipe import Pictures

RECIPE = families.plane(
    title="Fig. 7 (a): MNIST in two latents",
    source="Zemouri 2020, Fig. 7 (a), a picture without numbers",
    small=Pictures("mnist", 28),
    paper=Pictures("mnist", 28),
    held_out=10_000,
)
