"""Training on a GPU, tested on a CPU: no waits in a step, pictures on the device, compilation."""

import copy
import re
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from conftest import batch_of, tiny, weights_of
from mien import data
from mien.training import compiling, resident
from mien.training.loop import Settings, fit, make_fabric
from mien.training.update import Update

# operations that read numbers off a tensor, or whose result's length depends on them: the host waits for the device
WAITS = re.compile(r"aten\.(_local_scalar_dense|nonzero|masked_select|unique|is_nonzero|equal|bincount)")
READ_OFF = {getattr(torch.Tensor, name) for name in ("tolist", "numpy", "cpu")}  # on a CPU these have no operation


class _Operations(TorchDispatchMode):
    def __init__(self, record):
        super().__init__()
        self.record = record

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if WAITS.match(str(function)) or (
            str(function).startswith("aten.index.") and any(i is not None and i.dtype == torch.bool for i in args[1])
        ):
            self.record.append(str(function))
        return function(*args, **(kwargs or {}))


class _Methods(TorchFunctionMode):
    def __init__(self, record):
        super().__init__()
        self.record = record

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in READ_OFF:
            self.record.append(function.__name__)
        return function(*args, **(kwargs or {}))


@contextmanager
def waits():
    """Yield a list of the operations that make the host wait."""
    record: list[str] = []
    with _Operations(record), _Methods(record):
        yield record


def training(model):
    """The update of a model in training mode; its guard does not wait for the device, as on a GPU."""
    fabric = make_fabric(Settings(steps=1, batch=8, device="cpu"))
    update = Update(model.train(), fabric)
    update._finite = lambda losses, gradients: True
    return update


def test_no_training_step_waits_for_the_device(model):
    most = {"most_updates": 1} if "most_updates" in model.config else {}
    model = tiny(model.name, **most)
    update, batch = training(model), batch_of()
    model.calibrate(batch)
    for stage in model.stages:
        model.progress = stage
        with waits() as names:
            model.training_step(batch, update)
        assert names == []


def test_the_iterative_gan_waits_once_to_choose_who_is_updated_again():
    model = tiny("iterative_gan")
    update, batch = training(model), batch_of()
    model.calibrate(batch)
    with waits() as names:
        model.training_step(batch, update)
    assert names == ["tolist"]


def test_waits_are_recorded():
    with waits() as names:
        x = torch.ones(3)
        x[x > 0].sum().item()
        x.tolist()
    assert len(names) == 3


def test_pictures_on_the_device_are_those_of_the_data_set():
    dataset = data.load("avatars", size=16, count=240)
    dataset.labels = np.arange(len(dataset)) % 3
    index = np.array([7, 200, 13, 13, 0])
    copied = resident.Resident(dataset, np.arange(0, 240), "cpu")
    for got, expected in zip(vars(copied.batch(index)).values(), vars(dataset.batch(index)).values(), strict=True):
        assert torch.equal(got, expected)
        assert (got.dtype, got.stride()) == (expected.dtype, expected.stride())


def test_signals_on_the_device_are_not_scaled(tmp_path):
    class Signals:
        shape, dtype, attributes, labels = (1, 1, 8), "float32", (), None
        values = np.linspace(-1, 1, 80, dtype=np.float32).reshape(10, 1, 8, 1)

        def __len__(self):
            return 10

        def pictures(self, index):
            return self.values[index]

    copied = resident.Resident(Signals(), np.array([2, 4]), "cpu")
    assert copied.batch(np.array([4, 2])).x.flatten().tolist() == Signals.values[[4, 2]].flatten().tolist()
    assert copied.batch(np.array([4])).attributes is None
    with pytest.raises(IndexError, match="3"):
        copied.batch(np.array([2, 3]))


def test_training_from_the_device_ends_with_the_same_weights(tmp_path, monkeypatch, avatars):
    splits = avatars.split()
    settings = Settings(steps=4, batch=8, log_every=2, picture_every=4, device="cpu")
    weights = []
    for place in ("read", "resident"):
        (tmp_path / place).mkdir()
        if place == "resident":
            monkeypatch.setattr("mien.training.loop.where_it_fits", resident.Resident)
        model = tiny("vae")
        fit(model, avatars, splits.train, splits.valid, tmp_path / place, settings)
        weights.append(weights_of(model))
    for key, value in weights[0].items():
        np.testing.assert_array_equal(value, weights[1][key], err_msg=key)


def test_only_a_gpu_with_room_holds_the_pictures(monkeypatch, avatars):
    index = np.arange(len(avatars))
    assert resident.where_it_fits(avatars, index, torch.device("cpu")) is avatars
    need = len(index) * 16 * 16 * 3
    monkeypatch.setattr(resident, "Resident", lambda *a: "resident")
    for free, expected in ((need / resident.ROOM - 1, avatars), (need / resident.ROOM + 1, "resident")):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, free=free: (free, 0))
        assert resident.where_it_fits(avatars, index, torch.device("cuda")) is expected


def test_compiled_networks_learn_the_same():
    """Each network is one graph with several backward passes. The test does not compile kernels."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    plain = tiny("vae_wgan")
    compiled = copy.deepcopy(plain)
    compiling.compile_networks(compiled, backend="aot_eager")
    assert plain.state_dict().keys() == compiled.state_dict().keys()
    for each in (plain, compiled):
        update = training(each)
        each.calibrate(batch_of())
        for number in range(2):
            torch.manual_seed(number)
            each.training_step(batch_of(seed=number), update)
    for key, value in weights_of(plain).items():
        np.testing.assert_allclose(weights_of(compiled)[key], value, atol=1e-6, err_msg=key)
    assert not torch._dynamo.utils.counters["graph_break"]


def test_a_training_that_is_compiled_ends_where_another_does(tmp_path, monkeypatch, avatars):
    """The whole loop with sheets: only training steps are compiled."""
    from functools import partial

    monkeypatch.setattr("mien.training.loop.compile_networks", partial(compiling.compile_networks, backend="aot_eager"))
    splits = avatars.split()
    weights = []
    for compiled in (False, True):
        torch._dynamo.reset()
        torch._dynamo.utils.counters.clear()
        (tmp_path / str(compiled)).mkdir()
        settings = Settings(steps=3, batch=8, log_every=1, picture_every=2, device="cpu", compile=compiled)
        model = tiny("vae")
        fit(model, avatars, splits.train, splits.valid, tmp_path / str(compiled), settings)
        weights.append(weights_of(model))
    for key, value in weights[0].items():
        np.testing.assert_allclose(value, weights[1][key], atol=1e-6, err_msg=key)
    # one graph for each network; not frames, of which there are more where coverage traces the code
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 2
