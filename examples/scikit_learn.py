"""The latents of a run as features of scikit-learn: does a face smile?

    python examples/scikit_learn.py

It trains a small VAE on 400 drawn faces (about ten seconds on a CPU) and then a logistic regression on the latents.
"""

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import mien
from mien.transformer import ImageEncoder

mien.train("vae", mien.Data("avatars", size=16, options={"count": 400}), "runs/latents", {"width": 8}, steps=100)
run = mien.open_run("runs/latents")
smiles = run.dataset.attribute_table[:, run.dataset.attributes.index("Smiling")]  # (N,), 1 or -1
train, test = run.splits.train, run.splits.test

pipeline = make_pipeline(ImageEncoder(runs=["runs/latents"]), LogisticRegression(max_iter=1000))
pipeline.fit(run.dataset.pictures(train), smiles[train])
print(f"accuracy on {len(test)} held-out faces: {pipeline.score(run.dataset.pictures(test), smiles[test]):.2f}")
