"""The benchmarks: each one runs, and the arithmetic of its reports is right. No test depends on a clock."""

import importlib
import json
import statistics
import sys

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from conftest import BENCHMARKS, batch_of
from mien import models
from mien.experiment import train
from mien.run.data import Data
from mien.training.profile import GRADIENTS, OPTIMIZER, REST, Profile, profiled
from mien.training.update import Update

pytestmark = pytest.mark.usefixtures("benchmarks")
NAMES = ("train_steps", "peers", "data", "inference", "decoder", "startup", "busy", "gpu")


@pytest.fixture
def timing():
    return importlib.import_module("timing")


# ------------------------------------------------------------------------------------------------------ arithmetic


def test_spreads_and_percentiles_equal_numpys(timing):
    values = np.random.default_rng(0).exponential(size=11).tolist()
    spread = timing.Spread.of(values)
    assert [spread.low, spread.median, spread.high] == pytest.approx(np.percentile(values, [25, 50, 75]))
    for share in (0, 0.05, 0.5, 0.95, 1):
        assert timing.percentile(values, share) == pytest.approx(np.percentile(values, 100 * share))
    assert timing.Spread.of([3.0]) == timing.Spread(3.0, 3.0, 3.0, 1)


def test_subjects_take_turns_and_ratios_are_within_rounds(timing):
    called = []

    def subject(name, seconds):
        def run():
            called.append(name)
            return seconds * len(called)  # a machine that slows down all the time

        return run

    rounds = timing.interleave({"a": subject("a", 1.0), "b": subject("b", 2.0)}, 5, lambda: 10.0, pause=0)
    assert called == ["a", "b"] * 5
    assert rounds.rates == [10.0] * 5
    expected = [2 * (2 * i + 2) / (2 * i + 1) for i in range(5)]
    assert rounds.speedup("a", over="b").median == pytest.approx(statistics.median(expected))
    assert rounds.difference("b", over="a").median == pytest.approx(
        statistics.median([4 * i + 4 - 2 * i - 1 for i in range(5)])
    )
    assert rounds.share("a", flop=30.0).high == pytest.approx(np.percentile([3 / (2 * i + 1) for i in range(5)], 75))


def test_the_machine_is_described_without_names_of_its_own():
    about = importlib.import_module("common").machine("cpu")
    assert {"cpu", "cores", "threads", "torch", "commit", "date"} <= set(about)
    text = json.dumps(about)
    assert "/" not in text.replace(about["cpu"], "")
    import platform

    assert platform.node() not in text


def test_a_worker_answers_and_its_end_is_reported(tmp_path):
    workers = importlib.import_module("workers")
    script = tmp_path / "worker.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(BENCHMARKS)!r})\n"
        "from workers import serve\n"
        "def double(x): print('noise'); return {'seconds': 2 * x}\n"
        "def stop(): sys.exit(3)\n"
        "serve({'double': double, 'stop': stop})\n"
    )
    with workers.Worker([sys.executable, str(script)]) as worker:
        assert worker("double", x=21) == {"seconds": 42}
        assert worker.subject("double", x=0.5)() == 1.0
        with pytest.raises(RuntimeError, match="ended at 'stop' with code 3"):
            worker("stop")


# ---------------------------------------------------------------------------------------------------- smoke runs


@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_runs(name, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("MIEN_DATA", raising=False)
    more = {
        "train_steps": ["--only", "vae_wgan", "ssavae"],
        "peers": ["--no-pythae"],
        "gpu": ["--device", "cpu"],
    }
    importlib.import_module(name).main(["--smoke", "--out", str(tmp_path), *more.get(name, [])])
    result = json.loads((tmp_path / f"{name}.json").read_text())
    assert result["benchmark"] == name
    assert result["rows"]
    assert result["machine"]["torch"] == torch.__version__
    assert str(tmp_path) not in json.dumps(result)
    printed = capsys.readouterr().out
    assert "NOT equal" not in printed
    if name == "peers":
        assert "our gradients are equal to the plain loop's" in " ".join(printed.split())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("name", NAMES)
def test_without_a_gpu_it_says_so(name, capsys):
    with pytest.raises(SystemExit) as stop:
        importlib.import_module(name).main(["--device", "cuda"])
    assert stop.value.code == 2
    assert capsys.readouterr().err == "error: expected a CUDA device, got none: choose --device cpu\n"


def test_every_model_has_a_case():
    cases = importlib.import_module("train_steps").cases([])
    assert {case.model for case in cases} == set(models.names())


def test_the_rebuilt_peer_takes_the_gradients_of_its_losses():
    """One backward pass is shared by encoder and decoder, which have different weights of the reconstruction."""
    peers, sides = importlib.import_module("peer_models"), importlib.import_module("sides")
    torch.manual_seed(0)
    model = peers.PeerVAEGAN(4)
    x = torch.rand(2, 3, 64, 64)
    torch.manual_seed(1)
    parts = model.parts(x)
    shared = torch.autograd.grad(parts["both"], list(model.encoder.parameters()))
    torch.manual_seed(1)
    mean, log_variance = model.encoder(x)
    z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
    features = model.discriminator.features
    rec = 0.5 * (features(x) - features(model.decoder(z))).flatten(1).square().sum(1).mean()
    written = torch.autograd.grad(peers.divergence(mean, log_variance) + rec, list(model.encoder.parameters()))
    distance = sides.distances({"encoder": list(shared)}, {"encoder": list(written)})
    assert distance["encoder"] < 1e-3


# ------------------------------------------------------------------------------------------------------ profiling


def test_the_parts_of_a_step_are_its_networks(model):
    model.train()
    model.calibrate(batch_of())
    update = Update(model, Fabric(accelerator="cpu", devices=1))
    model.progress = model.stages[-1]

    def step():
        model.training_step(batch_of(), update)

    result = profiled(model, step, steps=2)
    assert result.steps == 2
    parts = result.shares()
    assert sum(parts.values()) == pytest.approx(1)
    assert {OPTIMIZER, REST, GRADIENTS} <= set(parts)
    assert set(parts) <= {OPTIMIZER, REST, GRADIENTS, *(name for name, _ in model.named_children())}
    # a player has a backward pass, and its time counts for no other part
    assert set(result.backward) & set(model.players)
    assert sum(result.forward.values()) + sum(result.backward.values()) <= result.seconds * 1.01
    hooks = [h for m in model.modules() for h in (*m._forward_hooks, *m._forward_pre_hooks)]
    assert not hooks


def test_a_profiled_training_ends_as_any_other(tmp_path):
    from safetensors.torch import load_file

    data = Data("avatars", size=16, options={"count": 240})
    weights = {}
    for name, more in (("plain", {}), ("profiled", {"observers": [Profile()]})):
        folder, _ = train("vae", data, tmp_path / name, {"width": 4, "latent": 8}, steps=6, batch=16, **more)
        weights[name] = load_file(folder / "weights.safetensors")
    assert all(torch.equal(weights["plain"][k], v) for k, v in weights["profiled"].items())
    parts = json.loads((tmp_path / "profiled" / "profile" / "parts.json").read_text())
    assert parts["steps"] == 3  # of six: three warm it up, and it ends before ten
    assert {"data", "encoder", "decoder", "optimizer"} <= set(parts["parts"])
    assert (tmp_path / "profiled" / "profile" / "trace.json.gz").stat().st_size > 1000
    assert not (tmp_path / "plain" / "profile").exists()
