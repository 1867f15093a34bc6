"""Training: resuming, several processes, warnings, guards."""

import io
import json
import os
import platform
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from conftest import CLASSES, NAMES, batch_of, tiny, weights_of
from mien.errors import MienError
from mien.experiment import dry_run, train
from mien.run.data import Data
from mien.training import estimate, logs, monitor, stop, timing
from mien.training.loop import Observer, Order, Settings, fit, make_fabric
from mien.training.stop import Stop

AVATARS = Data("avatars", size=16, options={"count": 240})
SMALL = {"width": 4, "latent": 8}


def run_vae(out, steps, **training):
    return train("vae", AVATARS, out, SMALL, steps=steps, batch=16, log_every=5, picture_every=10, **training)


def same_weights(a, b) -> bool:
    left, right = load_file(a / "weights.safetensors"), load_file(b / "weights.safetensors")
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


class Killed(Exception):
    """A substitute of a kill: the loop saves nothing when it is raised."""


class Kill(Observer):
    """Lets the loop save after the step ``save`` and end before the step ``at``, as a kill would end it."""

    def __init__(self, at, save):
        self.at, self.save = at, save

    def before_step(self, trainer):
        if trainer.step == self.save:
            trainer.save()
        if trainer.step == self.at:
            raise Killed


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_resumed_run_ends_bit_identical(tmp_path, ema):
    run_vae(tmp_path / "whole", 24, ema=ema)
    with pytest.raises(Killed):
        run_vae(tmp_path / "broken", 24, ema=ema, observers=[Kill(at=15, save=9)])
    assert torch.load(tmp_path / "broken" / "state.pt", weights_only=True)["step"] == 9
    run_vae(tmp_path / "broken", 24, ema=ema)
    assert same_weights(tmp_path / "whole", tmp_path / "broken")
    steps = [[r["step"] for r in logs.read(tmp_path / k)] for k in ("whole", "broken")]
    assert steps[0] == steps[1], "the log of a resumed run has no gaps and no doubles"


@pytest.mark.parametrize("saved", [2, 4])  # in either stage of a model that has two
def test_every_model_resumes_bit_identical(tmp_path, model, saved):
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
    arguments = (opened, splits.train, splits.valid, tmp_path / "broken", settings)
    with pytest.raises(Killed):
        fit(fresh(), *arguments, fabric=fabric, observers=[Kill(at=5, save=saved)])
    resumed = fresh()
    fit(resumed, *arguments, fabric=fabric)
    for key, value in weights_of(whole).items():
        np.testing.assert_array_equal(value, weights_of(resumed)[key], err_msg=key)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_usable_run(tmp_path, number):
    """A real process gets a real signal: it stops after a step, its run loads, and the same command resumes."""
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
    assert process.returncode == 128 + number, output
    assert "the same command resumes" in output
    from mien.run.weights import load

    assert load(out).name == "vae"
    step = json.loads((out / "progress.json").read_text())["step"]
    assert torch.load(out / "state.pt", weights_only=True)["step"] == step > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_every_interrupted_command_ends_with_128_and_the_signal(tmp_path, number):
    """A command without a stop of its own, interrupted while it prepares pictures."""
    command = [sys.executable, "-m", "mien.cli", "data", "prepare", "avatars", "--size", "64",
               "--data-option", "count=100000"]  # fmt: skip
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "MIEN_CACHE": str(tmp_path)},
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("*/state.json")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.2)
    process.send_signal(number)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 128 + number, output
    assert "Traceback" not in output


def test_a_second_signal_reaches_the_handler_before():
    received = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    try:
        with Stop() as stop:
            os.kill(os.getpid(), signal.SIGTERM)
            assert (stop.signal, received) == (signal.SIGTERM, [])
            os.kill(os.getpid(), signal.SIGTERM)
            assert received == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_folder_is_held_by_one_training_and_taken_over_from_a_dead_one(tmp_path):
    out = tmp_path / "run"
    command = [
        sys.executable, "-m", "mien.cli", "train", "vae", "--size", "16", "--data-option", "count=240", "--batch", "16",
        "--set", "width=4", "--set", "latent=8", "--steps", "100000", "--log-every", "5", "--out", str(out),
    ]  # fmt: skip
    holder = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not len(logs.read(out)) and time.monotonic() < deadline and holder.poll() is None:
        time.sleep(0.2)
    try:
        second = subprocess.run(command, capture_output=True, text=True, timeout=120)
    finally:
        holder.kill()
        holder.wait()
    assert second.returncode == 2
    assert second.stderr.splitlines() == [second.stderr.strip()]
    assert f"process {holder.pid} on host {platform.node()}" in second.stderr
    assert (out / "train.owner.json").exists(), "the killed process left its record"
    _, outcome = run_vae(out, 3)
    assert outcome.step >= 3
    assert not (out / "train.owner.json").exists()


def test_two_processes_of_one_training_are_one_holder_and_stop_together(tmp_path):
    out = tmp_path / "run"
    command = [
        sys.executable, "-m", "mien.cli", "train", "vae", "--size", "16", "--data-option", "count=240", "--batch", "16",
        "--set", "width=4", "--set", "latent=8", "--steps", "100000", "--log-every", "5", "--out", str(out),
        "--device", "cpu", "--processes", "2",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    deadline = time.monotonic() + 120
    while not len(logs.read(out)) and time.monotonic() < deadline and holder.poll() is None:
        time.sleep(0.2)
    with pytest.raises(MienError, match=f"got process {holder.pid} on host"):
        run_vae(out, 5)
    holder.send_signal(signal.SIGTERM)  # to the first process only
    output = holder.communicate(timeout=60)[0]
    assert holder.returncode == 128 + signal.SIGTERM, output
    assert output.count("the same command resumes the training") == 1
    assert "Traceback" not in output


def test_no_lock_is_left_in_a_folder_that_is_no_run(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(MienError, match="other files"):
        run_vae(tmp_path, 5)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def factors(folder):
    return {r["step"]: r["lr_factor"] for r in logs.read(folder) if "lr_factor" in r}


def test_a_longer_training_keeps_the_schedule_of_the_first_and_says_so(tmp_path):
    console = Console(file=io.StringIO(), width=80)
    run_vae(tmp_path / "run", 10)
    run_vae(tmp_path / "run", 20, console=console)
    # vae halves its rate after each fifth of the schedule: step 5 is the fifth step, of progress .4
    assert factors(tmp_path / "run") == {5: 0.25, 10: 0.0625, 15: 0.0625, 20: 0.0625}
    text = console.file.getvalue()
    assert "step 10: the training has 20 steps now, 10 before; its learning-rate schedule stays that of 10" in text
    assert "--schedule-steps 20" in text
    assert [r["note"] for r in logs.read(tmp_path / "run") if "note" in r] == [text.splitlines()[0]]
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["lengths"] == [
        {"from": 0, "steps": 10, "schedule_steps": 10},
        {"from": 10, "steps": 20, "schedule_steps": 10},
    ]
    assert config["training"]["schedule_steps"] == 10
    run_vae(tmp_path / "run", 25, schedule_steps=50)
    assert factors(tmp_path / "run")[25] == 0.25  # of progress 24 / 50
    notes = [r["note"] for r in logs.read(tmp_path / "run") if "note" in r]
    assert "its schedule of 10 steps becomes one of 50: the learning rate is multiplied by 0.25 here" in notes[1]
    assert json.loads((tmp_path / "run" / "progress.json").read_text())["schedule_steps"] == 50


def test_a_schedule_of_its_own_length_does_not_depend_on_the_steps(tmp_path):
    run_vae(tmp_path / "whole", 15, schedule_steps=40)
    run_vae(tmp_path / "parts", 5, schedule_steps=40)
    run_vae(tmp_path / "parts", 15)  # the run keeps its schedule
    assert same_weights(tmp_path / "whole", tmp_path / "parts")
    assert factors(tmp_path / "whole") == {5: 1.0, 10: 0.5, 15: 0.5}


@pytest.fixture(scope="module")
def processes(tmp_path_factory, avatars):
    """The folders that two_processes.py writes: ``1`` by one process, ``2`` by two gloo processes."""
    folder = tmp_path_factory.mktemp("processes")
    script = os.path.join(os.path.dirname(__file__), "two_processes.py")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for world in (1, 2):
        command = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={world}", "--master-port=0",
                   "--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", script, str(folder / str(world))]  # fmt: skip
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_two_processes_equal_one_on_the_joined_batch(processes):
    """Averaged gradients against those of one process; plain SGD shows a gradient of another size, as Adam does not."""
    one, two = (torch.load(processes / n / "weights.pt", weights_only=True) for n in ("1", "2"))
    start = torch.load(processes / "1" / "start.pt", weights_only=True)
    moved = max(float((one[k] - start[k]).abs().max()) for k in one)
    assert moved > 1e-3
    for key, value in one.items():
        torch.testing.assert_close(two[key], value, rtol=1e-4, atol=1e-5, msg=lambda m, key=key: f"{key}: {m}")


def test_processes_draw_noise_of_their_own(processes):
    """Noise is fixed by seed, step and rank: equal in a second training, different in every step and process."""
    noise = [torch.load(processes / "2" / f"noise{rank}.pt", weights_only=True) for rank in (0, 1)]
    alone = torch.load(processes / "1" / "noise0.pt", weights_only=True)
    draws = torch.cat(noise).tolist()
    assert len(draws) == 6
    assert len({tuple(draw) for draw in draws}) == 6
    assert torch.equal(noise[0], alone)


def test_order_is_a_permutation_each_epoch_and_readable_anywhere():
    order = Order(np.arange(100, 150), seed=3)
    first, second = order.at(0, 50), order.at(50, 50)
    assert sorted(first) == sorted(second) == list(range(100, 150))
    assert (first != second).any()
    np.testing.assert_array_equal(order.at(30, 40), np.concatenate([first[30:], second[:20]]))
    np.testing.assert_array_equal(Order(np.arange(100, 150), seed=3).at(60, 10), second[10:20])
    assert (Order(np.arange(100, 150), seed=4).at(0, 50) != first).any()


def test_a_collapsed_posterior_is_reported(tmp_path):
    _, outcome = train(
        "vae", AVATARS, tmp_path / "run", {**SMALL, "sigma": 1000.0}, steps=150, batch=16, picture_every=50
    )
    assert any("collapse" in w and "nats" in w for w in outcome.warnings)
    assert "collapse" in (tmp_path / "run" / "log.jsonl").read_text()


def test_equal_reconstructions_are_reported():
    model = tiny("vae").eval()
    torch.nn.init.zeros_(model.decoder.body[-1].weight)
    with torch.no_grad():
        model.encoder.mean.bias += 3  # KL is large, and still every picture decodes to the same
        _, findings = monitor.watch(model, batch_of(16))
    assert "look alike" in findings.problem


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


def test_a_damaged_state_is_reported(tmp_path):
    run_vae(tmp_path / "run", 5)
    (tmp_path / "run" / "state.pt").write_bytes(b"PK nonsense")
    with pytest.raises(MienError, match=r"state\.pt.*delete it"):
        run_vae(tmp_path / "run", 9)


def test_a_run_folder_holds_what_it_should(tmp_path):
    folder, outcome = run_vae(tmp_path / "run", 12, precision="bf16")
    assert outcome.finished
    files = {p.name for p in folder.iterdir()}
    assert {
        "config.json",
        "weights.safetensors",
        "state.pt",
        "log.jsonl",
        "progress.json",
        "tensorboard",
        "pictures",
    } <= files
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


def test_a_dry_run_counts_as_the_training_does(tmp_path):
    """With a share, a count and an official split; the numbers of config.json are the reference."""
    data = Data("avatars", size=16, options={"count": 240}, share=(2, 3), count=50)
    plan = dry_run("vae", data, SMALL, epochs=3, batch=16)
    folder, outcome = train("vae", data, tmp_path / "run", SMALL, epochs=3, batch=16)
    counts = json.loads((folder / "config.json").read_text())["data"]["counts"]
    assert plan["training_pictures"] == counts["train"] == 50
    assert plan["steps"] == outcome.steps == 10
    assert (plan["epochs"], plan["split"]) == (3.2, "seeded")


def test_a_dry_run_knows_the_official_split(monkeypatch):
    from mien.data.sets import avatars

    monkeypatch.setattr(avatars.Source, "partition", lambda self, i: (0, 0, 0, 1, 2)[i % 5])
    plan = dry_run("vae", Data("avatars", size=16, options={"count": 240}, share=(1, 2)), SMALL, steps=9, batch=16)
    assert (plan["training_pictures"], plan["split"]) == (72, "official")


def test_a_dry_run_downloads_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda *a, **k: pytest.fail("it downloads"))
    plan = dry_run("dfc_vae", AVATARS, SMALL, steps=9, batch=16)
    assert "vgg19, whose weights are not on this machine" in plan["loss_network"]
    assert plan["images_per_second"] > 0
    assert not list(tmp_path.iterdir())


def measured_step(monkeypatch, cost, batch):
    """Return the estimate of a step that takes ``cost(n)`` seconds of a clock of its own, and the sizes it measured."""
    sizes, now = [], [0.0]

    def step(self, pictures, update):
        sizes.append(len(pictures))
        now[0] += cost(len(pictures))

    model = tiny("vae")
    monkeypatch.setattr(type(model), "training_step", step)
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    fabric = make_fabric(Settings(steps=1, batch=batch, device="cpu"))
    return timing.seconds_per_step(model, batch, 3, 4, fabric), sizes


def test_a_slow_step_is_measured_on_few_pictures(monkeypatch):
    assert measured_step(monkeypatch, lambda n: 0.1 + 0.2 * n, 512) == (pytest.approx(0.1 + 0.2 * 512), [2, 2, 4])


def test_a_fixed_cost_of_a_step_is_not_multiplied(monkeypatch):
    seconds, sizes = measured_step(monkeypatch, lambda n: 0.1 + 0.001 * n, 64)
    assert seconds == pytest.approx(0.164)
    assert sizes == [2, 2, 8, 32, 64, 64]


def test_the_estimate_is_the_mean_over_the_stages(monkeypatch):
    model = tiny("ssavae")
    model.stages = (0.0, 0.25)
    monkeypatch.setattr(timing, "_of_this_stage", lambda model, *_: 1.0 if model.progress < 0.25 else 3.0)
    fabric = make_fabric(Settings(steps=1, batch=64, device="cpu"))
    assert timing.seconds_per_step(model, 64, 3, 4, fabric) == pytest.approx(0.25 + 0.75 * 3)


def test_steps_of_every_model_are_measured(model):
    fabric = make_fabric(Settings(steps=1, batch=16, device="cpu"))
    assert 0 < timing.seconds_per_step(model, 16, len(NAMES), len(CLASSES), fabric) < 60


def test_an_estimate_is_printed_once_after_the_first_steps(tmp_path):
    console = Console(file=io.StringIO(), width=80)
    run_vae(tmp_path / "run", 12, console=console)
    lines = [line for line in console.file.getvalue().splitlines() if line.startswith("estimate:")]
    assert lines == ["estimate: 12 steps of 16 images, less than a minute on cpu"]


def test_a_slow_first_step_is_enough_for_an_estimate(monkeypatch, tmp_path):
    now = [0.0]
    step = type(tiny("vae")).training_step

    def slow(self, batch, update):
        now[0] += 60.0
        step(self, batch, update)

    monkeypatch.setattr(type(tiny("vae")), "training_step", slow)
    monkeypatch.setattr(estimate.time, "monotonic", lambda: now[0])
    console = Console(file=io.StringIO(), width=80)
    run_vae(tmp_path / "run", 2, console=console)
    lines = [line for line in console.file.getvalue().splitlines() if line.startswith("estimate:")]
    assert lines == ["estimate: 2 steps of 16 images, about 1 minute on cpu"]


def test_each_stage_has_its_own_estimate(tmp_path):
    console = Console(file=io.StringIO(), width=80)
    pictures = np.random.default_rng(0).integers(0, 255, (60, 16, 16, 3), np.uint8)
    data = Data.from_arrays(pictures, labels=np.arange(60) % 2)
    settings = {"width": 4, "hidden": 8, "latent": 4}
    train("ssavae", data, tmp_path / "run", settings, steps=20, batch=8, console=console)
    lines = [line for line in console.file.getvalue().splitlines() if line.startswith("estimate:")]
    assert lines == [
        "estimate: 20 steps of 8 images, less than a minute on cpu at the speed of stage 1 of 2",
        "estimate: 10 steps of 8 images, less than a minute on cpu",
    ]


def test_shares_are_disjoint_and_complete(avatars):
    splits = avatars.split()
    parts = [Data("avatars", size=16, options={"count": 240}, share=(i, 3)).training_index(splits) for i in (1, 2, 3)]
    assert sorted(np.concatenate(parts)) == list(splits.train)
    assert not set(parts[0]) & set(parts[1])


def test_a_bar_shows_its_rate_and_the_remaining_time(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(logs.time, "monotonic", lambda: now[0])
    console = Console(file=io.StringIO(), width=80)
    with logs.bars(console) as note:
        note("encoding", 64, 1000)  # these took an unknown time
        now[0] += 20
        note("encoding", 464, 1000)
        now[0] += 5
        note("encoding", 500, 1000)  # printed at most every ten seconds
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


def test_the_saved_average_has_the_decay_of_its_formula(tmp_path, avatars):
    """EMA with a warm-up: decay min(ema, (1 + t) / (10 + t)) at step t, of the networks' weights only."""

    class Weights(Observer):
        def __init__(self):
            self.steps = []

        def after_step(self, trainer):
            self.steps.append({k: v.clone() for k, v in trainer.model.weights().items()})

    model, weights = tiny("vae"), Weights()
    average = {k: v.clone() for k, v in model.weights().items()}
    splits = avatars.split()
    settings = Settings(steps=12, batch=8, ema=0.4, device="cpu")
    fit(model, avatars, splits.train, splits.valid, tmp_path, settings, observers=[weights])
    for t, new in enumerate(weights.steps):
        decay = min(0.4, (1 + t) / (10 + t))
        average = {k: decay * v + (1 - decay) * new[k] for k, v in average.items()}
    saved = load_file(tmp_path / "weights.safetensors")
    for key, _ in model.named_parameters():
        torch.testing.assert_close(saved[key], average[key], rtol=1e-5, atol=1e-6, msg=key)
        assert not torch.equal(saved[key], weights.steps[-1][key])


def test_observers_are_called_around_steps_and_reports(tmp_path, avatars):
    calls = []

    class Recorder(Observer):
        def __init__(self, name):
            self.name = name

        def start(self, trainer):
            calls.append((self.name, "start", trainer.step))

        def before_step(self, trainer):
            calls.append((self.name, "before", trainer.step))

        def after_step(self, trainer):
            calls.append((self.name, "after", trainer.step))

        def after_report(self, trainer, terms):
            assert {"kl", "rec", "gradient_norm"} <= terms.keys()
            assert logs.read(tmp_path)[-1]["step"] == trainer.step
            calls.append((self.name, "report", trainer.step))

        def close(self, trainer):
            calls.append((self.name, "close", trainer.step))

    splits = avatars.split()
    settings = Settings(steps=3, batch=8, log_every=2, device="cpu")
    arguments = (avatars, splits.train, splits.valid, tmp_path, settings)
    both = [Recorder("a"), Recorder("b")]
    fit(tiny("vae"), *arguments, observers=both)
    assert [call[1:] for call in calls if call[0] == "a"] == [
        ("start", 0), ("before", 0), ("after", 1), ("before", 1), ("after", 2), ("report", 2), ("before", 2),
        ("after", 3), ("report", 3), ("close", 3),
    ]  # fmt: skip
    assert [call[0] for call in calls] == ["a", "b"] * 9 + ["b", "a"], "closed in reverse order"
    calls.clear()
    fit(tiny("vae"), *arguments, observers=both)
    assert calls == [], "nothing remains to be trained"


def test_observers_are_closed_after_an_exception(tmp_path, avatars):
    closed = []

    class Closing(Observer):
        def close(self, trainer):
            closed.append(trainer.step)

    splits = avatars.split()
    arguments = (tiny("vae"), avatars, splits.train, splits.valid, tmp_path, Settings(steps=3, batch=8, device="cpu"))
    with pytest.raises(Killed):
        fit(*arguments, observers=[Closing(), Kill(at=1, save=-1)])
    assert closed == [1]
    assert not (tmp_path / "state.pt").exists()


def test_a_signal_of_an_earlier_command_does_not_count():
    with pytest.raises(KeyboardInterrupt), stop.interruptible():
        os.kill(os.getpid(), signal.SIGTERM)
    assert stop.exit_code() == 128 + signal.SIGTERM
    with stop.interruptible():
        assert stop.exit_code() == 128 + signal.SIGINT  # of a KeyboardInterrupt without a signal
