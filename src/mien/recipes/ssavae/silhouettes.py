"""SSAVAE, Fig. 7 (c): Caltech-101 silhouettes in two latents (§3.4.1).

Claim: two latents show how the 101 kinds of objects overlap; reconstructions from two latents are blurred.

Command: mien reproduce ssavae/silhouettes --scale smoke|small|paper
Time on two cores, not measured: smoke 15 s; small 35 min (3 models, 3 seeds); paper about 1 h.
Time on one GPU, not measured: small 6 min; paper 1 h.

The set is split as in the paper, 6,364 for training and 2,307 for the test. The pictures of each part are not
published, so seed 0 draws them; a tenth of the 6,364 is the validation part. A linear SVM finds the kinds in the two
latents, and in those of the plain VAE.
"""

from __future__ import annotations

from mien.recipes import families
from mien.recipes.recipe import Pictures

RECIPE = families.plane(
    title="Fig. 7 (c): Caltech-101 silhouettes in two latents",
    source="Zemouri 2020, Fig. 7 (c), a picture without numbers",
    small=Pictures("silhouettes", 28),
    paper=Pictures("silhouettes", 28),
    held_out=2307,
)
