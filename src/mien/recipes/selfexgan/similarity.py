"""SelfExGAN, Fig. 4.11: the similarity of two faces by what is near them in latent space (§4.2.2).

Claim: faces of two people that look alike have similar pictures near them in latent space; others do not.

Command: mien reproduce selfexgan/similarity --scale smoke|small|paper
Time on two cores, not measured: smoke 10 s; small 60 min (the runs of selfexgan/celeba_resized); paper about 3 days.
Time on one GPU, not measured: small 8 min; paper 10 h.

The thesis shows three faces with their neighborhoods, and no numbers. Here, pairs of pictures of one person are
compared with pairs of strangers: the AUC is the share of cases in which the pair of one person is more similar. The
baseline is the similarity of pixels. At the scale smoke, avatars have no persons, and only the reconstructions are
measured.
"""

from __future__ import annotations

from mien.recipes import common, families
from mien.recipes.families import GAN
from mien.recipes.recipe import Claim, Pictures, Recipe, Row, Run

AUC = {"neighborhoods": "neighborhood", "cosines of latents": "cosine", "pixels": "pixels"}

RECIPE = Recipe(
    title="Fig. 4.11: similarity of faces",
    source="Liu 2018, Fig. 4.11, pictures without numbers",
    runs={"judge": common.JUDGE, GAN: Run("selfexgan")},
    scales=families.thesis_scales(
        Pictures("celeba", 32), Pictures("celeba", 64, count=40_000), "celeba_resized", common.AVATARS
    ),
    measures=("similarity_auc", "reconstruction"),
    rows=[
        *[Row(f"AUC, {label}", GAN, f"similarity_auc.measures.{name}.auc") for label, name in AUC.items()],
        Row("PSNR", GAN, "reconstruction.psnr_db", unit="dB", digits=2),
    ],
    claims=[
        Claim("Neighborhoods distinguish pairs of one person from strangers: the AUC is above a half",
              lambda result: result.above("AUC, neighborhoods", 0.5)),
        Claim("They do so better than pixels",
              lambda result: result.exceeds("AUC, neighborhoods", "AUC, pixels")),
    ],
    figure=families.thesis_figure,
)  # fmt: skip
