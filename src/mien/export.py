"""Export of a run to ONNX files, one for each ability, for programs with ONNX Runtime and without PyTorch.

The graphs take ordinary input and prepare it themselves: RGB pictures uint8 (N, height, width, 3) of any size, or
signals float32 (N, samples). ``encode.onnx`` returns the mean of q(z | x), ``recognize.onnx`` probabilities,
``decode.onnx`` and ``edit.onnx`` pictures uint8 (N, h, w, C). The edit is fixed at export. With ``raw``, graphs take
and return float32 (N, C, H, W) in [-1, 1], as the models do. Each file is run, and its output is compared with that of
the model. The metadata of a file (``metadata_props``) and ``export.json`` say what goes in and what comes out.
"""

from __future__ import annotations

import importlib.util
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

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
from mien.photos.template import template_of
from mien.preprocessing import Levels, PreparePictures, PrepareSignals, Samples
from mien.run.folder import WEIGHTS, read_config, resolve
from mien.run.weights import load

TOLERANCE = 1e-3  # largest allowed difference between a file and the model, in units of the pictures or of z
LEVELS = 1  # largest allowed difference of pictures of whole levels, 0 to 255
PACKAGES = ("onnx", "onnxruntime")
OPSET = 18


@dataclass(frozen=True)
class Part:
    """One file to export.

    Args:
        function: the ability, from (model, tensor) to a tensor.
        examples: inputs of the graph, each of two or more; the first one is traced.
        takes, gives: what goes in and what comes out: pictures, signals, latents or probabilities.
        before, after: what the graph does before and after the ability.
    """

    function: Callable[[Any, Tensor], Tensor]
    examples: Sequence[Tensor]
    takes: str
    gives: str
    before: nn.Module
    after: nn.Module


class _Graph(nn.Module):
    """One ability with its preparation as a module from one tensor to one tensor, the form that torch exports."""

    def __init__(self, model: Model, part: Part):
        super().__init__()
        self.model, self.function, self.before, self.after = model, part.function, part.before, part.after

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.after(self.function(self.model, self.before(x))))


def export(
    run: str | Path,
    out: str | Path,
    amounts: Mapping[str, float] | None = None,
    vectors: AttributeVectors | None = None,
    keep: Sequence[str] = (),
    progress: Callable[[str, int, int], None] | None = None,
    raw: bool = False,
    empty: bool = False,
) -> Path:
    """Write the ONNX files of a run to the folder ``out`` and return that folder.

    Args:
        run: the run folder.
        out: the folder to write.
        amounts: the edit of ``edit.onnx``, an amount for each attribute; without amounts the file is not written.
        vectors: attribute vectors; only for a model that does not edit by itself.
        keep: attributes that the edit must keep, see :func:`mien.applications.edit`.
        progress: called with (what, done, total).
        raw: graphs take and return float32 (N, C, H, W) in [-1, 1], without preparation.
        empty: whether export.json is written even if there is no other file, because the caller adds one.

    Raises:
        MienError: a package of ``mien[onnx]`` is missing, the model has no ability to export, or the output of a
            file differs from that of the model.
    """
    check_packages()
    run, out = resolve(run), Path(out)
    model = load(run)
    parts = _parts(model, dict(amounts or {}), vectors, keep, raw)
    if not parts and not empty:
        if can(model, Edits):
            raise MienError(
                f"expected an edit of {model.name} to export, got none: pass amounts, such as Smiling=+1, or --editor"
            )
        raise MienError(f"expected a model that encodes, decodes, edits or recognizes, got {model.name}")
    about = facts(run, model, amounts, keep, raw)
    fast = folded(model)  # each BatchNorm becomes part of the layer before it
    files: dict[str, Any] = {}
    for number, (name, part) in enumerate(parts.items()):
        if progress:
            progress("export", number, len(parts))
        with torch.inference_mode():
            expected = [_Graph(model, part)(example) for example in part.examples]
        path = out / f"{name}.onnx"
        files[path.name] = _write(_Graph(fast, part).eval(), part, expected, path, about | {"ability": name})
    if progress:
        progress("export", len(parts), len(parts))
    write_json(out / "export.json", about | {"files": files})
    return out


def check_packages() -> None:
    """Raise MienError unless the packages of ``mien[onnx]`` are installed."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise MienError(
            f"expected the packages {', '.join(PACKAGES)} to export, got no {', '.join(missing)}: "
            "pip install 'mien[onnx]'"
        )


def facts(
    run: Path,
    model: Model,
    amounts: Mapping[str, float] | None = None,
    keep: Sequence[str] = (),
    raw: bool = False,
) -> dict[str, Any]:
    """Return what export.json and the metadata of each file say about a run; arguments as of :func:`export`."""
    channels, height, width = model.config["shape"]
    data = read_config(run)["data"]
    about: dict[str, Any] = {
        "run": run.name,
        "model": model.name,
        "weights_sha256": sha256(run / WEIGHTS),
        "mien": __version__,
        "torch": torch.__version__,
        "size": [height, width],
        "channels": channels,
        "range": [-1, 1],
        "preparation": "none" if raw else "in the graph",
    }
    if height == 1:
        about["signals"] = (
            "float32 (B, 1, 1, L) in [-1, 1]" if raw else f"float32 (N, n), n >= {width}: the first {width} samples"
        )
        about["scaling"] = "mean subtracted, divided by the largest absolute value"
    else:
        about["pictures"] = "float32 (B, C, H, W) in [-1, 1]" if raw else "uint8 (N, height, width, 3), RGB of any size"
        about["crop"] = f"the largest centered rectangle of the shape {height} x {width} (height x width)"
        about["resize"] = "Lanczos with antialiasing"
        if template_of(data, (channels, height, width)) is not None:
            about["faces"] = "the model expects aligned faces; mien align prepares photos"
    if data.get("name"):
        about["data"] = {"name": data["name"], "options": data.get("options", {})}
    if isinstance(model, Recognizes):
        named = {"attributes": model.attributes, "classes": model.classes}
        about |= {key: list(names) for key, names in named.items() if names}
    if amounts:
        about["edit"] = {"amounts": dict(amounts), "keep": list(keep)}
    return about


def _parts(
    model: Model, amounts: dict[str, float], vectors: AttributeVectors | None, keep: Sequence[str], raw: bool
) -> dict[str, Part]:
    """Return the files to export by name."""
    if keep and not amounts:
        raise MienError(f"expected no attributes to keep, got {', '.join(keep)}: name an edit too, or leave them out")
    generator = torch.Generator().manual_seed(0)
    channels, height, width = model.config["shape"]
    kind = "signals" if height == 1 else "pictures"
    before: nn.Module = nn.Identity()
    after: nn.Module = nn.Identity()
    if raw:
        examples = [torch.rand(2, channels, height, width, generator=generator) * 2 - 1]
    elif height == 1:
        before, after = PrepareSignals(width), Samples()
        examples = [torch.randn(2, width + more, generator=generator) for more in (0, 7)]
    else:
        before, after = PreparePictures((channels, height, width)), Levels()
        # two shapes, because a graph must not keep the size of the traced pictures
        sizes = (2 * height + 5, width + 3), (height, 2 * width + 1)
        examples = [torch.randint(0, 256, (2, *size, 3), generator=generator, dtype=torch.uint8) for size in sizes]
    same = nn.Identity()
    parts: dict[str, Part] = {}
    if isinstance(model, Encodes):
        parts["encode"] = Part(lambda model, x: model.encode(x).mean, examples, kind, "latents", before, same)
    if isinstance(model, Encodes) and isinstance(model, Decodes):
        z = torch.randn(2, latent_size(model), generator=generator)
        parts["decode"] = Part(lambda model, z: model.decode(z), [z], "latents", kind, same, after)
    if isinstance(model, Recognizes):
        parts["recognize"] = Part(lambda model, x: model.recognize(x), examples, kind, "probabilities", before, same)
    if amounts:
        change = Editor(model, None if can(model, Edits) else vectors, tuple(keep)).function(amounts)
        parts["edit"] = Part(change, examples, kind, kind, before, after)
    return parts


def _write(
    module: nn.Module, part: Part, expected: Sequence[Tensor], path: Path, about: Mapping[str, Any]
) -> dict[str, Any]:
    """Write one file whose outputs equal ``expected`` at two batch sizes, and return its entry of export.json.

    Args:
        expected: the outputs of the model for the examples of ``part``.
        about: the metadata.

    Raises:
        MienError: the outputs differ. The previous file of this name, if there is one, stays.
    """
    example = part.examples[0]
    axes = _axes(part.takes, example)
    ends = _axes(part.gives, expected[0], fixed=True)
    entry = {
        "input": {"name": "input", "kind": part.takes, "shape": axes, "dtype": str(example.dtype)[6:]},
        "output": {"name": "output", "kind": part.gives, "shape": ends, "dtype": str(expected[0].dtype)[6:]},
    }

    difference = 0.0

    def save(place: Path) -> None:
        """Write the graph with its description, run it and compare."""
        import onnx

        _to_onnx(module, example, {i: name for i, name in enumerate(axes) if isinstance(name, str)}, place)
        save_with_metadata(onnx.load(str(place)), place, {**about, **entry})
        nonlocal difference
        difference = _difference(place, part, expected)
        check_difference(path, difference, LEVELS if expected[0].dtype == torch.uint8 else TOLERANCE)

    write_atomically(path, save)
    return entry | {"sha256": sha256(path), "largest_difference": difference}


def save_with_metadata(graph: Any, place: Path, about: Mapping[str, Any]) -> None:
    """Save an ONNX graph with metadata; values other than texts are written as JSON."""
    import onnx

    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in about.items()}
    onnx.helper.set_model_props(graph, texts)
    onnx.save(graph, str(place))


def check_difference(path: Path, difference: float, allowed: float) -> None:
    """Refuse a file whose outputs differ from those of the model.

    Call it in the writer of :func:`mien.files.write_atomically`: such a file then never gets its final name, and an
    earlier file of this name stays.

    Raises:
        MienError: the difference is larger than ``allowed``, or NaN.
    """
    if not difference <= allowed:  # true of NaN too
        raise MienError(
            f"expected {path.name} to give what the model gives, got a difference of {difference:.2g}, more than "
            f"{allowed:g}: the file was not written; please report the model and the version of torch"
        )


def _difference(path: Path, part: Part, expected: Sequence[Tensor]) -> float:
    """Return the largest difference between the outputs of a file and ``expected``, at two batch sizes."""
    runtime = session(path)
    difference = 0.0
    for inputs, outputs in zip(part.examples, expected, strict=True):
        for n in (1, len(inputs)):
            output = runtime.run(None, {"input": inputs[:n].numpy()})[0].astype(np.float64)
            difference = float(np.maximum(difference, np.abs(output - outputs[:n].numpy()).max()))  # NaN stays NaN
    return difference


def _to_onnx(module: nn.Module, example: Tensor, names: dict[int, str], place: Path) -> None:
    """Write a module as an ONNX file.

    The exporter that traces is taken, because the other one needs ten times as long. It cannot export Fourier
    transforms; graphs with these are exported by the other one.

    Args:
        example: the input to trace.
        names: the axes of any length.
        place: the file.
    """
    shared: dict[str, Any] = {
        "args": (example.clone(),),
        "f": str(place),
        "opset_version": OPSET,
        "input_names": ["input"],
        "output_names": ["output"],
        "verbose": False,
    }
    with warnings.catch_warnings(), torch.no_grad():
        # The exporter warns that it is the older one, and about branches of Python code. The comparison in _write
        # finds a wrong branch.
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(module, dynamo=False, dynamic_axes={"input": names, "output": {0: "N"}}, **shared)
        except torch.onnx.errors.UnsupportedOperatorError:
            if importlib.util.find_spec("onnxscript") is None:
                raise MienError(
                    "expected the package onnxscript to export Fourier transforms, got none: pip install 'mien[onnx]'"
                ) from None
            sizes = {i: torch.export.Dim(name) for i, name in names.items()}
            torch.onnx.export(module, dynamo=True, external_data=False, dynamic_shapes=(sizes,), **shared)


def _axes(kind: str, tensor: Tensor, fixed: bool = False) -> list[str | int]:
    """Return the shape of an input or output; axes of any length have names.

    >>> _axes("pictures", torch.zeros(2, 9, 8, 3, dtype=torch.uint8))
    ['N', 'height', 'width', 3]
    """
    if not fixed and kind == "pictures" and tensor.dtype == torch.uint8:
        return ["N", "height", "width", 3]
    if not fixed and kind == "signals" and tensor.ndim == 2:
        return ["N", "samples"]
    return ["N", *tensor.shape[1:]]


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
