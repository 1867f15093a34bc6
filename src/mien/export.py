"""A run as ONNX files, one for each ability, for programs that have ONNX Runtime and no PyTorch.

``encode.onnx`` gives the mean of q(z | x), ``decode.onnx`` pictures, ``recognize.onnx`` probabilities, ``edit.onnx``
pictures with the attributes changed that were named when it was written. Every file is run once beside the model
it came from; ``export.json`` holds shapes, names, hashes and the largest difference that was seen.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mien import __version__
from mien.abilities import Decodes, Edits, Encodes, Recognizes, can
from mien.applications.arithmetic import AttributeVectors, Editor
from mien.applications.basics import latent_size
from mien.errors import MienError
from mien.files import sha256, write_atomically, write_json
from mien.folding import folded
from mien.models.base import Model
from mien.run.folder import WEIGHTS
from mien.run.weights import load

TOLERANCE = 1e-3  # the largest difference to the model itself that a file may show, in [-1, 1] or in units of z
PACKAGES = ("onnx", "onnxruntime", "onnxscript")


class _Ability(nn.Module):
    """One ability as a module that maps one tensor to one tensor, which is what is exported."""

    def __init__(self, model: Model, function: Callable[[Model, Tensor], Tensor]):
        super().__init__()
        self.model, self.function = model, function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.model, x)


def export(
    run: str | Path,
    out: str | Path,
    amounts: Mapping[str, float] | None = None,
    vectors: AttributeVectors | None = None,
    keep: Sequence[str] = (),
    progress: Callable[[str, int, int], None] | None = None,
) -> Path:
    """Write the ONNX files of a run to the folder ``out`` and return it.

    Args:
        amounts: what ``edit.onnx`` changes; nothing leaves it out.
        vectors: attribute vectors, for a model that does not edit by itself.
        keep: attributes that the change leaves as they are, as in ``applications.edit``.
        progress: called with (what, done, total).

    Raises:
        MienError: without the packages of ``mien[onnx]``, for a model without an ability that can be exported, and
            where a file does not give what the model gives.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise MienError(
            f"expected the packages {', '.join(PACKAGES)} to export, got no {', '.join(missing)}: "
            "pip install 'mien[onnx]'"
        )
    run, out = Path(run), Path(out)
    model = load(run)
    parts = _parts(model, dict(amounts or {}), vectors, keep)
    if not parts:
        raise MienError(f"expected a model that encodes, decodes, edits or recognizes, got {model.name}")
    about: dict[str, Any] = {
        "run": run.name,
        "model": model.name,
        "weights_sha256": sha256(run / WEIGHTS),
        "mien": __version__,
        "torch": torch.__version__,
        "pictures": "float32 (B, C, H, W) in [-1, 1]",
        "files": {},
    }
    for key in ("attributes", "classes"):
        if names := getattr(model, key, ()):
            about[key] = list(names)
    if amounts:
        about["edit"] = {"amounts": dict(amounts), "keep": list(keep)}
    fast = folded(model)  # BatchNorm is part of the layers then, as in any runtime's own optimizer
    for number, (name, (function, example)) in enumerate(parts.items()):
        if progress:
            progress("export", number, len(parts))
        with torch.inference_mode():
            expected = function(model, example)
        path = out / f"{name}.onnx"
        about["files"][path.name] = _write(_Ability(fast, function).eval(), example, expected, path)
    if progress:
        progress("export", len(parts), len(parts))
    write_json(out / "export.json", about)
    return out


def _parts(
    model: Model, amounts: dict[str, float], vectors: AttributeVectors | None, keep: Sequence[str]
) -> dict[str, tuple[Callable[[Any, Tensor], Tensor], Tensor]]:
    """Return, by name, what maps a tensor to a tensor, with an example of its input."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, *model.config["shape"], generator=generator) * 2 - 1
    parts: dict[str, tuple[Callable[[Any, Tensor], Tensor], Tensor]] = {}
    if keep and not amounts:
        raise MienError(
            f"expected no attributes to keep, got {', '.join(keep)}: nothing is to be changed, leave them out"
        )
    if isinstance(model, Encodes):
        parts["encode"] = (lambda model, x: model.encode(x).mean, x)
    if isinstance(model, Encodes) and isinstance(model, Decodes):
        z = torch.randn(2, latent_size(model), generator=generator)
        parts["decode"] = (lambda model, z: model.decode(z), z)
    if isinstance(model, Recognizes):
        parts["recognize"] = (lambda model, x: model.recognize(x), x)
    if amounts:
        parts["edit"] = (Editor(model, None if can(model, Edits) else vectors, tuple(keep)).function(amounts), x)
    return parts


def _write(module: nn.Module, example: Tensor, expected: Tensor, path: Path) -> dict[str, Any]:
    """Write one file, compare it with what is ``expected`` at two batch sizes, and return what is to be known of it."""

    def save(place: Path) -> None:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of the exporter, about its own dependencies
            program = torch.onnx.export(
                module,
                (example.clone(),),
                dynamo=True,
                input_names=["input"],
                output_names=["output"],
                dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
                verbose=False,
            )
            assert program is not None
            program.save(str(place))

    write_atomically(path, save)
    runtime = session(path)
    seen = 0.0
    for n in (1, len(example)):
        got = runtime.run(None, {"input": example[:n].numpy()})[0]
        seen = float(np.maximum(seen, np.abs(got - expected[:n].numpy()).max()))  # which passes NaN on
    if not seen <= TOLERANCE:  # nor NaN
        path.unlink()
        raise MienError(
            f"expected {path.name} to give what the model gives, got a difference of {seen:.2g}: it was not written; "
            "please report the model and the version of torch"
        )
    return {
        "input": ["B", *example.shape[1:]],
        "output": ["B", *expected.shape[1:]],
        "sha256": sha256(path),
        "largest_difference": seen,
    }


def session(path: str | Path, threads: int = 0) -> Any:
    """Return an ONNX Runtime session of a file, on the CPU.

    Args:
        threads: how many it uses; 0 leaves it to the runtime.

    Its threads do not spin while they wait: two sessions used in turn would otherwise take each other's cores.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
