"""Export of a run to ONNX files, one for each ability, for programs with ONNX Runtime and without PyTorch.

``encode.onnx`` returns the mean of q(z | x), ``decode.onnx`` pictures, ``recognize.onnx`` probabilities. ``edit.onnx``
returns pictures after one edit, which is fixed at export. Each file is run once, and its output is compared with that
of the model. ``export.json`` holds shapes, names, hashes and the largest difference.
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
from mien.run.folder import WEIGHTS, resolve
from mien.run.weights import load

TOLERANCE = 1e-3  # largest allowed difference between a file and the model, in units of the pictures or of z
PACKAGES = ("onnx", "onnxruntime", "onnxscript")


class _Ability(nn.Module):
    """One ability as a module from one tensor to one tensor, the form that torch exports."""

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
    """Write the ONNX files of a run to the folder ``out`` and return that folder.

    Args:
        run: the run folder.
        out: the folder to write.
        amounts: the edit of ``edit.onnx``, an amount for each attribute; without amounts the file is not written.
        vectors: attribute vectors; only for a model that does not edit by itself.
        keep: attributes that the edit must keep, see :func:`mien.applications.edit`.
        progress: called with (what, done, total).

    Raises:
        MienError: a package of ``mien[onnx]`` is missing, the model has no ability to export, or the output of a
            file differs from that of the model.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise MienError(
            f"expected the packages {', '.join(PACKAGES)} to export, got no {', '.join(missing)}: "
            "pip install 'mien[onnx]'"
        )
    run, out = resolve(run), Path(out)
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
    if isinstance(model, Recognizes):
        named = {"attributes": model.attributes, "classes": model.classes}
        about |= {key: list(names) for key, names in named.items() if names}
    if amounts:
        about["edit"] = {"amounts": dict(amounts), "keep": list(keep)}
    fast = folded(model)  # each BatchNorm becomes part of the layer before it
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
    """Return the functions to export by name, each from (model, tensor) to a tensor, with an example of its input."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, *model.config["shape"], generator=generator) * 2 - 1
    parts: dict[str, tuple[Callable[[Any, Tensor], Tensor], Tensor]] = {}
    if keep and not amounts:
        raise MienError(f"expected no attributes to keep, got {', '.join(keep)}: name an edit too, or leave them out")
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
    """Write one file, compare its output with ``expected`` at two batch sizes, and return its entry of export.json."""

    def save(place: Path) -> None:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # the exporter warns about its own dependencies
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
    difference = 0.0
    for n in (1, len(example)):
        output = runtime.run(None, {"input": example[:n].numpy()})[0]
        difference = float(np.maximum(difference, np.abs(output - expected[:n].numpy()).max()))  # NaN stays NaN
    if not difference <= TOLERANCE:  # true of NaN too
        path.unlink()
        raise MienError(
            f"expected {path.name} to give what the model gives, got a difference of {difference:.2g}: the file was "
            "not written; please report the model and the version of torch"
        )
    return {
        "input": ["B", *example.shape[1:]],
        "output": ["B", *expected.shape[1:]],
        "sha256": sha256(path),
        "largest_difference": difference,
    }


def session(path: str | Path, threads: int = 0) -> Any:
    """Return an ONNX Runtime session of a file, on the CPU.

    The threads of the session do not spin while they wait. Otherwise two sessions used in turn would slow each other.

    Args:
        path: the ONNX file.
        threads: number of threads; 0 lets the runtime choose.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
