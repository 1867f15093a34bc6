"""Our training step against peers on the same nets, batch and pictures.

    python benchmarks/peers.py [--smoke] [--minutes 4] [--device cpu|cuda] [--env FOLDER] [--no-pythae]

Compares, in turns, five rounds of each:
- pythae's VAEGAN (its CelebA nets, batch 16), its VAE with the same nets, and its VAE of dense layers at 28 px, each
  trained by pythae's own trainer in an environment of its own, with the same nets as a model of ours moved by our
  update. Both start from the same weights, and their losses are compared before they are timed.
- a plain PyTorch loop of VAE-WGAN's Algorithm 1, with zero_grad, three backward passes and step, with our model.

Gradients are compared too: ours with those of the written algorithm, and those that pythae's trainer passes to its
optimizers with the gradients of pythae's own losses. No time includes reading pictures. pythae comes from the package
registry; uv makes its environment in --env on the first run (about 5 GB with torch, most of it in uv's cache).
About four minutes on two cores.
"""

from __future__ import annotations

import argparse
import copy
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from common import Result, Rounds, Spread, Worker, interleave, matrix_rate, parse, remaining, repeats, timed
from torch import Tensor, nn
from torch.nn import functional as F
from train_steps import CASES, Case, make, small

from mien import losses
from mien.data.batch import Batch
from mien.models.base import Model, Update
from mien.training.loop import Settings, make_fabric
from mien.training.update import Update as Updater

HERE = Path(__file__).parent
PYTHAE = "0.1.2"
GAMMA = 0.5  # pythae's adversarial_loss_scale
LR = 1e-4
CLOSE = 1e-3  # relative distance of gradients that count as equal: float32 sums in another order

# ------------------------------------------------------------------------- pythae's nets, rebuilt as models of ours


def _stage(before: int, after: int, activation: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 4, 2, padding=1), nn.BatchNorm2d(after), activation)


def _double(before: int, after: int, padding: int, more: int) -> nn.Sequential:
    deconv = nn.ConvTranspose2d(before, after, 5, 2, padding=padding, output_padding=more)
    return nn.Sequential(deconv, nn.BatchNorm2d(after), nn.ReLU(inplace=True))


def _relu() -> nn.Module:
    return nn.ReLU(inplace=True)


class Encoder(nn.Module):
    """A body, then mean and log-variance."""

    def __init__(self, body: nn.Module, flat: int, latent: int):
        super().__init__()
        self.body = body
        self.mean, self.log_variance = nn.Linear(flat, latent), nn.Linear(flat, latent)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.body(x).flatten(1)
        return self.mean(h), self.log_variance(h)


class Discriminator(nn.Module):
    """Four convolutions of stride 2 and a probability; its third maps are compared."""

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
        """Return its losses by pythae's names."""
        mean, log_variance = self.encoder(x)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        rec = 0.5 * (self.decoder(z).flatten(1) - x.flatten(1)).square().sum(1).mean()
        return {"loss": rec + divergence(mean, log_variance)}

    def training_step(self, batch: Batch, update: Update) -> None:
        update({("encoder", "decoder"): self.parts(batch.x)["loss"]})


class PeerVAEGAN(Model):
    """pythae's VAEGAN, by the algorithm its losses are written for (Larsen et al. 2016, Algorithm 1).

    The discriminator sees real pictures once, which gives both their maps and their scores, and one backward pass
    serves encoder and decoder.
    """

    players = ("encoder", "decoder", "discriminator")
    lr = LR

    def __init__(self, latent: int):
        super().__init__()
        self.encoder, self.decoder, self.discriminator = conv_encoder(latent), conv_decoder(latent), Discriminator()

    def parts(self, x: Tensor) -> dict[str, Tensor]:
        """Return its losses by pythae's names, and what the backward pass that serves two players starts from."""
        mean, log_variance = self.encoder(x)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        if z.requires_grad:
            # rec weighs 1 for the encoder and 1 - γ for the decoder: set right where it passes from one to the other
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
    """Return the nets of a case of pythae's as a model of ours."""
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
    """Give each net the weights of pythae's net of the same name, in their order."""
    for player in model.players:
        own = list(model.get_submodule(player).parameters())
        theirs = [value for name, value in weights.items() if name.startswith(f"{player}.")]
        for parameter, value in zip(own, theirs, strict=True):
            assert parameter.shape == value.shape, (player, parameter.shape, value.shape)
            parameter.data.copy_(value)


# ---------------------------------------------------------------------------------------------------- our own side


class Ours:
    """A model of ours with its update, and the batch it is trained on."""

    def __init__(self, model: Model, x: Tensor, device: str, memory_format: torch.memory_format):
        self.model = model.to(device).to(memory_format=memory_format).train()
        self.update = Updater(self.model, make_fabric(Settings(steps=1, device=device)))
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


# -------------------------------------------------------------------------------------------------- against pythae

PEERS = {  # case: title, shape, latent, batch, and the ratio to reach
    "vaegan": ("pythae VAEGAN, CelebA nets", (3, 64, 64), 64, 16, 1.3),
    "conv_vae": ("pythae VAE, CelebA nets", (3, 64, 64), 64, 16, None),
    "mlp_vae": ("pythae VAE, dense layers at 28 px", (1, 28, 28), 16, 64, 1.15),
}


def environment(folder: Path) -> Path:
    """Return the Python of pythae's environment, which uv makes if it is missing."""
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if (folder / "complete").exists():
        return python
    beside = Path(sys.executable).parent / "uv"
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        raise RuntimeError("uv is not installed: install it, or pass --no-pythae")
    print(f"installing pythae {PYTHAE} into {folder}", flush=True)
    # the same torch on both sides
    torch_ = f"torch=={torch.__version__.partition('+')[0]}"
    for words in (
        ["venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)],
        ["pip", "install", "--quiet", "--python", str(python), f"pythae=={PYTHAE}", torch_],
    ):
        done = subprocess.run([uv, *words], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"uv {words[0]} failed: {' '.join(done.stderr.split())[:300]}")
    (folder / "complete").touch()
    return python


def against_pythae(
    case: str, python: Path, options: argparse.Namespace, rate: Callable[[], float], result: Result
) -> None:
    """Compare one case and add its row."""
    title, shape, latent, batch, goal = PEERS[case]
    if options.smoke:
        batch = 2
    device = options.device
    values = {"case": case, "shape": shape, "latent": latent, "lr": LR, "device": device}
    with tempfile.TemporaryDirectory() as folder, Worker([str(python), str(HERE / "pythae_worker.py")]) as pythae:
        # the check comes first, at a small batch, as it takes ten backward passes
        pythae("build", **values, batch=2 if options.smoke else 4, folder=folder)
        ours, off = start(case, folder, options, shape, latent)
        result.notes.append(
            f"{title}: losses of both at equal weights and noise differ by at most {off:.1g} (relative)"
        )
        if case == "vaegan":
            theirs = pythae("gradients", folder=folder)
            written = torch.load(Path(folder) / "written_gradients.pt", weights_only=True)
            equal = distances(ours.gradients(), written)
            result.notes += gradient_notes(theirs, equal)
        pythae("build", **values, batch=batch, folder=folder)
        ours, _ = start(case, folder, options, shape, latent)
        parameters = sum(p.numel() for p in ours.model.parameters())
        ours()
        times = 1 if options.smoke else repeats(timed(ours, device)(), 0.5)
        pythae("step", times=1)
        subjects = {"ours": timed(ours, device, times), "pythae": pythae.subject("step", times=times)}
        rounds = interleave(subjects, options.rounds, rate)
    result.rates += rounds.rates
    add(result, title, "pythae", batch, parameters, rounds, goal)


def start(case: str, folder: str, options: argparse.Namespace, shape: Sequence[int], latent: int) -> tuple[Ours, float]:
    """Return ours with the weights and pictures pythae started from, and the largest relative difference of a loss."""
    saved = torch.load(Path(folder) / "start.pt", weights_only=True)
    model = rebuild(case, shape, latent)
    load_weights(model, saved["weights"])
    x = saved["x"]
    ours = Ours(model, x, options.device, faster_format(model, x, options.device, options.smoke))
    with torch.no_grad():
        torch.manual_seed(1)
        parts = ours.model.parts(ours.batch.x)  # type: ignore[operator]
    if options.device == "cuda":
        return ours, float("nan")  # noise of a GPU in another process differs
    shared = {k: v for k, v in saved["losses"].items() if k in parts}
    return ours, max(abs(float(parts[k]) - v) / max(abs(v), 1e-12) for k, v in shared.items())


def gradient_notes(theirs: Mapping[str, Any], equal: Mapping[str, float]) -> list[str]:
    """Return in words which losses reach which of pythae's networks, and whether ours is the written algorithm."""
    encoder, decoder, discriminator = (theirs[name] for name in ("encoder", "decoder", "discriminator"))
    verdict = "equal" if max(equal.values()) < CLOSE else "NOT equal"
    listed = ", ".join(f"{name} {value:.1g}" for name, value in equal.items())
    return [
        f"VAEGAN, ours: gradients are {verdict} to those of pythae's losses, each for its own network "
        f"(relative distances: {listed})",
        "VAEGAN, pythae: what its trainer gives each optimizer differs, as its backward passes add up in networks "
        f"that no zero_grad clears between them: the encoder is {encoder['own']:.2g} away from the gradient of its own "
        f"loss and {encoder['encoder + decoder']:.1g} from that of encoder + decoder loss (so its reconstruction weighs "
        f"{2 - GAMMA:g} instead of 1); the decoder is {decoder['own']:.2g} away from its own and "
        f"{decoder['decoder + discriminator']:.1g} from decoder + discriminator loss: its adversarial gradient is "
        f"{decoder['adversarial_factor']:+.2f} times the one its loss is written for, so it helps the discriminator; "
        f"the discriminator is {discriminator['own']:.1g} away from its own",
    ]


def add(result: Result, title: str, peer: str, batch: int, parameters: int, rounds: Rounds, goal: float | None) -> None:
    """Add a row, and a target where there is one."""
    speedup = rounds.speedup("ours", peer)
    result.rows.append(
        {
            "what": title,
            "batch": batch,
            "parameters": parameters,
            "speedup": speedup.to_json(),
            "ours_images_per_second": Spread.of(batch / s for s in rounds.seconds["ours"]).to_json(),
            "peer_images_per_second": Spread.of(batch / s for s in rounds.seconds[peer]).to_json(),
            "ours_seconds": rounds.seconds["ours"],
            "peer_seconds": rounds.seconds[peer],
            "matrix_rates": rounds.rates,
        }
    )
    if goal is not None:
        result.target(f"ours over {title}", f"≥ {goal:g}", speedup.text(), speedup.median >= goal)
    print(json.dumps({"what": title, "speedup": speedup.to_json()}), flush=True)


# ----------------------------------------------------------------------------------------- against the plain loop


class PlainLoop:
    """VAE-WGAN's Algorithm 1 as it is usually written: one backward pass a network, into the weights' ``grad``.

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
        self.zero_grad()  # the encoder and the critic have gradients now that are not theirs
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


def against_plain_loop(case: Case, options: argparse.Namespace, rate: Callable[[], float], result: Result) -> None:
    """Compare our VAE-WGAN with the plain loop of its algorithm: gradients first, then time."""
    device = options.device
    if options.smoke:
        case = small(case)
    batch = case.gpu_batch if device == "cuda" and not options.smoke else case.batch
    torch.manual_seed(0)
    x = torch.rand(batch, *case.shape) * 2 - 1
    model = make(case, device)
    ours = Ours(model, x, device, torch.channels_last)
    ours.model.calibrate(ours.batch)
    plain = PlainLoop(copy.deepcopy(ours.model), ours.batch.x)
    equal = distances(ours.gradients(), plain.gradients())
    listed = ", ".join(f"{name} {value:.1g}" for name, value in equal.items())
    verdict = "equal" if max(equal.values()) < CLOSE else "NOT equal"
    result.notes.append(f"{case.name}: our gradients are {verdict} to the plain loop's (relative distances: {listed})")
    seconds = 0.0 if options.smoke else 0.5
    times = repeats(timed(ours, device)(), seconds)
    subjects = {"ours": timed(ours, device, times), "plain": timed(plain, device, times)}
    rounds = interleave(subjects, options.rounds, rate)
    result.rates += rounds.rates
    parameters = sum(p.numel() for player in model.players for p in model.get_submodule(player).parameters())
    add(result, f"plain loop of VAE-WGAN, {case.kind}, {case.shape[1]} px", "plain", batch, parameters, rounds, None)


COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "against": lambda r: r["what"],
    "batch": lambda r: str(r["batch"]),
    "weights": lambda r: f"{r['parameters'] / 1e6:.1f} M",
    "ours, images/s": lambda r: _text(r["ours_images_per_second"]),
    "theirs": lambda r: _text(r["peer_images_per_second"]),
    "ours over theirs": lambda r: _text(r["speedup"]),
}


def _text(values: dict[str, float]) -> str:
    digits = 2 if values["median"] < 100 else 0
    return Spread(values["median"], values["q1"], values["q3"], int(values["n"])).text(digits)


def main(argv: Sequence[str] | None = None) -> None:
    def more(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--env", type=Path, default=HERE / ".pythae", help="pythae's environment")
        parser.add_argument("--no-pythae", action="store_true", help="only the plain loop")

    options = parse(__doc__, argv, minutes=4, more=more)
    rate = matrix_rate(options.device, "fp32", options.smoke)
    result = Result("peers", "our training step against peers', same nets, batch and pictures")
    for case in [c for c in CASES if c.model == "vae_wgan"]:
        against_plain_loop(case, options, rate, result)
    if options.no_pythae:
        result.notes.append("skipped by --no-pythae: pythae")
    else:
        try:
            python = environment(options.env)
        except RuntimeError as error:
            result.notes.append(f"skipped: pythae ({error})")
        else:
            for case in ("mlp_vae", "vaegan", "conv_vae"):
                if remaining(options) <= 0:
                    result.notes.append(f"skipped, as {options.minutes:g} minutes were over: {PEERS[case][0]}")
                    continue
                against_pythae(case, python, options, rate, result)
    result.finish(options, COLUMNS)


if __name__ == "__main__":
    main()
