"""Check that what a model computed is finite."""

import mindspore as ms
import numpy as np
from mindspore import nn


def require_finite(values, model: nn.Cell, what: str, remedy: str = "use another checkpoint") -> None:
    """Raise an error if `values` contains NaN or infinity.

    Args:
        values: A number or an array, or a list of numbers or of arrays of one shape.
        model: The model that computed them; its weights are checked to find the cause.
        what: Begins the message, as in "the validation loss is".
        remedy: Ends the message if a weight is not finite: what the user can do.

    Raises:
        FloatingPointError: A value is not finite; the message names the first weight that is not finite either, or
            says that the computation overflowed.
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
