"""The update of the networks by their losses: gradients, their average over processes, their guard, the step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, overload

import torch
from torch import Tensor, nn

from mien.errors import MienError
from mien.models.base import Losses, Model
from mien.training.marks import GRADIENTS, part

if TYPE_CHECKING:
    from lightning_fabric import Fabric

PATIENCE = 50  # non-finite steps in a row after which a training ends


class Diverged(MienError):
    """Every recent step was non-finite."""


class Update:
    """Moves the players of a model by the losses of its training step.

    A call ``update({("encoder", "decoder"): loss_1, "critic": loss_2}, term=value)`` takes every gradient before any
    step, so one forward pass serves all players. Players that the same loss moves share one backward pass. A loss
    moves only the players in its key, because gradients are taken by parameter. A sequential algorithm calls the
    update several times in a training step.

    Only this class averages gradients over processes, skips (and counts) a step with a non-finite gradient, and clips
    gradients and weights.

    Args:
        model: each of its ``players`` has an optimizer of its own.
        fabric: for the average over processes.

    Attributes:
        terms: scalars of the last step by name, for the log, with ``gradient_norm``.
        on_skip: called with the terms and losses of a step that was skipped.
    """

    def __init__(self, model: Model, fabric: Fabric):
        self.model, self.fabric = model, fabric
        self.parameters: dict[str, list[nn.Parameter]] = {
            name: [p for p in model.get_submodule(name).parameters() if p.requires_grad] for name in model.players
        }
        self.optimizers = {name: model.optimizer(p) for name, p in self.parameters.items()}
        self.base_lr = {n: [g["lr"] for g in o.param_groups] for n, o in self.optimizers.items()}
        self.terms: dict[str, Tensor] = {}
        self.skipped = 0  # steps in a row without a finite gradient
        self.on_skip: Callable[[Mapping[str, float]], None] = lambda terms: None

    def set_lr(self, factor: float) -> None:
        """Set every learning rate to ``factor`` times the rate that the model's optimizer began with."""
        for name, optimizer in self.optimizers.items():
            for group, lr in zip(optimizer.param_groups, self.base_lr[name], strict=True):
                group["lr"] = lr * factor

    @overload
    def __call__(self, losses: Losses, /, **terms: Tensor | float) -> None: ...

    @overload
    def __call__(
        self,
        losses: Losses,
        /,
        *,
        clip_weights: Mapping[str, float] | None = None,
        clip_gradients: Mapping[str, float] | None = None,
        **terms: Tensor | float,
    ) -> None: ...

    def __call__(
        self,
        losses: Losses,
        /,
        *,
        clip_weights: Any = None,  # the signatures above have the type
        clip_gradients: Any = None,
        **terms: Tensor | float,
    ) -> None:
        """Move each named player along the gradient of its losses.

        Args:
            losses: scalars by the player or players they move; a player may occur in several.
            clip_weights: the bound of each player's weights, which are clipped to ± it after the step; 0 does not clip.
            clip_gradients: the bound of each player's gradients, clipped to ± it before the step; 0 does not clip.
            **terms: scalars for the log.

        Raises:
            Diverged: after :data:`PATIENCE` steps in a row without a finite gradient.
        """
        for name, value in terms.items():
            # filled on the device: copying a number to it makes the host wait
            self.terms[name] = value.detach() if isinstance(value, Tensor) else self._filled(value)
        try:
            self._move(losses, clip_weights or {}, clip_gradients or {})
        finally:
            # autograd adds to gradients that exist
            for name in self._names(losses):
                for parameter in self.parameters[name]:
                    parameter.grad = None
        # autocast keeps the weights it has cast until its region ends: a second update in a step would use old weights
        torch.clear_autocast_cache()

    @staticmethod
    def _names(losses: Losses) -> list[str]:
        """Return the players that are moved, each once."""
        return list(dict.fromkeys(name for key in losses for name in ((key,) if isinstance(key, str) else key)))

    def _move(
        self,
        losses: Losses,
        clip_weights: Mapping[str, float],
        clip_gradients: Mapping[str, float],
    ) -> None:
        with part(GRADIENTS):
            gradients = self._gradients(losses)
            finite = self._finite(losses, gradients)
        if not finite:
            return
        for name, bound in clip_gradients.items():
            if bound:
                torch._foreach_clamp_min_(gradients[name], -bound)
                torch._foreach_clamp_max_(gradients[name], bound)
        for name in gradients:
            self.optimizers[name].step()
        for name, bound in clip_weights.items():
            if bound:
                with torch.no_grad():
                    weights: list[Tensor] = list(self.parameters[name])
                    torch._foreach_clamp_min_(weights, -bound)
                    torch._foreach_clamp_max_(weights, bound)

    def _filled(self, value: float) -> Tensor:
        return torch.full((), float(value), device=self.fabric.device)

    def _gradients(self, losses: Losses) -> dict[str, list[Tensor]]:
        """Return the summed gradients of each player, averaged over processes; they are its parameters' ``grad``."""
        for i, (key, loss) in enumerate(losses.items()):
            names = (key,) if isinstance(key, str) else key
            parameters = [p for name in names for p in self.parameters[name]]
            # by parameter: autograd visits only the operations that lead to these players. It sums the gradients of
            # several losses, and gives each gradient its parameter's memory layout, which fused optimizers presume
            torch.autograd.backward(loss, inputs=parameters, retain_graph=i < len(losses) - 1)
        gradients: dict[str, list[Tensor]] = {}
        for name in self._names(losses):
            # A parameter that no loss reaches has no gradient, and its optimizer leaves it in place. With a gradient of
            # zero, Adam's momentum would still move it.
            gradients[name] = [p.grad for p in self.parameters[name] if p.grad is not None]
        if self.fabric.world_size > 1:
            self._average(gradients)
        return gradients

    def _average(self, gradients: Mapping[str, list[Tensor]]) -> None:
        """Average over processes, in one message for all players."""
        flat = [g for player in gradients.values() for g in player]
        joined = torch.cat([g.flatten() for g in flat])
        averaged = self.fabric.all_reduce(joined, reduce_op="mean")
        assert isinstance(averaged, Tensor)
        for gradient, values in zip(flat, torch.split(averaged, [g.numel() for g in flat]), strict=True):
            gradient.copy_(values.view_as(gradient))

    def _finite(self, losses: Losses, gradients: Mapping[str, list[Tensor]]) -> bool:
        """Return whether the step may be taken; on a GPU decide on the device, without waiting for it."""
        flat = [g for values in gradients.values() for g in values]
        # the norm of all gradients is finite if and only if every gradient is; averaged, so all processes agree
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(flat)))
        self.terms["gradient_norm"] = norm
        if norm.device.type == "cuda":
            bad = (~torch.isfinite(norm)).float().view(())
            for name in gradients:
                # a fused optimizer skips the step on the device where this is set
                self.optimizers[name].found_inf = bad  # type: ignore[attr-defined]
            return True
        if math.isfinite(norm):
            self.skipped = 0
            return True
        self.report_skip({str(k): v for k, v in losses.items()})
        return False

    def report_skip(self, losses: Mapping[str, Tensor]) -> None:
        """Count a skipped step and call ``on_skip``; raise Diverged after many in a row."""
        self.skipped += 1
        values = {k: float(v.detach()) for k, v in {**self.terms, **losses}.items()}
        if self.skipped >= PATIENCE:
            text = ", ".join(f"{k} {v:.4g}" for k, v in values.items())
            raise Diverged(
                f"training diverged: {PATIENCE} steps in a row without a finite gradient ({text}): "
                "lower the learning rate (--set lr=…) and start again with another --out"
            )
        self.on_skip(values)
