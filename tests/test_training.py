"""Training: resuming, several processes, warnings, guards."""

import io
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from rich.console import Console
from safetensors.torch import load_file

from conftest import CLASSES, batch_of, tiny, weights_of
from mien.errors import MienError
from mien.experiment import dry_run, train
from mien.run.data import Data
from mien.training import logs, monitor
from mien.training.loop import Order, Settings, fit, make_fabric
from mien.training.update import PATIENCE, Diverged, Update

AVATARS = Data("avatars", size=16, options={"count": 240})
SMALL = {"width": 4, "latent": 8}


def run_vae(out, steps, **training):
    return train("vae", AVATARS, out, SMALL, steps=steps, batch=16, log_every=5, picture_every=10, **training)


def same_weights(a, b) -> bool:
    left, right = load_file(a / "weights.safetensors"), load_file(b / "weights.safetensors")
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


class StopAt(Exception):
    """Stands for a kill: nothing is saved on the way out."""


def kill_at(monkeypatch, step, save_at=()):
    """Let the loop save after the steps ``save_at`` and die before ``step``."""
    from mien.training import loop

    plain = loop.Trainer._step

    def stepping(self):
        if self.step in save_at:
            self._save()
        if self.step == step:
            raise StopAt
        plain(self)

    monkeypatch.setattr(loop.Trainer, "_step", stepping)


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_resumed_run_ends_bit_identical(tmp_path, monkeypatch, ema):
    run_vae(tmp_path / "whole", 24, ema=ema)
    with monkeypatch.context() as m:
        kill_at(m, step=15, save_at=(9,))
        with pytest.raises(StopAt):
            run_vae(tmp_path / "broken", 24, ema=ema)
    assert torch.load(tmp_path / "broken" / "state.pt", weights_only=True)["step"] == 9
    run_vae(tmp_path / "broken", 24, ema=ema)
    assert same_weights(tmp_path / "whole", tmp_path / "broken")
    steps = [[r["step"] for r in logs.read(tmp_path / k)] for k in ("whole", "broken")]
    assert steps[0] == steps[1], "the log of a resumed run has no gaps and no doubles"


@pytest.mark.parametrize("saved", [2, 4])  # in either stage of a model that has two
def test_every_model_resumes_bit_identical(tmp_path, monkeypatch, model, saved):
    """On the loop itself, with the tiny models of the law tests."""
    from mien import data

    opened = data.load("avatars", size=16, count=240)
    opened.labels = np.arange(len(opened)) % len(CLASSES)  # for models that need classes
    splits = opened.split()
    names = opened.attributes

    def fresh():
        extra = {"attributes": names} if "attributes" in model.config else {}
        return tiny(model.name, **extra)

    settings = Settings(steps=6, batch=8, log_every=2, picture_every=3, device="cpu")
    fabric = make_fabric(settings)
    for folder in ("whole", "broken"):
        (tmp_path / folder).mkdir()
    whole = fresh()
    fit(whole, opened, splits.train, splits.valid, tmp_path / "whole", settings, fabric=fabric)
    with monkeypatch.context() as m:
        kill_at(m, step=5, save_at=(saved,))
        with pytest.raises(StopAt):
            fit(fresh(), opened, splits.train, splits.valid, tmp_path / "broken", settings, fabric=fabric)
    resumed = fresh()
    fit(resumed, opened, splits.train, splits.valid, tmp_path / "broken", settings, fabric=fabric)
    for key, value in weights_of(whole).items():
        np.testing.assert_array_equal(value, weights_of(resumed)[key], err_msg=key)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_usable_run(tmp_path, number):
    """A real process, a real signal: it stops after a step, its run loads, and the same command goes on."""
    out = tmp_path / "run"
    command = [
        sys.executable, "-m", "mien.cli", "train", "vae", "--size", "16", "--data-option", "count=240", "--batch", "16",
        "--set", "width=4", "--set", "latent=8", "--steps", "100000", "--log-every", "5", "--out", str(out),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + 120
    while not len(logs.read(out)) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.2)
    process.send_signal(number)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 0, output
    assert "the same command goes on" in output
    from mien.run.weights import load

    assert load(out).name == "vae"
    step = json.loads((out / "progress.json").read_text())["step"]
    assert torch.load(out / "state.pt", weights_only=True)["step"] == step > 0


def test_two_processes_equal_one_on_the_joined_batch(tmp_path):
    """Two gloo processes with averaged gradients against one process; BatchNorm's statistics differ, so it is fixed."""
    script = os.path.join(os.path.dirname(__file__), "two_processes.py")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for world, out in ((1, tmp_path / "one.pt"), (2, tmp_path / "two.pt")):
        command = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={world}", "--master-port=0",
                   "--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", script, str(out)]  # fmt: skip
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stdout + done.stderr
    one, two = (torch.load(tmp_path / f"{n}.pt", weights_only=True) for n in ("one", "two"))
    start = torch.load(tmp_path / "one.pt.start", weights_only=True)
    moved = max(float((one[k] - start[k]).abs().max()) for k in one)
    assert moved > 1e-3
    for key, value in one.items():
        torch.testing.assert_close(two[key], value, rtol=1e-4, atol=1e-5, msg=lambda m, key=key: f"{key}: {m}")


def test_order_is_a_permutation_each_epoch_and_readable_anywhere():
    order = Order(np.arange(100, 150), seed=3)
    first, second = order.at(0, 50), order.at(50, 50)
    assert sorted(first) == sorted(second) == list(range(100, 150))
    assert (first != second).any()
    np.testing.assert_array_equal(order.at(30, 40), np.concatenate([first[30:], second[:20]]))
    np.testing.assert_array_equal(Order(np.arange(100, 150), seed=3).at(60, 10), second[10:20])
    assert (Order(np.arange(100, 150), seed=4).at(0, 50) != first).any()


def test_update_takes_all_gradients_before_any_step():
    """Two players of one forward pass each move along the gradient at the *old* weights of the other."""
    model = tiny("vae")
    model.eval()
    fabric = Fabric(accelerator="cpu", devices=1)
    update = Update(model, fabric)
    x = batch_of().x
    q = model.encode(x)
    loss = (model.decode(q.mean) - x).square().mean()
    expected = {
        n: torch.autograd.grad(loss, update.parameters[n], retain_graph=True, allow_unused=True, materialize_grads=True)
        for n in ("encoder", "decoder")
    }
    seen = {}
    for name, optimizer in update.optimizers.items():
        optimizer.register_step_pre_hook(
            lambda o, a, k, name=name: seen.update({name: [p.grad.clone() for p in update.parameters[name]]})
        )
    update({"encoder": loss, "decoder": loss})
    for name, gradients in expected.items():
        for wanted, got in zip(gradients, seen[name], strict=True):
            assert torch.equal(wanted, got)


def test_clipping():
    model = tiny("vae_wgan")
    model.calibrate(batch_of())
    update = Update(model, Fabric(accelerator="cpu", devices=1))
    model.train()
    model.training_step(batch_of(), update)
    bound = max(float(p.detach().abs().max()) for p in model.critic.parameters())
    assert 0 < bound <= 0.01 + 1e-9
    assert max(float(p.detach().abs().max()) for p in model.encoder.parameters()) > 0.01


def test_a_non_finite_step_is_left_out_told_and_fatal_if_it_stays():
    model = tiny("vae")
    update = Update(model, Fabric(accelerator="cpu", devices=1))
    told = []
    update.on_skip = told.append
    before = weights_of(model)
    weight = next(model.encoder.parameters())

    def bad():
        return (weight * torch.tensor(float("nan"))).sum()

    update({"encoder": bad()}, kl=torch.tensor(3.0))
    assert all((before[k] == v).all() for k, v in weights_of(model).items())
    assert told[0]["kl"] == 3.0
    for _ in range(PATIENCE - 2):
        update({"encoder": bad()})
    with pytest.raises(Diverged, match="lower the learning rate"):
        update({"encoder": bad()})
    update.skipped = 0
    update({"encoder": weight.sum()})
    assert (weights_of(model)["encoder.body.0.weight"] != before["encoder.body.0.weight"]).any()


def test_a_collapsed_posterior_is_told(tmp_path):
    _, outcome = train(
        "vae", AVATARS, tmp_path / "run", {**SMALL, "sigma": 1000.0}, steps=150, batch=16, picture_every=50
    )
    assert any("collapse" in w and "nats" in w for w in outcome.warnings)
    assert "collapse" in (tmp_path / "run" / "log.jsonl").read_text()


def test_equal_reconstructions_are_told():
    model = tiny("vae").eval()
    torch.nn.init.zeros_(model.decoder.body[-1].weight)
    with torch.no_grad():
        model.encoder.mean.bias += 3  # KL is large, and still every picture decodes to the same
        _, found = monitor.watch(model, batch_of(16))
    assert "look alike" in found.problem


def test_default_feature_scale_does_not_collapse_on_avatars(tmp_path):
    """α = 1 and β = .5 with the measured scale keep a posterior; with the literal formula it collapses."""
    data = Data("avatars", size=16, options={"count": 600})
    train("attribute_cnn", data, tmp_path / "cnn", {"widths": (8, 16, 24, 24, 24)}, steps=80, batch=32)
    settings = {"width": 8, "latent": 16, "loss_network": str(tmp_path / "cnn")}
    kls = {}
    for name, scale in (("measured", 0.0), ("literal", 1.0)):
        folder, _ = train(
            "vae_wgan",
            data,
            tmp_path / name,
            {**settings, "feature_scale": scale},
            steps=120,
            batch=32,
            picture_every=40,
        )
        kls[name] = [r["held_out_kl"] for r in logs.read(folder) if "held_out_kl" in r][-1]
    assert kls["measured"] > 5
    assert kls["literal"] < 0.5


def test_another_training_in_the_folder_is_refused(tmp_path):
    run_vae(tmp_path / "run", 5)
    with pytest.raises(MienError, match=r"its latent is 8, the one asked for is 9"):
        train("vae", AVATARS, tmp_path / "run", {"width": 4, "latent": 9}, steps=5, batch=16)
    with pytest.raises(MienError, match=r"its seed is 0, the one asked for is 1"):
        run_vae(tmp_path / "run", 5, seed=1)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    with pytest.raises(MienError, match="other files"):
        run_vae(tmp_path / "other", 5)
    _, outcome = run_vae(tmp_path / "run", 8)
    assert outcome.step == 8, "a longer training goes on from a shorter one"


def test_damaged_state_is_told(tmp_path):
    run_vae(tmp_path / "run", 5)
    (tmp_path / "run" / "state.pt").write_bytes(b"PK nonsense")
    with pytest.raises(MienError, match=r"state\.pt.*delete it"):
        run_vae(tmp_path / "run", 9)


def test_a_run_folder_holds_what_it_should(tmp_path):
    folder, outcome = run_vae(tmp_path / "run", 12, precision="bf16")
    assert outcome.finished
    found = {p.name for p in folder.iterdir()}
    assert {
        "config.json",
        "weights.safetensors",
        "state.pt",
        "log.jsonl",
        "progress.json",
        "tensorboard",
        "pictures",
    } <= found
    assert list((folder / "pictures").glob("step-*.png"))
    assert list((folder / "tensorboard").glob("events*"))
    assert not [p for p in folder.rglob("*") if p.suffix == ".tmp" or p.name.startswith(".")]
    torch.load(folder / "state.pt", weights_only=True)


def test_a_dry_run_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = dry_run("vae", AVATARS, SMALL, epochs=2, batch=16)
    assert plan["steps"] == 24
    assert plan["parameters"]["encoder"] > 0
    assert not list(tmp_path.iterdir())


def test_shares_are_disjoint_and_complete(avatars):
    splits = avatars.split()
    parts = [Data("avatars", size=16, options={"count": 240}, share=(i, 3)).training_index(splits) for i in (1, 2, 3)]
    assert sorted(np.concatenate(parts)) == list(splits.train)
    assert not set(parts[0]) & set(parts[1])


def test_a_second_update_under_bf16_sees_the_moved_weights():
    """Autocast caches cast weights for its whole region; several updates in a step must not use stale ones."""
    net = tiny("vae")
    net.train()
    mixed = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
    update = Update(net, mixed)
    x = batch_of().x
    with mixed.autocast():
        update({("encoder", "decoder"): net.decode(net.encode(x).mean).square().mean()})
        net.eval()  # no randomness, no statistics: only the weights decide
        again = net.encode(x).mean
    with mixed.autocast():
        fresh = net.encode(x).mean
    assert torch.equal(again, fresh)


def test_a_bar_says_how_fast_it_is_and_what_is_left(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(logs.time, "monotonic", lambda: now[0])
    console = Console(file=io.StringIO(), width=80)
    with logs.bars(console) as note:
        note("encoding", 64, 1000)  # how long these took is not known
        now[0] += 20
        note("encoding", 464, 1000)
        now[0] += 5
        note("encoding", 500, 1000)  # told at most every ten seconds
        note("edits", 3, 9)
        now[0] += 12
        note("edits", 9, 9)
    with logs.Bar(console, "vae", 10, 4) as bar:
        now[0] += 12
        bar(7, "kl 12.3")
    assert console.file.getvalue().splitlines() == [
        "encoding 464/1000 20/s 0:26 left",
        "edits 9/9 0.5/s 0:00 left",
        "vae 7/10 kl 12.3 0:12 left",
    ]
