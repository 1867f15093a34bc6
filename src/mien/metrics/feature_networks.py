"""The feature networks of the distances between sets of pictures, each with its preprocessing.

The name of a metric tells the network. ``fid10k``, ``kid10k``, ``inception2k``, … use InceptionV3. ``feature_fid``,
``feature_kid``, … use an attribute classifier (a judge), and need no weights of Inception. ``mien measure`` can also
use DINOv2 (:mod:`mien.metrics.dinov2`).
Every result stores the network's name, the hash of its weights and the preprocessing.
"""

from __future__ import annotations

import functools
import io
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mien.abilities import Describes, Recognizes, require
from mien.errors import MienError, UnknownName
from mien.files import sha256

INCEPTION_FILE = "weights-inception-2015-12-05-6726825d.pth"
INCEPTION_VARIABLE = "MIEN_INCEPTION"
INCEPTION_SIZE = 299
INCEPTION_STAGES = (
    "Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "MaxPool_1", "Conv2d_3b_1x1", "Conv2d_4a_3x3", "MaxPool_2",
    "Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e",
    "Mixed_7a", "Mixed_7b", "Mixed_7c", "AvgPool",
)  # fmt: skip
TENSORFLOW = "tensorflow"
RESIZING = {
    TENSORFLOW: "bilinearly as TensorFlow 1 and torch-fidelity do, without antialiasing",
    "clean": "by Pillow's bicubic filter with antialiasing, not rounded, as clean-fid does",
}
INCEPTION_BATCH = 32  # pictures of 299 px in one batch: about 300 MB

Look = Callable[[Tensor], tuple[Tensor, Tensor | None]]


@dataclass(frozen=True)
class FeatureNetwork:
    """A network from pictures (B, C, H, W) in [-1, 1] to features (B, ``number``) and logits (B, ``classes``), float32.

    Args:
        name: ``inception``, ``dinov2`` or ``judge``.
        weights: name of the weights, for readers.
        sha256: hash of the file of the weights.
        number: number of features.
        classes: number of logits; 0 without logits.
        preprocessing: description of the preprocessing of pictures.
        device: device of the network.
        look: function from pictures to features, and logits or None.
    """

    name: str
    weights: str
    sha256: str
    number: int
    classes: int
    preprocessing: str
    device: torch.device
    look: Look = field(repr=False, compare=False)

    def features(self, x: Tensor) -> Tensor:
        """Return the features (B, number) of pictures (B, C, H, W) in [-1, 1]."""
        return self.look(x)[0]

    def logits(self, x: Tensor) -> Tensor | None:
        """Return the logits (B, classes) of pictures (B, C, H, W) in [-1, 1], or None."""
        return self.look(x)[1]

    def about(self) -> dict[str, Any]:
        """Return the description of the network that every result stores."""
        return {
            "network": self.name,
            "weights": self.weights,
            "weights_sha256": self.sha256,
            "features": self.number,
            "preprocessing": self.preprocessing,
            "device": self.device.type,
        }


def as_color(x: Tensor, what: str) -> Tensor:
    """Return pictures of one or three channels as (B, 3, H, W); the gray channel is repeated.

    Raises:
        MienError: signals, or another number of channels: the networks were trained on photographs.
    """
    if x.ndim != 4 or x.shape[1] not in (1, 3) or x.shape[2] == 1:
        raise MienError(
            f"expected pictures (B, 1 or 3, H, W) for {what}, got {tuple(x.shape)}: it was trained on photographs; "
            "measure signals on the features of a judge instead (feature_fid, feature_kid)"
        )
    return x.expand(-1, 3, -1, -1)


def to_bytes(x: Tensor) -> Tensor:
    """Return pictures in [-1, 1] as uint8 levels, as in a PNG file; values outside the range are clipped.

    >>> to_bytes(torch.tensor([-1.1, -1.0, 0.0, 0.001, 1.0])).tolist()
    [0, 0, 128, 128, 255]
    """
    return ((x.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def local_weights(name: str, variable: str, path: str | Path | None = None) -> Path | None:
    """Return the local file of published weights: ``path``, else the environment variable, else torch's cache; or None.

    Args:
        name: name of the published file, which ends with the first digits of its hash.
        variable: name of the environment variable.
        path: the file; None for the environment variable or the cache.

    Raises:
        MienError: there is no file at that path, or the file in the cache is damaged.
    """
    for choice, origin in ((path, ""), (os.environ.get(variable), f" ({variable})")):
        if choice:
            if not Path(choice).expanduser().is_file():
                raise MienError(f"expected the weights {name} in {choice}{origin}, got no such file: give another path")
            return Path(choice).expanduser()
    cached = Path(torch.hub.get_dir()) / "checkpoints" / name
    if not cached.is_file():
        return None
    if not is_published(name, sha256(cached)):
        raise MienError(f"expected the published weights in {cached}, got a damaged file: delete it and start again")
    return cached


def is_published(name: str, digest: str) -> bool:
    """Return whether the SHA-256 ``digest`` starts with the digits at the end of the file's name.

    >>> is_published(INCEPTION_FILE, "6726825d" + "0" * 56)
    True
    """
    return digest.startswith(Path(name).stem.rsplit("-", 1)[-1])


def find_weights(name: str, url: str, variable: str, path: str | Path | None = None) -> Path:
    """Return the file of published weights: a local file, else a download into torch's cache with a checked hash.

    Raises:
        MienError: there is no local file and the download fails; the message names the file and its place.
    """
    if (file := local_weights(name, variable, path)) is not None:
        return file
    cached = Path(torch.hub.get_dir()) / "checkpoints" / name
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(cached), hash_prefix=Path(name).stem.rsplit("-", 1)[-1])
    except Exception as error:
        raise MienError(
            f"could not get the weights {name} ({' '.join(str(error).split()) or type(error).__name__}): connect to "
            f"the network once, or put a copy of that file at {cached}, or set {variable} to its path"
        ) from None
    return cached


def read_weights(path: Path, what: str) -> dict[str, Tensor]:
    """Return the tensors of a file. The restricted unpickler builds tensors and containers only; it runs no code.

    Raises:
        MienError: the file has other content.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise MienError(f"expected {what} in {path}, got a file that cannot be read as such ({reason})") from None
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise MienError(f"expected {what} in {path}, got something other than a table of tensors")
    return dict(state)


def local_inception() -> Path | None:
    """Return the file of Inception's weights that :func:`inception` would use without a network, or None."""
    return local_weights(INCEPTION_FILE, INCEPTION_VARIABLE)


def inception(
    path: str | Path | None = None, device: str | torch.device = "cpu", resizing: str = TENSORFLOW
) -> FeatureNetwork:
    """Return FID's InceptionV3: 2,048 pooled features and 1,008 logits without their bias (Szegedy et al. 2015).

    The architecture comes from torch-fidelity.

    Args:
        path: file of the weights; by default the file of ``MIEN_INCEPTION``, else of torch's cache, else a download.
        device: device of the network.
        resizing: ``tensorflow`` as the TensorFlow graph of the original FID and torch-fidelity do, without
            antialiasing; ``clean`` as clean-fid does, bicubic with antialiasing (Parmar et al. 2022). The distances of
            the two cannot be compared.

    Raises:
        MienError: the weights are not available, or the file has other weights.
    """
    if resizing not in RESIZING:
        raise UnknownName("resizing", resizing, RESIZING)
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3

    file = find_weights(INCEPTION_FILE, URL_INCEPTION_V3, INCEPTION_VARIABLE, path)
    digest, what = sha256(file), "the weights of FID's InceptionV3"
    # torch-fidelity reads weights with the unrestricted unpickler, so it gets tensors that are written here
    tensors = io.BytesIO()
    torch.save(read_weights(file, what), tensors)
    tensors.seek(0)
    try:
        # the constructor draws initial weights from the global generator before it loads the weights
        with torch.random.fork_rng(devices=[]):
            network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048", "logits_unbiased"], tensors)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise MienError(f"expected {what} in {file}, got others ({reason}): use {INCEPTION_FILE}") from None
    place = torch.device(device)
    network = network.to(place)

    def look(x: Tensor) -> tuple[Tensor, Tensor]:
        levels = to_bytes(as_color(x, "InceptionV3").to(place))
        run = network if resizing == TENSORFLOW else functools.partial(_clean, network)
        parts = [run(part) for part in torch.split(levels, INCEPTION_BATCH)]
        return torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts])

    published = is_published(INCEPTION_FILE, digest)
    return FeatureNetwork(
        name="inception",
        weights="pt_inception-2015-12-05" if published else f"not the published ones: {file.name}",
        sha256=digest,
        number=2048,
        classes=1008,
        preprocessing="gray repeated to three channels; rounded to bytes, as a PNG would hold them; resized to 299x299 "
        f"{RESIZING[resizing]}; (level - 128) / 128",
        device=place,
        look=look,
    )


def _clean(network: Any, levels: Tensor) -> tuple[Tensor, Tensor]:
    """Return what torch-fidelity's network computes from bytes (B, 3, H, W) after the resizing of clean-fid."""
    x = (bicubic(levels, INCEPTION_SIZE) - 128) / 128
    for stage in INCEPTION_STAGES:
        x = network.get_submodule(stage)(x)
    features = x.flatten(1)
    return features, features @ network.fc.weight.T


def bicubic(levels: Tensor, size: int) -> Tensor:
    """Return bytes (B, 3, H, W) as float levels (B, 3, size, size), resized as by Pillow's bicubic filter.

    The filter has antialiasing. Levels are clipped to [0, 255] and not rounded, as in clean-fid.
    """
    x = levels.float()
    if x.shape[2:] != (size, size):
        x = F.interpolate(x, (size, size), mode="bicubic", antialias=True, align_corners=False)
    return x.clamp(0, 255)


def of_judge(judge_model: Any, digest: str) -> FeatureNetwork:
    """Return the network of a judge: its pooled features, and its logits if it recognizes classes.

    Args:
        judge_model: a model that recognizes and describes pictures, in evaluation mode.
        digest: SHA-256 of its weights.

    Raises:
        MienError: the model has no pooled features, or is in training mode.
    """
    require(judge_model, Recognizes, Describes)
    model: Any = judge_model
    if model.training:
        raise MienError("expected a judge in evaluation mode, got one in training mode: call judge_model.eval()")
    place = next(model.parameters()).device
    shape = tuple(model.config["shape"])
    classes = () if model.attributes else tuple(model.classes)  # a judge with both was trained on the attributes

    def look(x: Tensor) -> tuple[Tensor, Tensor | None]:
        if x.ndim != 4 or tuple(x.shape[1:]) != shape:
            raise MienError(f"expected pictures (B, {', '.join(map(str, shape))}) for the judge, got {tuple(x.shape)}")
        x = x.to(place)
        return model.features(x).float(), model.logits(x).float() if classes else None

    with torch.inference_mode():
        number = look(torch.zeros(1, *shape, device=place))[0].shape[1]
    return FeatureNetwork(
        name="judge",
        weights=str(model.name),
        sha256=digest,
        number=number,
        classes=len(classes),
        preprocessing=f"none: pictures {'x'.join(map(str, shape))} in [-1, 1] as they are, not rounded to bytes",
        device=place,
        look=look,
    )
