"""The sides of peers.py: our step, a plain loop of the same algorithm, and the distance of their gradients."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from timing import timed
from torch import Tensor, nn

from mien import losses
from mien.data.batch import Batch
from mien.models.base import Model
from mien.training.loop import Settings, make_fabric
from mien.training.update import Update


class Ours:
    """A model of mien with its update and its batch."""

    def __init__(self, model: Model, x: Tensor, device: str, memory_format: torch.memory_format):
        self.model = model.to(device).to(memory_format=memory_format).train()
        self.update = Update(self.model, make_fabric(Settings(steps=1, device=device)))
        x = x.to(device)
        x = x.contiguous(memory_format=memory_format) if x.ndim == 4 else x
        self.batch = Batch(x, None, None, torch.arange(len(x), device=device))

    def __call__(self) -> None:
        """Take a step."""
        self.model.training_step(self.batch, self.update)

    def gradients(self) -> dict[str, list[Tensor]]:
        """Return the gradients that each player's optimizer gets in a step at seed 1."""
        with captured(self.model, self.update.optimizers) as gradients:
            torch.manual_seed(1)
            self()
        return gradients


@contextmanager
def captured(model: Model, optimizers: Mapping[str, torch.optim.Optimizer]) -> Iterator[dict[str, list[Tensor]]]:
    """Yield a dict that each optimizer's step fills with the gradients it gets."""
    gradients: dict[str, list[Tensor]] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(*arguments: Any) -> None:
            parameters = model.get_submodule(name).parameters()
            gradients[name] = [p.grad.detach().cpu().clone() for p in parameters if p.grad is not None]

        return hook

    with ExitStack() as stack:
        for name, optimizer in optimizers.items():
            stack.callback(optimizer.register_step_pre_hook(keep(name)).remove)
        yield gradients


def distances(got: Mapping[str, list[Tensor]], expected: Mapping[str, list[Tensor]]) -> dict[str, float]:
    """Return |got - expected| / |expected| over all weights of each player."""
    result = {}
    for name, values in expected.items():
        difference = sum(
            float((a.double() - b.double()).square().sum()) for a, b in zip(got[name], values, strict=True)
        )
        size = sum(float(b.double().square().sum()) for b in values)
        result[name] = (difference / size) ** 0.5 if size else 0.0
    return result


def faster_format(model: Model, x: Tensor, device: str, smoke: bool) -> torch.memory_format:
    """Return the memory format in which a step is faster, by trying both."""
    if smoke or x.ndim != 4 or not any(isinstance(m, nn.Conv2d) for m in model.modules()):
        return torch.contiguous_format
    seconds = {}
    for memory_format in (torch.contiguous_format, torch.channels_last):
        ours = Ours(copy.deepcopy(model), x, device, memory_format)
        ours()
        seconds[memory_format] = timed(ours, device)()
    return min(seconds, key=lambda key: seconds[key])


class PlainLoop:
    """A typical loop of VAE-WGAN's Algorithm 1: one backward pass for each network, into the weights' ``grad``.

    Args:
        model: a VAE-WGAN, whose networks and settings it takes.
    """

    def __init__(self, model: Any, x: Tensor):
        self.model, self.x = model, x
        self.optimizers = {
            name: torch.optim.Adam(model.get_submodule(name).parameters(), lr=model.lr, betas=model.betas)
            for name in model.players
        }

    def zero_grad(self) -> None:
        for optimizer in self.optimizers.values():
            optimizer.zero_grad()

    def __call__(self) -> None:
        """Take a step."""
        model = self.model
        q = model.encoder(self.x)
        x_rec = model.decoder(q.rsample())
        with torch.no_grad():
            real = model.feature_loss.features(self.x)
        fake = model.feature_loss.features(x_rec)
        kl, rec = losses.kl(q).mean(), model.feature_loss(real, fake).mean()
        critic_loss = model.label * (model.critic(fake[0].detach()).mean() - model.critic(real[0]).mean())
        generator_loss = -model.label * model.critic(fake[0]).mean()
        decoder_loss = model.beta * rec + generator_loss
        encoder_loss = model.alpha * kl + decoder_loss
        self.zero_grad()
        decoder_loss.backward(retain_graph=True)
        gradients = [p.grad for p in model.decoder.parameters()]
        self.zero_grad()  # clear the gradients that belong to other losses
        encoder_loss.backward(retain_graph=True)
        self.optimizers["decoder"].zero_grad()
        self.optimizers["critic"].zero_grad()
        for parameter, gradient in zip(model.decoder.parameters(), gradients, strict=True):
            parameter.grad = gradient
        critic_loss.backward()
        for optimizer in self.optimizers.values():
            optimizer.step()
        with torch.no_grad():
            for parameter in model.critic.parameters():
                parameter.clamp_(-model.clip_weights, model.clip_weights)

    def gradients(self) -> dict[str, list[Tensor]]:
        """Return the gradients that each player's optimizer gets in a step at seed 1."""
        with captured(self.model, self.optimizers) as gradients:
            torch.manual_seed(1)
            self()
        return gradients
