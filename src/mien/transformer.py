"""A scikit-learn transformer from pictures to the latents of runs, for use in a Pipeline or a grid search."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from mien.abilities import Encodes, require
from mien.applications.basics import device_of, latent_size
from mien.applications.multiview import unique_names
from mien.errors import MienError
from mien.files import sha256
from mien.models.base import Model
from mien.run.folder import WEIGHTS, resolve
from mien.run.weights import load

_WIDTH = "fits a table of a few arbitrary columns; a run encodes only pictures of the shape that it was trained on"
EXPECTED_FAILED_CHECKS: dict[str, str] = {
    "check_fit2d_1feature": "fits a table of one column and accepts only the message 'n_features = 1'",
    "check_fit2d_1sample": "fits a table of ten columns and accepts only the message '1 sample'",
    "check_positive_only_tag_during_fit": "fits a table of arbitrary columns, as the checks below do",
    **dict.fromkeys(
        (
            "check_dict_unchanged",
            "check_dont_overwrite_parameters",
            "check_dtype_object",
            "check_estimators_dtypes",
            "check_estimators_fit_returns_self",
            "check_estimators_nan_inf",
            "check_estimators_overwrite_params",
            "check_estimators_pickle",
            "check_f_contiguous_array_estimator",
            "check_fit2d_predict1d",
            "check_fit_check_is_fitted",
            "check_fit_idempotent",
            "check_fit_score_takes_y",
            "check_methods_sample_order_invariance",
            "check_methods_subset_invariance",
            "check_n_features_in",
            "check_n_features_in_after_fitting",
            "check_pipeline_consistency",
            "check_readonly_memmap_input",
            "check_transformer_data_not_an_array",
            "check_transformer_general",
        ),
        _WIDTH,
    ),
}
"""The checks of scikit-learn's ``check_estimator`` that an encoder of pictures fails, with the reason for each.

Pass it as ``expected_failed_checks``.
"""


class NotPictures(MienError, ValueError):
    """An array does not hold pictures for the runs. It is a ValueError too, as scikit-learn expects."""


class ImageEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Maps pictures to the latent means of one or more runs, side by side: (n, ΣK).

    Pictures are arrays as :meth:`mien.data.dataset.Dataset.pictures` returns them: uint8 (n, H, W, C). The flattened
    form (n, H·W·C) may have any numeric type, with values from 0 to 255. Signals are (n, 1, L, C) or flattened, with
    values from -1 to 1. NaN and infinities are refused. Fractions that are all at most 1 (X / 255) are accepted with a
    warning, because they are black pictures.

    ``fit`` loads the runs and learns nothing. A pickle holds the paths of the runs and the digests of their weights,
    but not the weights. The run folders must exist when the pickle is used.

    Args:
        runs: run folders of models that encode, all for pictures of one shape; or one run folder.
        device: cpu or cuda.
        batch: number of pictures encoded at a time; it bounds the memory.

    Attributes:
        shape_: (C, H, W) of the pictures.
        n_features_in_: H·W·C.
        weights_sha256_: SHA-256 of the weights of each run.
        widths_: K of each run.

    >>> from sklearn.base import clone
    >>> clone(ImageEncoder(["runs/faces"])).get_params()
    {'batch': 128, 'device': 'cpu', 'runs': ['runs/faces']}
    """

    _models: list[Model] | None = None  # a pickle does not hold them

    def __init__(self, runs: Sequence[str | Path] | str | Path = (), device: str = "cpu", batch: int = 128):
        self.runs = runs
        self.device = device
        self.batch = batch

    def fit(self, X: ArrayLike, y: object = None) -> ImageEncoder:
        """Load the runs and check that they can encode the pictures ``X``.

        Raises:
            MienError: no runs, a folder that is not a run, runs for pictures of different shapes, a batch below 1.
            MissingAbility: a run whose model does not encode.
            NotPictures: an array of another shape, or with values outside the range.
        """
        folders = self._folders()
        if isinstance(self.batch, bool) or not isinstance(self.batch, int | np.integer) or self.batch < 1:
            raise MienError(f"expected a batch of 1 or more, got {self.batch!r}")
        models = self._models = [load(folder, self.device) for folder in folders]
        for model in models:
            require(model, Encodes)
        shapes = [tuple(model.config["shape"]) for model in models]
        for folder, shape in zip(folders, shapes, strict=True):
            if shape != shapes[0]:
                raise MienError(
                    f"expected runs on pictures of one shape, got {folders[0]} on {shapes[0]} and {folder} on {shape}: "
                    "use one ImageEncoder for each shape"
                )
        self.shape_ = shapes[0]
        self.weights_sha256_ = [sha256(folder / WEIGHTS) for folder in folders]
        self.widths_ = [latent_size(model) for model in models]
        self._check(X, reset=True)
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Return the latent means (n, ΣK), float32, of pictures: those of each run side by side, in the runs' order.

        Raises:
            NotPictures: an array of another shape, or with values outside the range.
            MienError: the weights of a run have changed since ``fit``.
        """
        check_is_fitted(self)
        flat = self._check(X, reset=False)
        models = self._load()
        z = np.empty((len(flat), sum(self.widths_)), np.float32)
        channels, height, width = self.shape_
        with torch.inference_mode():
            for start in range(0, len(flat), self.batch):
                part = np.asarray(flat[start : start + self.batch], np.float32).reshape(-1, height, width, channels)
                if height > 1:
                    part = part / np.float32(127.5) - np.float32(1)
                x = torch.from_numpy(np.ascontiguousarray(part.transpose(0, 3, 1, 2)))  # (B, C, H, W)
                parts = [model.encode(x.to(device_of(model))).mean.cpu().numpy() for model in models]
                z[start : start + self.batch] = np.concatenate(parts, axis=1)
        return z

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """Return a name for each column of the latents, such as ``faces_z0``."""
        check_is_fitted(self)
        names = unique_names(self._folders())
        parts = [f"{name}_z{k}" for name, width in zip(names, self.widths_, strict=True) for k in range(width)]
        return np.array(parts, dtype=object)

    def _folders(self) -> list[Path]:
        folders = [self.runs] if isinstance(self.runs, str | Path) else list(self.runs)
        if not folders:
            raise MienError("expected one run or more, got none: pass runs=['runs/faces']")
        return [resolve(folder) for folder in folders]

    def _check(self, X: ArrayLike, reset: bool) -> NDArray[Any]:
        """Return the pictures ``X`` flattened, (n, H·W·C), or raise NotPictures."""
        channels, height, width = self.shape_
        expected = f"expected pictures (n, {height}, {width}, {channels}) or (n, {height * width * channels})"
        # a data frame has `ndim` and must stay one: scikit-learn reads its column names
        pictures: Any = X if hasattr(X, "ndim") else np.asarray(X)
        if pictures.ndim > 2:
            if pictures.shape[1:] != (height, width, channels):
                raise NotPictures(f"{expected}, got {pictures.shape}: crop and scale them, channels last")
            pictures = pictures.reshape(len(pictures), height * width * channels)  # none at all, too
        flat: NDArray[Any] = validate_data(self, pictures, reset=reset, dtype="numeric")
        if flat.shape[1] != height * width * channels:
            raise NotPictures(f"{expected}, got {flat.shape}: crop and scale them")
        low, high = (0, 255) if height > 1 else (-1, 1)
        least, most = flat.min(), flat.max()
        if least < low or most > high:
            # scikit-learn's checks look for these first words
            negative = "Negative values in data passed to ImageEncoder: " if low == 0 and least < 0 else ""
            raise NotPictures(f"{negative}expected values from {low} to {high}, got {least:.4g} to {most:.4g}")
        if height > 1 and flat.dtype.kind == "f" and 0 < most <= 1:
            warnings.warn(
                f"expected values from 0 to 255, got {least:.4g} to {most:.4g}, which seem to be in [0, 1]: pass "
                "255 * X if they are",
                stacklevel=3,
            )
        return flat

    def _load(self) -> list[Any]:
        """Return the models. After unpickling, load them again and check that their weights are those of ``fit``."""
        if self._models is None:
            folders = self._folders()
            for folder, digest in zip(folders, self.weights_sha256_, strict=True):
                path = folder / WEIGHTS
                if path.exists() and sha256(path) != digest:
                    raise MienError(f"expected the weights that were fitted in {folder}, got others: fit again")
            self._models = [load(folder, self.device) for folder in folders]
        return self._models

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        return {key: value for key, value in state.items() if key != "_models"}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True  # true of pictures; signals have negative values
        tags.transformer_tags.preserves_dtype = []  # the output is always float32
        return tags
