"""Run by test_training under torchrun: a few steps of a VAE, whose weights rank 0 writes to the path given."""

import sys

import torch
from torch import nn

from conftest import SHAPE, batch_of
from mien import losses
from mien.data.batch import Batch
from mien.models.base import build
from mien.training.loop import Settings, make_fabric
from mien.training.update import Update


def main(out: str) -> None:
    fabric = make_fabric(Settings(steps=1, device="cpu"))
    torch.manual_seed(0)
    model = build("vae", {"shape": SHAPE, "width": 4, "latent": 8})
    if fabric.is_global_zero:
        torch.save({k: v.detach().clone() for k, v in model.named_parameters()}, out + ".start")
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()  # statistics of half a batch are not those of the whole
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
        torch.save({k: v.detach() for k, v in model.named_parameters()}, out)
    fabric.barrier()


if __name__ == "__main__":
    main(sys.argv[1])
