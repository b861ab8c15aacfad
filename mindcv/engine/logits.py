"""Check that what a model returns are logits."""

from typing import TypeVar

from mindspore import Tensor

Output = TypeVar("Output", bound=Tensor | tuple[Tensor, ...])


def require_logits(output: Output, num_classes: int | None) -> Output:
    """Return a model's output, or raise a ValueError if it is not (B, num_classes).

    Of a tuple, logits and auxiliary ones, the first is checked. `num_classes` None is not checked.
    """
    logits = output[0] if isinstance(output, tuple) else output
    if num_classes is not None and logits.shape[1:] != (num_classes,):
        raise ValueError(
            f"the model returned a tensor of shape {logits.shape}, wanted logits (B, {num_classes}): "
            "its last layer must have num_classes outputs"
        )
    return output
