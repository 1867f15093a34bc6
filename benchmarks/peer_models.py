"""pythae's networks and losses as models of mien (for peers.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mien.data.batch import Batch
from mien.models.base import Model, Update

GAMMA = 0.5  # pythae's adversarial_loss_scale
LR = 1e-4


def _stage(before: int, after: int, activation: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 4, 2, padding=1), nn.BatchNorm2d(after), activation)


def _double(before: int, after: int, padding: int, more: int) -> nn.Sequential:
    deconv = nn.ConvTranspose2d(before, after, 5, 2, padding=padding, output_padding=more)
    return nn.Sequential(deconv, nn.BatchNorm2d(after), nn.ReLU(inplace=True))


def _relu() -> nn.Module:
    return nn.ReLU(inplace=True)


class Encoder(nn.Module):
    """A body with two heads, mean and log-variance."""

    def __init__(self, body: nn.Module, flat: int, latent: int):
        super().__init__()
        self.body = body
        self.mean, self.log_variance = nn.Linear(flat, latent), nn.Linear(flat, latent)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.body(x).flatten(1)
        return self.mean(h), self.log_variance(h)


class Discriminator(nn.Module):
    """Four convolutions of stride 2 and a probability; the loss compares its third feature maps."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(_stage(3, 128, _relu()), _stage(128, 256, nn.Tanh()), _stage(256, 512, _relu()))
        self.head = nn.Sequential(_stage(512, 1024, _relu()), nn.Flatten(), nn.Linear(1024 * 16, 1), nn.Sigmoid())


def conv_encoder(latent: int) -> Encoder:
    widths = (3, 128, 256, 512, 1024)
    body = nn.Sequential(*(_stage(a, b, _relu()) for a, b in pairwise(widths)))
    return Encoder(body, 1024 * 16, latent)


def conv_decoder(latent: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(latent, 1024 * 64),
        nn.Unflatten(1, (1024, 8, 8)),
        _double(1024, 512, 2, 0),
        _double(512, 256, 1, 0),
        _double(256, 128, 2, 1),
        nn.ConvTranspose2d(128, 3, 5, 1, padding=1),
        nn.Sigmoid(),
    )


class PeerVAE(Model):
    """pythae's VAE: 0.5 times the sum of squares, and KL.

    Args:
        encoder, decoder: of the case.
    """

    players = ("encoder", "decoder")
    lr = LR

    def __init__(self, encoder: nn.Module, decoder: nn.Module):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def parts(self, x: Tensor) -> dict[str, Tensor]:
        """Return the losses by pythae's names."""
        mean, log_variance = self.encoder(x)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        rec = 0.5 * (self.decoder(z).flatten(1) - x.flatten(1)).square().sum(1).mean()
        return {"loss": rec + divergence(mean, log_variance)}

    def training_step(self, batch: Batch, update: Update) -> None:
        update({("encoder", "decoder"): self.parts(batch.x)["loss"]})


class PeerVAEGAN(Model):
    """pythae's VAEGAN, by the algorithm of its losses (Larsen et al. 2016, Algorithm 1).

    The discriminator sees real pictures once, which gives both their maps and their scores, and one backward pass
    serves encoder and decoder.
    """

    players = ("encoder", "decoder", "discriminator")
    lr = LR

    def __init__(self, latent: int):
        super().__init__()
        self.encoder, self.decoder, self.discriminator = conv_encoder(latent), conv_decoder(latent), Discriminator()

    def parts(self, x: Tensor) -> dict[str, Tensor]:
        """Return the losses by pythae's names, and the tensor that starts the shared backward pass of two players."""
        mean, log_variance = self.encoder(x)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        if z.requires_grad:
            # rec has weight 1 for the encoder and 1 - γ for the decoder; the gradient is scaled between the two
            z.register_hook(lambda gradient: gradient / (1 - GAMMA))
        x_rec = self.decoder(z)
        real = self.discriminator.features(x)
        rec = 0.5 * (real - self.discriminator.features(x_rec)).flatten(1).square().sum(1).mean()
        prior = self.decoder(torch.randn_like(z))
        score_real = self.discriminator.head(real).flatten()
        score_prior = self.discriminator.head(self.discriminator.features(prior)).flatten()
        d = F.binary_cross_entropy(score_real, torch.ones_like(score_real))
        d = d + F.binary_cross_entropy(score_prior, torch.zeros_like(score_prior))
        kl = divergence(mean, log_variance)
        both = kl + (1 - GAMMA) * rec - GAMMA * d
        return {"encoder_loss": kl + rec, "decoder_loss": both - kl, "discriminator_loss": d, "both": both}

    def training_step(self, batch: Batch, update: Update) -> None:
        parts = self.parts(batch.x)
        # the discriminator's loss does not depend on the encoder, nor KL on the decoder
        update({("encoder", "decoder"): parts["both"], "discriminator": parts["discriminator_loss"]})


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return KL(q || N(0, I)), its mean over the batch."""
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(1).mean()


def rebuild(case: str, shape: Sequence[int], latent: int) -> Model:
    """Return the networks of a case of pythae as a model of mien."""
    if case == "vaegan":
        return PeerVAEGAN(latent)
    if case == "conv_vae":
        return PeerVAE(conv_encoder(latent), conv_decoder(latent))
    flat = shape[0] * shape[1] * shape[2]
    body = nn.Sequential(nn.Flatten(), nn.Linear(flat, 512), _relu())
    decoder = nn.Sequential(
        nn.Linear(latent, 512), _relu(), nn.Linear(512, flat), nn.Sigmoid(), nn.Unflatten(1, tuple(shape))
    )
    return PeerVAE(Encoder(body, 512, latent), decoder)


def load_weights(model: Model, weights: Mapping[str, Tensor]) -> None:
    """Copy the weights of pythae's networks into the networks of the same names, in order."""
    for player in model.players:
        own = list(model.get_submodule(player).parameters())
        theirs = [value for name, value in weights.items() if name.startswith(f"{player}.")]
        for parameter, value in zip(own, theirs, strict=True):
            assert parameter.shape == value.shape, (player, parameter.shape, value.shape)
            parameter.data.copy_(value)
