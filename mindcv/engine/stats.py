"""Statistics of an epoch's training steps, kept on the device until the host reads them."""

from typing import NamedTuple

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops


class StepStats(NamedTuple):
    """Statistics of an epoch's training steps so far.

    A step failed if its loss or its gradients were not finite, unless the loss scale handled that as an overflow.
    The order of the fields is the order of the numbers on the device and in a checkpoint.

    Attributes:
        loss_sum: Sum of the losses of the steps that did not fail.
        succeeded: Number of these steps.
        last_loss: Loss of the last step that did not fail, in this epoch or an earlier one; NaN before the first.
        failed_in_a_row: Steps that failed since the last update of the weights, in this epoch or an earlier one.
        failed: Number of failed steps.
        gave_up_at: First step, from 1, at which more steps had failed in a row than are tolerated; 0 if none.
        stop_requests: Number of workers that received a stop signal.
        grad_norm_sum: Sum of the gradients' global norms before clipping, over the updates where it is finite.
        grad_norms: Number of these updates.
    """

    loss_sum: float = 0.0
    succeeded: int = 0
    last_loss: float = float("nan")
    failed_in_a_row: int = 0
    failed: int = 0
    gave_up_at: int = 0
    stop_requests: int = 0
    grad_norm_sum: float = 0.0
    grad_norms: int = 0

    @property
    def mean_loss(self) -> float:
        """Mean loss of the steps that did not fail; NaN if there is none."""
        return self.loss_sum / self.succeeded if self.succeeded else float("nan")

    @property
    def mean_grad_norm(self) -> float | None:
        """Mean of the gradients' global norms; None before the first update."""
        return self.grad_norm_sum / self.grad_norms if self.grad_norms else None


class DeviceStats(nn.Cell):
    """Updates `StepStats` on the device after every training step.

    Args:
        tolerated_failures: Failed steps in a row after which training continues; one more sets `gave_up_at`.
    """

    def __init__(self, tolerated_failures: int = 0):
        super().__init__(auto_prefix=False)
        self.tolerated_failures = tolerated_failures
        self.fields = StepStats._fields
        self.values = Parameter(Tensor(StepStats(), ms.float32), name="notes", requires_grad=False)

    def construct(self, loss: Tensor, succeeded: Tensor, updated: Tensor, stop_requests: Tensor, grad_norm: Tensor):
        """Record one step.

        Args:
            loss: The step's loss, a scalar.
            succeeded: Whether loss and gradients are finite, or an overflow was handled by the loss scale, bool.
            updated: Whether the weights were updated, bool.
            stop_requests: Number of workers that received a stop signal.
            grad_norm: Global norm of the gradients before clipping; 0 where no update was due.
        """
        values = ops.unstack(self.values * 1)
        old = {name: values[i] for i, name in enumerate(self.fields)}  # a NamedTuple never finishes compiling here
        success = succeeded.astype(ms.float32)
        counted = old["succeeded"] + success
        failed = old["failed"] + 1 - success
        updates_weights = ops.logical_and(succeeded, updated).astype(ms.float32)
        in_a_row = (old["failed_in_a_row"] + 1 - success) * (1 - updates_weights)
        gives_up = ops.logical_and(in_a_row > self.tolerated_failures, old["gave_up_at"] == 0)
        has_norm = ops.logical_and(ops.isfinite(grad_norm), grad_norm > 0)
        new = {
            "loss_sum": old["loss_sum"] + ops.where(succeeded, loss, ops.zeros_like(loss)),
            "succeeded": counted,
            "last_loss": ops.where(succeeded, loss, old["last_loss"]),
            "failed_in_a_row": in_a_row,
            "failed": failed,
            "gave_up_at": ops.where(gives_up, counted + failed, old["gave_up_at"]),
            "stop_requests": stop_requests,
            "grad_norm_sum": old["grad_norm_sum"] + ops.where(has_norm, grad_norm, ops.zeros_like(grad_norm)),
            "grad_norms": old["grad_norms"] + has_norm.astype(ms.float32),
        }
        ops.assign(self.values, ops.stack([new[name] for name in self.fields]))

    def read(self) -> StepStats:
        """Return the statistics since the epoch began. The host waits for the device here."""
        types = StepStats.__annotations__.values()
        return StepStats(*(kind(value) for kind, value in zip(types, self.values.asnumpy().tolist(), strict=True)))

    def reset(self) -> None:
        """Begin a new epoch: clear all fields but `last_loss` and `failed_in_a_row`, which belong to the run."""
        old = self.read()
        new = StepStats(last_loss=old.last_loss, failed_in_a_row=old.failed_in_a_row)
        self.values.set_data(Tensor(np.array(new, np.float32)))
