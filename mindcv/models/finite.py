"""What a model computes is finite, or the error says why it is not."""

import mindspore as ms
import numpy as np
from mindspore import nn


def require_finite(values, model: nn.Cell, what: str, remedy: str = "use another checkpoint") -> None:
    """Raise FloatingPointError, naming the cause, if a value that `model` computed is NaN or infinite.

    Args:
        values: numbers or arrays of one shape.
        what: names the values at the beginning of the message, as in "the validation loss is".
        remedy: what the user can do where a weight of the model is not finite, the end of the message.
    """
    if np.isfinite(values).all():
        return
    for parameter in model.get_parameters():
        if not np.isfinite(parameter.astype(ms.float32).asnumpy()).all():
            raise FloatingPointError(f"{what} not finite: {parameter.name} holds NaN or infinite values: {remedy}")
    raise FloatingPointError(
        f"{what} not finite, though the weights are: the computation overflows; "
        "compute in float32 (--val_amp_level O0), or use other weights"
    )
