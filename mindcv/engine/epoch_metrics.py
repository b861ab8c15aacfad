"""The metrics of an epoch besides loss and learning rate, and the line that summarises an epoch."""

import logging
import time
from collections.abc import Iterable, Iterator

import numpy as np
from mindspore import Parameter

from mindcv import device
from mindcv.engine.dataloaders import validation_loader
from mindcv.engine.run import Run
from mindcv.engine.step import TrainStep
from mindcv.insight import AttentionMonitor

_log = logging.getLogger("mindcv")

MONITORED_IMAGES = 8  # at most; monitoring them once an epoch takes about as long as three steps on as many images


class DataWait:
    """Measures how long the host waits for batches in an epoch.

    Attributes:
        seconds: Time waited in the current epoch; None where it is not measured, as when data sink into the device.
    """

    def __init__(self):
        self.seconds: float | None = None

    def timed(self, batches: Iterable) -> Iterator:
        """Yield the batches of an epoch, and add up in `seconds`, from 0, the time that each takes to arrive."""
        self.seconds = 0.0
        iterator = iter(batches)
        while True:
            began = time.perf_counter()
            try:
                batch = next(iterator)
            except StopIteration:
                return
            self.seconds += time.perf_counter() - began
            yield batch


def norms(step: TrainStep) -> dict[str, float]:
    """Return "param_norm", the L2 norm of all the model's parameters, and with moving averages "ema_gap".

    "ema_gap" is `ModelEMA.relative_distance`.
    """
    metrics = {"param_norm": sum(map(_sum_of_squares, step.model.get_parameters())) ** 0.5}
    if step.ema is not None:
        metrics["ema_gap"] = step.ema.relative_distance()
    return metrics


def memory() -> dict[str, int]:
    """Return "peak_memory" in bytes: the device's peak so far, on a CPU the process's."""
    return {"peak_memory": device.peak_memory()}


def attention_monitor(run: Run) -> AttentionMonitor | None:
    """Return a monitor of gates and non-locality; each call of it, without arguments, measures them anew.

    It always uses the same images, at most 8 (`MONITORED_IMAGES`): validation images, or training images, transformed
    as for validation, if there are none. For a model without attention maps it is None, and a line is logged.
    """
    if not hasattr(run.model, "attention_inputs"):
        _log.info("log_gates: %s has no attention maps, so there are no gates and distances to log", run.config.model)
        return None
    loader = validation_loader(run.config, run.validation or run.training)
    [images, _labels] = next(loader.create_tuple_iterator(num_epochs=1, output_numpy=True))
    return AttentionMonitor(run.model, images[:MONITORED_IMAGES])


def score_metrics(scores: dict[str, float]) -> dict[str, float | None]:
    """Return validation scores under their names in `metrics.jsonl`; those of the averages begin with "ema_".

    Args:
        scores: "loss", "top_1" and, with five classes or more, "top_5"; with moving averages also "ema_loss" and so on.

    Returns:
        "val_loss", and in per cent "top_1" and "top_5", the latter None with fewer than five classes; and the same of
        the averages if `scores` has them.
    """
    metrics: dict[str, float | None] = {}
    for prefix in ("", "ema_") if "ema_loss" in scores else ("",):
        metrics |= {
            f"{prefix}val_loss": scores[f"{prefix}loss"],
            f"{prefix}top_1": scores[f"{prefix}top_1"],
            f"{prefix}top_5": scores.get(f"{prefix}top_5"),
        }
    return metrics


def epoch_line(metrics: dict, epochs: int, is_best: bool, time_left: str = "") -> str:
    """Return the line that summarises an epoch, for the log.

    Args:
        metrics: The epoch's record in `metrics.jsonl`; "top_1" and "top_5" are None if it was not validated, and
            "images_per_second" if its only step was the one that compiles.
        epochs: Number of epochs of the run.
        is_best: Whether the line ends with "(best)".
        time_left: What `Progress.time_left` returns.
    """
    speed, waited = metrics["images_per_second"], metrics.get("data_wait")
    share = "" if waited is None else f" ({waited / metrics['seconds']:.0%} of it waiting for data)"
    parts = [
        f"epoch {metrics['epoch']}/{epochs}",
        f"loss {metrics['loss']:.4f}",
        f"lr {metrics['lr']:.2e}",
        *([] if speed is None else [f"{speed:.1f} images/s"]),
        f"{metrics['seconds']:.1f} s{share}{time_left}",
    ]
    if metrics["skipped"]:
        parts.append(f"{metrics['skipped']} steps skipped, not finite")
    if metrics.get("overflows"):
        parts.append(f"{metrics['overflows']} overflows so far, loss scale {metrics['loss_scale']:g}")
    if metrics["top_1"] is not None:
        parts.append(f"val loss {metrics['val_loss']:.4f}, top-1 {metrics['top_1']:.2f} %")
    if metrics["top_5"] is not None:
        parts.append(f"top-5 {metrics['top_5']:.2f} %")
    if "ema_top_1" in metrics:
        parts.append(f"EMA loss {metrics['ema_val_loss']:.4f}, top-1 {metrics['ema_top_1']:.2f} %")
    return ", ".join(parts) + (" (best)" if is_best else "")


def _sum_of_squares(parameter: Parameter) -> float:
    return float(np.square(parameter.asnumpy(), dtype=np.float64).sum())
