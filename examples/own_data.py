"""Train on pictures of your own program: arrays, or a data set of torch. It takes a few seconds.

python examples/own_data.py
"""

import numpy as np
import torch

import mien


class Squares(torch.utils.data.Dataset):
    """Squares of two sizes as (picture, label)."""

    def __len__(self):
        return 100

    def __getitem__(self, i):
        picture = torch.zeros(3, 16, 16, dtype=torch.uint8)
        side = 4 + 4 * (i % 2)
        picture[:, :side, :side] = 100 + i
        return picture, i % 2


pictures = np.random.default_rng(0).integers(0, 256, (100, 16, 16, 3), np.uint8)
pictures[:50, :, :8] = 255
data = mien.Data.from_arrays(pictures, {"Bright_left": np.arange(100) < 50})
mien.train("vae", data, "run-arrays", {"width": 8, "latent": 8}, steps=20)
run = mien.open_run("run-arrays", data=data)
edited = run.editor()(run.dataset.batch(run.splits.test[:4]).x, {"Bright_left": +1})

mien.train("attribute_cnn", mien.Data.from_dataset(Squares(), classes=["small", "large"]), "run-torch", steps=20)
print("trained on arrays and on a data set of torch:", mien.load("run-torch").config["classes"])
