"""Run by test_training under torchrun: ten updates of a VAE, then three steps of the loop; each into the folder given.

``start.pt`` and ``weights.pt`` hold the weights before and after the updates, of rank 0; ``noiseRANK.pt`` three random
numbers (3, 3) that follow each step of the loop, of every rank.
"""

import sys
from pathlib import Path

import torch
from torch import nn

from conftest import SHAPE, batch_of, tiny
from mien import data, losses
from mien.data.batch import Batch
from mien.models.vae import VAE
from mien.training.loop import Observer, Settings, fit, make_fabric
from mien.training.update import Update


class PlainVAE(VAE):
    """Moved by plain SGD: Adam hides the size of a gradient, and with it a sum in place of an average."""

    def optimizer(self, parameters):
        return torch.optim.SGD(parameters, lr=1e-4)


def updates(fabric, out: Path) -> None:
    """Move a VAE ten times, each process by its part of the batch."""
    torch.manual_seed(0)
    model = PlainVAE(shape=SHAPE, width=4, latent=8)
    if fabric.is_global_zero:
        torch.save({k: v.detach().clone() for k, v in model.named_parameters()}, out / "start.pt")
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()  # the statistics of half a batch are not those of the whole
    update = Update(model, fabric)
    for step in range(10):
        whole = batch_of(8, seed=step)
        mine = torch.arange(8)[fabric.global_rank :: fabric.world_size]
        batch = Batch(whole.x[mine], None, None, mine)
        q = model.encode(batch.x)
        noise = torch.randn(8, 8, generator=torch.Generator().manual_seed(step))[mine]
        x_rec = model.decode(q.mean + q.stddev * noise)
        loss = losses.kl(q).mean() + losses.gaussian_reconstruction(batch.x, x_rec).mean()
        update({("encoder", "decoder"): loss})
    if fabric.is_global_zero:
        torch.save({k: v.detach() for k, v in model.named_parameters()}, out / "weights.pt")


class Noise(Observer):
    """Draws three numbers of the generator that noise comes from, after each step."""

    def __init__(self):
        self.draws = []

    def after_step(self, trainer):
        self.draws.append(torch.rand(3))


def loop(fabric, out: Path) -> None:
    """Train for three steps with four pictures a process, so that each step draws as many numbers in every process."""
    dataset = data.load("avatars", size=16, count=240)
    splits, noise = dataset.split(), Noise()
    settings = Settings(steps=3, batch=4 * fabric.world_size, device="cpu")
    fit(tiny("vae"), dataset, splits.train, splits.valid, out, settings, fabric=fabric, observers=[noise])
    torch.save(torch.stack(noise.draws), out / f"noise{fabric.global_rank}.pt")


def main(out: Path) -> None:
    out.mkdir(exist_ok=True)
    fabric = make_fabric(Settings(steps=1, device="cpu"))
    updates(fabric, out)
    loop(fabric, out)
    fabric.barrier()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
