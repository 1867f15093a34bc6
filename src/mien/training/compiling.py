"""Compiling the networks of a model in place (``mien train --compile``)."""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn


def compile_networks(model: nn.Module, **options: Any) -> None:
    """Let torch compile each network of ``model`` at its first call; weights and their names do not change.

    Args:
        model: its child modules are its networks.
        options: of :func:`torch.compile`, such as ``mode="max-autotune"``.
    """
    import torch._functorch.config as config

    # one forward pass serves several backward passes, so none of them may overwrite what the forward pass saved
    config.donated_buffer = False
    # the compiler itself reads gradients of tensors that are not leaves
    warnings.filterwarnings("ignore", message="The .grad attribute of a Tensor that is not a leaf")
    for network in model.children():
        network.compile(**options)


def as_written() -> AbstractContextManager[None]:
    """Return a context in which nothing is compiled: compiling takes a minute, and sample sheets are rare."""
    context: AbstractContextManager[None] = torch.compiler.set_stance("force_eager")
    return context
