"""SSAVAE, Fig. 7 (b): Omniglot's alphabets in two latents (§3.4.1).

Claim: two latents show how the 50 alphabets overlap; reconstruction from two latents was impossible for Omniglot.

Command: mien reproduce ssavae/omniglot --scale smoke|small|paper
Time on two cores, not measured: smoke 15 s; small 35 min (3 models, 3 seeds); paper about 3 h.
Time on one GPU, not measured: small 6 min; paper 1 h.

The paper has 24,345 pictures for training and 8,070 for the test, and this split is not published. Here, the split is
drawn by the seed: a tenth of the pictures is the test part. With the two small archives, 5,840 pictures of fewer
alphabets are there. A linear SVM finds the alphabets in the two latents, and in those of the plain VAE.
"""

from __future__ import annotations

from mien.recipes import families
from mien.recipes.recipe import Pictures

RECIPE = families.plane(
    title="Fig. 7 (b): Omniglot's alphabets in two latents",
    source="Zemouri 2020, Fig. 7 (b), a picture without numbers",
    small=Pictures("omniglot", 28),
    paper=Pictures("omniglot", 28),
    held_out=8070,
)
