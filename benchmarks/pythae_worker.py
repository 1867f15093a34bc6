"""Trains pythae's models step by step in a separate environment, for peers.py.

It imports only torch, pythae and workers.py. There are three requests. ``build`` creates a case and writes its weights,
pictures and losses, for the same networks in mien. ``gradients`` compares the gradients that pythae's trainer passes to
the optimizers with the gradients of pythae's own losses, and writes the latter. ``step`` trains and returns the seconds
of a step.
"""

from __future__ import annotations

import logging
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEGAN, VAEConfig, VAEGANConfig
from pythae.models.nn.benchmarks.celeba import (
    Decoder_Conv_AE_CELEBA,
    Discriminator_Conv_CELEBA,
    Encoder_Conv_VAE_CELEBA,
)
from pythae.trainers import (
    BaseTrainer,
    BaseTrainerConfig,
    CoupledOptimizerAdversarialTrainer,
    CoupledOptimizerAdversarialTrainerConfig,
)
from workers import serve

logging.disable(logging.CRITICAL)
# pythae's balance between the players skips updates; with this margin, every step has all three updates
ALWAYS = 1e6
GAMMA = 0.5  # default of pythae's adversarial_loss_scale
LAYER = 3  # layer of the discriminator for the feature loss

state: dict[str, Any] = {}


def build(case: str, shape: list[int], latent: int, batch: int, lr: float, folder: str, device: str) -> dict[str, Any]:
    """Build a case with seeded weights; write them, a batch of pictures, and the losses of a seeded forward pass."""
    torch.manual_seed(0)
    common = {"input_dim": tuple(shape), "latent_dim": latent}
    if case == "vaegan":
        config = VAEGANConfig(
            **common, adversarial_loss_scale=GAMMA, reconstruction_layer=LAYER, equilibrium=0.68, margin=ALWAYS
        )
        model = VAEGAN(
            config,
            encoder=Encoder_Conv_VAE_CELEBA(config),
            decoder=Decoder_Conv_AE_CELEBA(config),
            discriminator=Discriminator_Conv_CELEBA(config),
        )
    elif case == "conv_vae":
        config = VAEConfig(**common)
        model = VAE(config, encoder=Encoder_Conv_VAE_CELEBA(config), decoder=Decoder_Conv_AE_CELEBA(config))
    else:
        model = VAE(VAEConfig(**common))
    x = torch.rand(batch, *shape)
    dataset = BaseDataset(x, torch.zeros(batch))
    scratch = tempfile.mkdtemp(dir=folder)
    sizes = {"output_dir": scratch, "per_device_train_batch_size": batch, "no_cuda": device == "cpu"}
    if case == "vaegan":
        rates = {f"{net}_learning_rate": lr for net in ("encoder", "decoder", "discriminator")}
        trainer = CoupledOptimizerAdversarialTrainer(
            model, dataset, training_config=CoupledOptimizerAdversarialTrainerConfig(**sizes, **rates)
        )
    else:
        trainer = BaseTrainer(model, dataset, training_config=BaseTrainerConfig(**sizes, learning_rate=lr))
    trainer.prepare_training()
    trainer.model.train()
    state.update(trainer=trainer, model=model, x=x.to(device), device=device, case=case)
    weights = {name: value.detach().cpu().clone() for name, value in model.named_parameters()}
    torch.save({"weights": weights, "x": x, "losses": forward_losses()}, Path(folder) / "start.pt")
    return {"parameters": sum(value.numel() for value in weights.values())}


def forward(seed: int | None = None) -> Any:
    """Return the output of pythae's model, with seeded noise unless the seed is None."""
    if seed is not None:
        torch.manual_seed(seed)
    return state["model"]({"data": state["x"]}, epoch=1, dataset_size=len(state["x"]), uses_ddp=False)


def forward_losses() -> dict[str, float]:
    """Return the losses of pythae's model at seed 1."""
    output = forward(seed=1)
    names = [name for name in ("loss", "encoder_loss", "decoder_loss", "discriminator_loss") if name in output]
    return {name: float(output[name].detach()) for name in names}


def step(times: int) -> dict[str, float]:
    """Train some steps like pythae's trainer, and return the seconds of one step."""
    trainer, model, case = state["trainer"], state["model"], state["case"]
    inputs = {"data": state["x"]}
    names = ("encoder_loss", "decoder_loss", "discriminator_loss") if case == "vaegan" else ("loss",)
    cuda = state["device"] == "cuda"
    if cuda:
        torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(times):
        output = model(inputs, epoch=1, dataset_size=len(state["x"]), uses_ddp=False)
        trainer._optimizers_step(output)
        for name in names:  # pythae's trainer sums the losses of an epoch
            output[name].item()
    if cuda:
        torch.cuda.synchronize()
    return {"seconds": (time.perf_counter() - start) / times}


def gradients(folder: str) -> dict[str, Any]:
    """Compare the gradients of pythae's optimizers with the gradient of each loss for the network of its name.

    Answers with relative distances: of the gradients that a net's optimizer gets to the gradient of the net's own loss
    (``own``), and to the gradient of the sum of losses named with it.
    """
    trainer, model = state["trainer"], state["model"]
    nets = {name: list(getattr(model, name).parameters()) for name in ("encoder", "decoder", "discriminator")}
    output = forward(seed=1)
    losses = {name: output[f"{name}_loss"] for name in nets}

    def gradient(loss: torch.Tensor, net: str) -> list[torch.Tensor]:
        return list(torch.autograd.grad(loss, nets[net], retain_graph=True, allow_unused=True, materialize_grads=True))

    written = {name: gradient(losses[name], name) for name in nets}
    sums = {
        "encoder + decoder": ("encoder", losses["encoder"] + losses["decoder"]),
        "decoder + discriminator": ("decoder", losses["decoder"] + losses["discriminator"]),
    }
    summed = {text: (net, gradient(loss, net)) for text, (net, loss) in sums.items()}
    # the adversarial part of the decoder's loss is -GAMMA times the discriminator's loss
    adversarial = gradient(-GAMMA * losses["discriminator"], "decoder")
    feature = gradient(losses["decoder"] + GAMMA * losses["discriminator"], "decoder")
    gradients: dict[str, list[torch.Tensor]] = {}
    optimizers = {name: getattr(trainer, f"{name}_optimizer") for name in nets}
    hooks = [
        optimizer.register_step_pre_hook(
            lambda o, a, k, name=name: gradients.update({name: [p.grad.clone() for p in nets[name]]})
        )
        for name, optimizer in optimizers.items()
    ]
    # like pythae's own zero_grad calls, each of which clears one network only
    for parameter in model.parameters():
        parameter.grad = None
    trainer._optimizers_step(output)
    for hook in hooks:
        hook.remove()
    torch.save(
        {name: [g.cpu() for g in values] for name, values in written.items()}, Path(folder) / "written_gradients.pt"
    )
    answer: dict[str, Any] = {name: {"own": distance(gradients[name], written[name])} for name in nets}
    for text, (net, values) in summed.items():
        answer[net][text] = distance(gradients[net], values)
    rest = [g - f for g, f in zip(gradients["decoder"], feature, strict=True)]
    answer["decoder"]["adversarial_factor"] = dot(rest, adversarial) / dot(adversarial, adversarial)
    return answer


def dot(a: list[torch.Tensor], b: list[torch.Tensor]) -> float:
    return float(sum((x.double() * y.double()).sum() for x, y in zip(a, b, strict=True)))


def distance(a: list[torch.Tensor], b: list[torch.Tensor]) -> float:
    """Return |a - b| / |b|."""
    return (dot(d := [x - y for x, y in zip(a, b, strict=True)], d) / dot(b, b)) ** 0.5


if __name__ == "__main__":
    serve({"build": build, "step": step, "gradients": gradients})
