"""Export of a run as one ONNX file that edits any picture by any amounts: no mien, no PyTorch, no other file.

``editor.onnx`` takes ``input``, RGB pictures uint8 (N, height, width, 3) of any size, and ``amounts``, float32 (N, K),
or (1, K) for all pictures: one amount for each attribute vector of the run, or one for the attribute of a model that
edits by itself (``residual_gan``, ``cyclegan``). It crops, resizes and scales the pictures as mien does, and returns

- ``output``, uint8 (N, h, w, 3): the largest centered rectangle of the picture with the model's aspect ratio, at the
  picture's own size. The change of the edit is added to its pixels, so all other details stay sharp.
- ``change``, float32 (N, C, H, W): decode(z + Σ amount · vector) - decode(z) at the model's size, or edit(x) - x.

The graph does not align pictures: a model of faces expects faces as ``mien align`` cuts them. Such a model changes
``output`` inside the face only; for attributes of hair, ears and neck, it changes the whole picture
(:mod:`mien.photos.masks`). The weights of a shipped model have exact values in float16. Such weights are stored in
float16, and the graph casts them to float32.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.abilities import Decodes, Edits, Encodes, can, require
from mien.applications.arithmetic import AttributeVectors, Editor
from mien.errors import MienError
from mien.export import LEVELS, OPSET, TOLERANCE, check_difference, check_packages, facts, save_with_metadata, session
from mien.files import sha256, write_atomically
from mien.models.base import Model
from mien.photos.aligning import Aligned
from mien.photos.finding import Face
from mien.photos.masks import BEYOND_FACE, mask_of
from mien.photos.template import Template, template_of
from mien.preprocessing import PreparePictures
from mien.run.folder import read_config, resolve
from mien.run.opening import cached_amounts
from mien.run.weights import load

EDITOR = "editor.onnx"
Masks = tuple[NDArray[np.float32], NDArray[np.float32]]
SMALLEST = 256  # numbers of a weight that is stored in float16
INPUTS, OUTPUTS = ("input", "amounts"), ("output", "change")


class VectorChange(nn.Module):
    """The change of pictures by attribute vectors.

    Args:
        model: encodes and decodes.
        steps: (K, Z), a step in latent space for each attribute.
    """

    steps: Tensor

    def __init__(self, model: Model, steps: Tensor):
        super().__init__()
        self.model = model
        self.register_buffer("steps", steps.float())

    def forward(self, x: Tensor, amounts: Tensor) -> Tensor:
        """Return the change of ``x`` (N, C, H, W) by ``amounts`` (N, K) or (1, K)."""
        model: Any = self.model
        z = model.encode(x).mean
        change: Tensor = model.decode(z + amounts @ self.steps) - model.decode(z)
        return change


class OwnChange(nn.Module):
    """The change of pictures by a model of one attribute that edits by itself.

    Args:
        model: has the method ``changes``.
    """

    def __init__(self, model: Model):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, amounts: Tensor) -> Tensor:
        """Return the change of ``x`` (N, C, H, W) by ``amounts`` (N, 1) or (1, 1)."""
        model: Any = self.model
        added, removed = model.changes(x)
        amount = amounts[:, :, None, None]
        return torch.clamp(x + amount.relu() * added + (-amount).relu() * removed, -1, 1) - x


class EditorGraph(nn.Module):
    """The edit as a module from pictures and amounts to the edited pictures and the change.

    Args:
        shape: (C, H, W) of the model's pictures.
        change: from pictures (N, C, H, W) and amounts to their change.
        masks: for a model of aligned faces, see :func:`template_masks`.
        beyond: (K,), 1 for an attribute that may change the whole picture, else 0.
    """

    beyond: Tensor
    face: Tensor
    whole: Tensor

    def __init__(self, shape: tuple[int, int, int], change: nn.Module, masks: Masks | None, beyond: Tensor):
        super().__init__()
        _, self.height, self.width = shape
        self.change, self.prepare = change, PreparePictures(shape)
        self.masked = masks is not None
        face, whole = masks or (np.ones((1, 1)), np.ones((1, 1)))
        self.side = len(face)
        self.register_buffer("beyond", beyond.float())
        self.register_buffer("face", torch.from_numpy(face).float())
        self.register_buffer("whole", torch.from_numpy(whole).float())

    def forward(self, x: Tensor, amounts: Tensor) -> tuple[Tensor, Tensor]:
        """Return the edited pictures, uint8 (N, h, w, 3), and the change (N, C, H, W).

        Args:
            x: uint8 (N, height, width, 3).
            amounts: (N, K) or (1, K).
        """
        change = self.change(self.prepare(x), amounts)
        # sums of ones, because a number taken from x.shape would be fixed in the graph
        rows, columns = torch.ones_like(x[0, :, 0, 0]).double(), torch.ones_like(x[0, 0, :, 0]).double()
        scale = torch.minimum(rows.sum() / self.height, columns.sum() / self.width)
        down, row = enlarging(rows, self.height, scale)
        across, column = enlarging(columns, self.width, scale)
        large = down @ change @ across.T
        if self.masked:
            down, _ = enlarging(rows, self.side, scale * (self.height / self.side))
            across, _ = enlarging(columns, self.side, scale * (self.width / self.side))
            everywhere = (amounts.abs() @ self.beyond > 0)[:, None, None, None]
            large = large * (down @ torch.where(everywhere, self.whole, self.face) @ across.T)
        part = x.index_select(1, row).index_select(2, column).float()
        edited = torch.clamp(torch.round(part + 127.5 * large.permute(0, 2, 3, 1)), 0, 255)
        return edited.to(torch.uint8), change


def template_masks(template: Template) -> Masks:
    """Return where an edit may change an aligned face, (256, 256) in [0, 1]: in the face, and in the whole picture.

    They are the masks of :mod:`mien.photos.masks` for a face whose points are those of the template.
    """
    size = template.size
    face = Face((0.0, 0.0, float(size), float(size)), template.points)
    aligned = Aligned(torch.zeros(1, 3, size, size), np.eye(2, 3), face, 0.0)
    return mask_of(aligned, []), mask_of(aligned, BEYOND_FACE)


def enlarging(ones: Tensor, size: int, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weights (m, size) that enlarge a line to the m pixels of a centered part of a longer one.

    The filter is the cubic one of Pillow's transforms (a = -1), as in :mod:`mien.photos.editing`. Beyond the ends, the
    line repeats its last pixels.

    Args:
        ones: (n,) of 1, a number for each pixel of the longer line.
        size: pixels of the line that is enlarged.
        scale: pixels of the part for each of them, a number as a tensor.

    Returns:
        The weights, and the positions (m,) of the part in the longer line.

    >>> weights, positions = enlarging(torch.ones(6).double(), 2, torch.tensor(2.0))
    >>> positions.tolist(), weights.sum(1).tolist()
    ([1, 2, 3, 4], [1.0, 1.0, 1.0, 1.0])
    """
    start = (ones.sum() - scale * size) / 2
    centers = torch.cumsum(ones, 0) - 0.5
    inside = (centers >= start) & (centers < start + scale * size)
    positions = torch.nonzero(inside)[:, 0]
    place = ((centers.index_select(0, positions) - start) / scale - 0.5)[:, None]
    # the line with two more pixels at each end, which are added to the last ones afterwards
    distance = (place - torch.arange(-2, size + 2, dtype=ones.dtype)).abs()
    near = (distance - 2) * distance * distance + 1
    far = ((5 - distance) * distance - 8) * distance + 4
    zero = torch.zeros_like(distance)
    weights = torch.where(distance < 1, near, torch.where(distance < 2, far, zero))
    first, last = weights[:, :3].sum(1, keepdim=True), weights[:, -3:].sum(1, keepdim=True)
    return torch.cat([first, weights[:, 3:-3], last], 1).float(), positions


def check_model(model: Model) -> None:
    """Check that a model can be exported as an editor.

    Raises:
        MissingAbility: it neither edits by itself nor encodes and decodes.
        MienError: it edits several attributes by itself, or has signals and no pictures.
    """
    if can(model, Edits):
        if not hasattr(model, "changes"):
            raise MienError(
                f"expected a model that is edited by attribute vectors, or that edits one attribute, got {model.name}: "
                "export an edit with fixed amounts, such as mien export RUN Smiling=+1"
            )
    else:
        require(model, Encodes, Decodes)
    if model.config["shape"][1] == 1:
        raise MienError(f"expected a model of pictures, got {model.name} of signals: export it without --editor")


def export_editor(
    run: str | Path,
    path: str | Path,
    vectors: AttributeVectors | None,
    keep: Sequence[str] = (),
    direction: str = "mean",
) -> dict[str, Any]:
    """Write the editor of a run to an ONNX file, compare it with the model, and return its metadata.

    Args:
        run: the run folder.
        path: the file.
        vectors: the attribute vectors of the run; None for a model that edits by itself.
        keep: attributes that an edit of another attribute must keep, see :func:`mien.applications.edit`.
        direction: of the vectors, for the amounts that ``mien evaluate`` recommends.

    Raises:
        MissingAbility, MienError: as :func:`check_model`; a package of ``mien[onnx]`` is missing; or the file gives
            something else than the model.
    """
    check_packages()
    run, path = resolve(run), Path(path)
    model = load(run)
    check_model(model)
    editor = Editor(model, vectors)
    names, shape = editor.names, tuple(model.config["shape"])
    change: nn.Module = OwnChange(model)
    if (given := editor.vectors) is not None:
        change = VectorChange(
            model, torch.stack([given.without(name, [other for other in keep if other != name]) for name in names])
        )
    template = template_of(read_config(run)["data"], shape)
    beyond = torch.tensor([name in BEYOND_FACE for name in names])
    graph = EditorGraph(shape, change, template_masks(template) if template else None, beyond).eval()
    best = cached_amounts(run, direction)
    about = facts(run, model, raw=False) | {
        "ability": "editor",
        "attributes": list(names),
        "recommended": {name: best.get(name, 1.0) for name in names},
        "keep": list(keep),
        "inputs": {
            "input": "uint8 (N, height, width, 3), RGB of any size",
            "amounts": f"float32 (N, {len(names)}) or (1, {len(names)}), in the order of attributes; 0 changes nothing",
        },
        "outputs": {
            "output": "uint8 (N, h, w, 3): the centered rectangle at its own size, with the change added",
            "change": "float32 (N, C, H, W), a difference of pictures in [-1, 1]",
        },
    }

    def save(place: Path) -> None:
        _save(graph, place, about)
        for difference, allowed in zip(_differences(graph, place, len(names)), (LEVELS, TOLERANCE), strict=True):
            check_difference(path, difference, allowed)

    write_atomically(path, save)
    return about | {"sha256": sha256(path)}


def _examples(graph: EditorGraph, count: int) -> list[tuple[Tensor, Tensor]]:
    """Return pictures of two shapes, because a graph must not keep the size of the traced ones, and amounts."""
    generator = torch.Generator().manual_seed(0)
    sizes = (2 * graph.height + 5, graph.width + 3), (graph.height, 3 * graph.width + 1)
    return [
        (
            torch.randint(0, 256, (2, *size, 3), generator=generator, dtype=torch.uint8),
            torch.rand(n, count, generator=generator) * 2 - 1,
        )
        for size, n in zip(sizes, (2, 1), strict=True)
    ]


def _save(graph: EditorGraph, place: Path, about: Mapping[str, Any]) -> None:
    """Write the graph with its metadata."""
    import onnx

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # as in mien.export: the comparison finds a wrong branch
        torch.onnx.export(
            graph,
            _examples(graph, len(about["attributes"]))[0],
            str(place),
            dynamo=False,
            opset_version=OPSET,
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            # the model is in evaluation mode; with EVAL, BatchNorm would become part of the weights, which would then
            # have no exact value in float16
            training=torch.onnx.TrainingMode.PRESERVE,
            dynamic_axes={
                "input": {0: "N", 1: "height", 2: "width"},
                "amounts": {0: "one_or_N"},
                "output": {0: "N", 1: "h", 2: "w"},
                "change": {0: "N"},
            },
        )
    content = onnx.load(str(place))
    _halve(content.graph)
    save_with_metadata(content, place, about)


def _halve(graph: Any) -> None:
    """Store the weights that float16 holds exactly in float16, each with a cast to float32."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for index, weight in enumerate(graph.initializer):
        if weight.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(weight)
        with np.errstate(over="ignore"):
            small = values.astype(np.float16)
        if values.size < SMALLEST or not np.array_equal(small.astype(np.float32), values):
            continue
        name = f"{weight.name}.float16"
        casts.append(helper.make_node("Cast", [name], [weight.name], to=TensorProto.FLOAT))
        graph.initializer[index].CopyFrom(numpy_helper.from_array(small, name))
    for node in reversed(casts):
        graph.node.insert(0, node)


def _differences(graph: EditorGraph, path: Path, count: int) -> NDArray[np.float64]:
    """Return the largest difference between the file and the model for each of OUTPUTS."""
    runtime, largest = session(path), np.zeros(len(OUTPUTS))
    for x, amounts in _examples(graph, count):
        with torch.inference_mode():
            expected = graph(x, amounts)
        result = runtime.run(list(OUTPUTS), {"input": x.numpy(), "amounts": amounts.numpy()})
        differences = [
            np.abs(one.astype(np.float64) - other.numpy()).max() if one.shape == other.shape else np.inf
            for one, other in zip(result, expected, strict=True)
        ]
        largest = np.maximum(largest, differences)  # NaN stays NaN
    return largest
