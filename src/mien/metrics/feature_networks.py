"""The networks whose features the distances between sets of pictures are made of, each with its preprocessing.

There are two, and a metric's name tells which: ``fid10k``, ``kid10k``, ``inception2k``, … are made of InceptionV3,
``feature_fid``, ``feature_kid``, … of an attribute classifier (a judge), where Inception's weights cannot be had.
Every result repeats the network's name, the hash of its weights and the preprocessing.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mien.abilities import Describes, Recognizes, require
from mien.errors import MienError
from mien.files import sha256

INCEPTION_FILE = "weights-inception-2015-12-05-6726825d.pth"
INCEPTION_VARIABLE = "MIEN_INCEPTION"
INCEPTION_BATCH = 32  # pictures of 299 px at once: about 300 MB

Look = Callable[[Tensor], tuple[Tensor, Tensor | None]]


@dataclass(frozen=True)
class FeatureNetwork:
    """A network from pictures (B, C, H, W) in [-1, 1] to features (B, ``number``) and logits (B, ``classes``), float32.

    Args:
        name: ``inception`` or ``judge``.
        weights: what they are, for people.
        sha256: of the file of the weights.
        number: how many features.
        classes: how many logits; 0 where it has none.
        preprocessing: what is done to a picture before the network sees it.
        device: where it is.
        look: returns features, and logits or None.
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
        """Return what stands beside every number made of this network."""
        return {
            "network": self.name,
            "weights": self.weights,
            "weights_sha256": self.sha256,
            "features": self.number,
            "preprocessing": self.preprocessing,
            "device": self.device.type,
        }


def as_color(x: Tensor, what: str) -> Tensor:
    """Return pictures (B, 3, H, W) of pictures of one or three channels: gray ones are repeated.

    Raises:
        MienError: for signals, which no network of photographs sees, and other numbers of channels.
    """
    if x.ndim != 4 or x.shape[1] not in (1, 3) or x.shape[2] == 1:
        raise MienError(
            f"expected pictures (B, 1 or 3, H, W) for {what}, got {tuple(x.shape)}: it was trained on photographs; "
            "measure signals on the features of a judge instead (feature_fid, feature_kid)"
        )
    return x.expand(-1, 3, -1, -1)


def to_bytes(x: Tensor) -> Tensor:
    """Return pictures in [-1, 1] as the uint8 levels a PNG would hold; what lies outside is clipped.

    >>> to_bytes(torch.tensor([-1.1, -1.0, 0.0, 0.001, 1.0])).tolist()
    [0, 0, 128, 128, 255]
    """
    return ((x.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def local_weights(name: str, variable: str, path: str | Path | None = None) -> Path | None:
    """Return the file of published weights that is here: as given, else as the environment says, else in torch's cache.

    Args:
        name: of the published file; its last word is the beginning of its hash.
        variable: of the environment.

    Raises:
        MienError: a file that was asked for and is not there, or a damaged one in the cache.
    """
    for given, whence in ((path, ""), (os.environ.get(variable), f" ({variable})")):
        if given:
            if not Path(given).expanduser().is_file():
                raise MienError(f"expected the weights {name} in {given}{whence}, got no such file: give another path")
            return Path(given).expanduser()
    cached = Path(torch.hub.get_dir()) / "checkpoints" / name
    if not cached.is_file():
        return None
    if not is_published(name, sha256(cached)):
        raise MienError(f"expected the published weights in {cached}, got a damaged file: delete it and start again")
    return cached


def is_published(name: str, digest: str) -> bool:
    """Tell whether the SHA-256 ``digest`` is the one that the file's name ends with.

    >>> is_published(INCEPTION_FILE, "6726825d" + "0" * 56)
    True
    """
    return digest.startswith(Path(name).stem.rsplit("-", 1)[-1])


def find_weights(name: str, url: str, variable: str, path: str | Path | None = None) -> Path:
    """Return the file of published weights: what is here, else downloaded into torch's cache, its hash checked.

    Raises:
        MienError: where neither can be had, with which file to put where.
    """
    if (here := local_weights(name, variable, path)) is not None:
        return here
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
    """Return the tensors of a file by the restricted unpickler, which builds tensors and containers and runs nothing.

    Raises:
        MienError: a file that holds anything else.
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


def inception(path: str | Path | None = None, device: str | torch.device = "cpu") -> FeatureNetwork:
    """Return FID's InceptionV3: 2,048 pooled features and 1,008 logits without their bias (Szegedy et al. 2015).

    Its architecture and resizing are torch-fidelity's, which follow the TensorFlow graph of the field's first
    implementations.

    Args:
        path: of the weights; else ``MIEN_INCEPTION`` names them, else torch's cache, else they are downloaded.

    Raises:
        MienError: where the weights cannot be had, or the file holds others.
    """
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3

    file = find_weights(INCEPTION_FILE, URL_INCEPTION_V3, INCEPTION_VARIABLE, path)
    digest, what = sha256(file), "the weights of FID's InceptionV3"
    # torch-fidelity reads weights with the unrestricted unpickler: it gets nothing but tensors written here
    tensors = io.BytesIO()
    torch.save(read_weights(file, what), tensors)
    tensors.seek(0)
    try:
        # the constructor draws initial weights from the global state and then overwrites them
        with torch.random.fork_rng(devices=[]):
            network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048", "logits_unbiased"], tensors)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise MienError(f"expected {what} in {file}, got others ({reason}): use {INCEPTION_FILE}") from None
    place = torch.device(device)
    network = network.to(place)

    def look(x: Tensor) -> tuple[Tensor, Tensor]:
        levels = to_bytes(as_color(x, "InceptionV3").to(place))
        parts = [network(part) for part in torch.split(levels, INCEPTION_BATCH)]
        return torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts])

    published = is_published(INCEPTION_FILE, digest)
    return FeatureNetwork(
        name="inception",
        weights="pt_inception-2015-12-05" if published else f"not the published ones: {file.name}",
        sha256=digest,
        number=2048,
        classes=1008,
        preprocessing="gray repeated to three channels; rounded to bytes, as a PNG would hold them; resized to 299x299 "
        "bilinearly as TensorFlow 1 does, without antialiasing; (level - 128) / 128",
        device=place,
        look=look,
    )


def of_judge(judge_model: Any, digest: str) -> FeatureNetwork:
    """Return an attribute classifier's pooled features, and its logits where it tells classes apart.

    Args:
        judge_model: a model that recognizes and describes pictures, in evaluation mode.
        digest: SHA-256 of its weights.

    Raises:
        MienError: a model without pooled features, or one that is training.
    """
    require(judge_model, Recognizes, Describes)
    model: Any = judge_model
    if model.training:
        raise MienError("expected a judge in evaluation mode, got one in training mode: call judge_model.eval()")
    place = next(model.parameters()).device
    shape = tuple(model.config["shape"])
    classes = () if model.attributes else tuple(model.classes)  # one that has both learned the attributes

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
