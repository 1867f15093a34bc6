"""A data set with its pictures on the device, as bytes: no step waits for the disk or the bus."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from mien.data.batch import Batch, on_device
from mien.data.dataset import Dataset

ROOM = 0.25  # share of the device's free memory for pictures: networks and their maps need the rest
CHUNK = 4096  # pictures copied at once


class Resident:
    """The pictures at some positions of a data set, on ``device``; its batches are the data set's own.

    Args:
        dataset: the source of the copy.
        index: positions (n,) of the pictures to copy.
        device: the target of the copy.
    """

    def __init__(self, dataset: Dataset, index: npt.NDArray[Any], device: str | torch.device):
        positions = np.unique(index)
        self.device = torch.device(device)
        self._row_of = np.full(len(dataset), -1, np.int64)
        self._row_of[positions] = np.arange(len(positions))
        channels, height, width = dataset.shape
        kind = torch.uint8 if dataset.dtype == "uint8" else torch.float32
        self.pictures = torch.empty((len(positions), height, width, channels), dtype=kind, device=self.device)
        for start in range(0, len(positions), CHUNK):
            part = dataset.pictures(positions[start : start + CHUNK])
            self.pictures[start : start + CHUNK] = torch.from_numpy(part)
        self._attributes = self._labels = None
        if dataset.attributes:
            self._attributes = torch.from_numpy(np.asarray(dataset.attribute_table[positions])).to(self.device)
        if dataset.labels is not None:
            self._labels = torch.from_numpy(dataset.labels[positions]).to(self.device)

    def batch(self, index: npt.NDArray[Any], device: str | torch.device | None = None) -> Batch:
        """Return what ``Dataset.batch`` returns for copied positions ``index`` (B,).

        Raises:
            IndexError: for a position that was not copied.
        """
        del device  # the pictures are on their device
        rows = self._row_of[index]
        if len(rows) and rows.min() < 0:
            raise IndexError(f"expected positions that were copied, got {index[rows.argmin()]}")
        where = on_device(rows, self.device)
        x = self.pictures[where].permute(0, 3, 1, 2)
        if x.dtype == torch.uint8:
            x = x.float().div_(127.5).sub_(1)
        attributes = None if self._attributes is None else self._attributes[where].float()
        label = None if self._labels is None else self._labels[where]
        return Batch(x, attributes, label, on_device(np.asarray(index, np.int64), self.device))


def where_it_fits(dataset: Dataset, index: npt.NDArray[Any], device: torch.device) -> Dataset | Resident:
    """Return a copy on the device if it is a GPU with room for the pictures ``index``, otherwise the data set."""
    if device.type != "cuda":
        return dataset
    free, _ = torch.cuda.mem_get_info(device)
    picture = int(np.prod(dataset.shape)) * (1 if dataset.dtype == "uint8" else 4)
    if len(np.unique(index)) * picture > ROOM * free:
        return dataset
    return Resident(dataset, index, device)
