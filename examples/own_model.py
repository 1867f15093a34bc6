"""A model and a data set of your own in one file, without a change of mien.

mien train examples/own_model.py:LinearAutoencoder --data examples/own_model.py:Circles --size 16 --steps 50 --out run
mien --code examples/own_model.py reconstruct run
"""

import numpy as np
from torch import nn

from mien.abilities import Decodes, Encodes
from mien.data.base import Source
from mien.models.base import Model
from mien.networks.point import Point


class LinearAutoencoder(Model, Encodes, Decodes):
    """LinearAutoencoder: one linear layer to the latent, and one back.

    Args:
        latent: size of the latent.
        lr: learning rate of Adam.
    """

    players = ("encoder", "decoder")

    def __init__(self, shape: tuple[int, int, int], latent: int = 16, lr: float = 1e-3):
        super().__init__()
        self.lr = lr
        pixels = shape[0] * shape[1] * shape[2]
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(pixels, latent))
        self.decoder = nn.Sequential(nn.Linear(latent, pixels), nn.Tanh(), nn.Unflatten(1, shape))

    def encode(self, x):
        return Point(self.encoder(x))

    def decode(self, z):
        return self.decoder(z)

    def training_step(self, batch, update):
        loss = (self.decode(self.encode(batch.x).mean) - batch.x).square().mean()
        update({("encoder", "decoder"): loss}, error=loss)


class Circles(Source):
    """Circles: white circles on black, with the attribute Large.

    Args:
        count: number of pictures.
    """

    name = "circles"
    channels = 1
    attributes = ("Large",)

    def __init__(self, count: int = 100):
        self.count = count

    def __len__(self):
        return self.count

    def key(self, i):
        return str(i)

    def read(self, i, size):
        y, x = np.mgrid[:size, :size] - size / 2
        return np.where(np.hypot(x, y) < size * self._radius(i), 255, 0).astype(np.uint8)[..., None]

    def attribute_row(self, i):
        return np.array([1 if self._radius(i) > 0.3 else -1], np.int8)

    def fingerprint(self):
        return f"circles 1 {self.count}"

    def options(self):
        return {"count": self.count}

    def _radius(self, i):
        return np.random.default_rng(i).uniform(0.1, 0.5)


if __name__ == "__main__":
    import mien

    folder, outcome = mien.train(LinearAutoencoder, mien.Data(Circles, size=16), "run", steps=50)
    print(f"{folder}: {outcome.steps} steps in {outcome.seconds:.1f} s")
