"""The runs, inputs and list of subjects of benchmarks/applications.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

RUN, OTHER, JUDGE, LOSS = "run", "other", "judge", "loss"
WEIGHTS = {"MIEN_ALEXNET": "alex.pth", "MIEN_VGG16": "vgg.pth", "MIEN_INCEPTION": "inception.pth"}

state: dict[str, Any] = {}


# --------------------------------------------------------------------------------------- the runs, trained in a process


def make(folder: str, data: str, root: str | None, count: int, size: int, width: int, steps: int) -> dict[str, Any]:
    """Train the runs and write random weights into ``folder``, unless they exist; return the pictures."""
    from mien.experiment import train
    from mien.run.data import Data

    where = Path(folder)
    pictures = Data(data, root, size, {"count": count} if data == "avatars" else {})
    small = {"width": width, "latent": 100 if width > 4 else 8, "loss_network": str(where / LOSS)}
    cnn: dict[str, Any] = {"widths": (4,) * 5} if width <= 4 else {}
    plan: list[tuple[str, str, tuple[int, int], dict[str, Any], int]] = [
        (LOSS, "attribute_cnn", (1, 2), {**cnn, "batch_norm": False, "lr": 1e-3}, 0),
        (JUDGE, "attribute_cnn", (2, 2), cnn, 1),
        (RUN, "vae_wgan", (1, 1), small, 0),
        (OTHER, "vae_wgan", (1, 1), small, 1),
    ]
    for name, model, share, settings, seed in plan:
        more: dict[str, Any] = {"batch": 32, "seed": seed, "device": "cpu"}
        train(model, replace(pictures, share=share), where / name, settings, steps, **more)
    opened = pictures.open()
    if width > 4:
        write_weights(where)
    return {"count": len(opened), "name": opened.name, "size": size, "attributes": len(opened.attributes)}


def write_weights(folder: Path) -> None:
    """Write random weights of the published sizes for the feature networks of the measures."""
    import io

    import torch
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    from torchvision import models

    class Unread(FeatureExtractorInceptionV3):
        def load_state_dict(self, state: Any, *args: Any, **more: Any) -> Any:
            return None

    def inception() -> dict[str, torch.Tensor]:
        nothing = io.BytesIO()
        torch.save({}, nothing)
        nothing.seek(0)
        weights = Unread("unread", ["2048"], nothing).state_dict()
        generator = torch.Generator().manual_seed(0)
        for key, value in weights.items():
            if key.endswith("conv.weight"):
                value.normal_(generator=generator).mul_((2 / value[0].numel()) ** 0.5)
        return weights

    def features(model: Callable[..., Any]) -> dict[str, torch.Tensor]:
        return {k: v for k, v in model(weights=None).state_dict().items() if k.startswith("features.")}

    torch.manual_seed(0)
    made: dict[str, Callable[[], dict[str, torch.Tensor]]] = {
        "alex.pth": lambda: features(models.alexnet),
        "vgg.pth": lambda: features(models.vgg16),
        "inception.pth": inception,
    }
    for name, weights in made.items():
        if not (folder / name).exists():
            torch.save(weights(), folder / f"{name}.part")
            (folder / f"{name}.part").rename(folder / name)


# --------------------------------------------------------------------------------------- the inputs of the subjects


@dataclass
class Given:
    """Opened runs, and inputs that are computed from them on first use.

    Args:
        folder: of the runs: a copy, since some subjects write into theirs.
        count: pictures of ``index``; many: of the subjects of many latents.
    """

    folder: Path
    device: str
    count: int
    many: int

    @cached_property
    def run(self) -> Any:
        from mien.run.opening import open_run

        return open_run(self.folder / RUN, self.device)

    @cached_property
    def judge(self) -> Any:
        from mien.run.weights import load

        return load(self.folder / JUDGE, self.device)

    @cached_property
    def index(self) -> Any:
        """All pictures, of the training part and held out."""
        import numpy as np

        from mien.data.dataset import spread

        return spread(np.arange(len(self.run.dataset)), self.count)

    @cached_property
    def x(self) -> Any:
        """Pictures (n, C, H, W), filled in place: memory holds them once."""
        import torch

        x = torch.empty(len(self.index), *self.run.dataset.shape)
        for start in range(0, len(x), 128):
            x[start : start + 128] = self.run.dataset.batch(self.index[start : start + 128]).x
        return x

    @cached_property
    def z(self) -> Any:
        from mien.applications import encode_all

        return encode_all(self.run.model, self.run.dataset, self.index)

    @cached_property
    def vectors(self) -> Any:
        from mien.applications import attribute_vectors

        return attribute_vectors(self.run.model, self.run.dataset, self.index)

    @property
    def attribute(self) -> str:
        names = self.run.dataset.attributes
        return "Smiling" if "Smiling" in names else names[0]

    def draws(self, n: int) -> Any:
        """Return latents (n, K) drawn from N(0, I)."""
        from mien.applications.basics import latent_size
        from mien.applications.variations import directions

        return directions(n, latent_size(self.run.model), seed=0)

    def context(self, run: Any, chosen: Sequence[str]) -> Any:
        """Return the context of a measure. All pictures are both held-out and training pictures, without a cache."""
        from mien.evaluation.context import Context
        from mien.files import sha256

        for kept in run.folder.glob("attribute_vectors.*"):
            kept.unlink()
        digest = sha256(self.folder / JUDGE / "weights.safetensors")
        run = replace(run, index=self.index)
        return Context(run, self.index, self.judge, digest, 0, lambda what, done, total: None, tuple(chosen))


@dataclass(frozen=True)
class Work:
    """One subject, ready to run.

    Args:
        call: does it and returns its result, None where it does not apply.
        n: how many pictures it takes.
        given: what was made for it.
    """

    call: Callable[[], Any]
    n: int
    given: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Subject:
    """A measure or an application: name, description, preparation, and whether it takes long."""

    kind: str
    what: str
    prepare: Callable[[Given], Work]
    slow: bool = False


SUBJECTS: dict[str, Subject] = {}
Prepare = Callable[[Given], Work]


def subject(kind: str, name: str, what: str, slow: bool = False) -> Callable[[Prepare], Prepare]:
    """Register a function that prepares a subject."""

    def enter(prepare: Prepare) -> Prepare:
        SUBJECTS[name] = Subject(kind, what, prepare, slow)
        return prepare

    return enter
