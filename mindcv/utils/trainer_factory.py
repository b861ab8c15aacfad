"""`create_trainer`: a `mindspore.Model` over this project's training step."""

from mindspore import nn
from mindspore.train import Model

from mindcv.engine.loss_scale import START, LossScale, is_dynamic
from mindcv.errors import require_in_range
from mindcv.utils.runtime import auto_mixed_precision
from mindcv.utils.train_step import TrainStep


def get_metrics(num_classes: int) -> dict[str, nn.Metric]:
    """Return MindSpore's metrics "Top_1_Accuracy" and, with five classes or more, "Top_5_Accuracy", both 0 to 1."""
    metrics = {"Top_1_Accuracy": nn.Top1CategoricalAccuracy()}
    return metrics | {"Top_5_Accuracy": nn.Top5CategoricalAccuracy()} if num_classes >= 5 else metrics


def require_customized_train_step(
    ema: bool = False, clip_grad: bool = False, gradient_accumulation_steps: int = 1, amp_cast_list: str | None = None
) -> bool:
    """Return whether MindCV trains with a step of its own; `create_trainer` always does."""
    return bool(ema or clip_grad or gradient_accumulation_steps > 1 or amp_cast_list)


def create_trainer(
    network: nn.Cell, loss: nn.Cell, optimizer: nn.Cell, metrics: dict | set, amp_level: str, amp_cast_list: str | None,
    loss_scale_type: str, loss_scale: float = 1.0, drop_overflow_update: bool = False, ema: bool = False,
    ema_decay: float = 0.9999, clip_grad: bool = False, clip_value: float = 15.0, gradient_accumulation_steps: int = 1,
) -> Model:  # fmt: skip
    """Return a `mindspore.Model` that trains `network` by `TrainStep` and evaluates it by `metrics`.

    Args:
        network: Maps images to logits.
        loss: `loss(logits, labels)` returns a scalar.
        optimizer, ema, ema_decay, clip_grad, clip_value, gradient_accumulation_steps: As for `TrainStep`.
        metrics: As for `mindspore.Model`.
        amp_level, amp_cast_list: As for `auto_mixed_precision`.
        loss_scale_type: "fixed", "dynamic" (updates that overflow are skipped), or "auto": dynamic unless `amp_level`
            is "O0".
        loss_scale: Loss scale, at least 1; of a dynamic one the first, 65536 if this is 1.
        drop_overflow_update: Skip updates whose gradients overflow.

    Raises:
        ValueError: A value is out of range.
    """
    require_in_range("loss_scale", loss_scale, at_least=1)
    require_in_range("gradient_accumulation_steps", gradient_accumulation_steps, at_least=1)
    if loss_scale_type.lower() not in ("fixed", "dynamic", "auto"):
        raise ValueError(f"loss_scale_type is {loss_scale_type!r}; it can be fixed, dynamic or auto")
    dynamic = is_dynamic(loss_scale_type.lower(), amp_level, "float16")
    scale = LossScale(START if dynamic and loss_scale == 1 else loss_scale, dynamic, drop_overflow_update)
    auto_mixed_precision(network, amp_level, amp_cast_list)
    step = TrainStep(
        nn.WithLossCell(network, loss), optimizer, scale, ema, ema_decay, clip_grad, clip_value,
        gradient_accumulation_steps,
    )  # fmt: skip
    evaluation = nn.WithEvalCell(network, loss, add_cast_fp32=amp_level != "O0")
    return Model(step.set_train(), eval_network=evaluation, metrics=metrics, eval_indexes=[0, 1, 2])
