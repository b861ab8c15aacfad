"""What happens between the steps of a run: the progress bar, and all that an epoch ends with."""

import json
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from mindspore import Tensor
from mindspore.train import Callback
from tqdm import tqdm

from mindcv.engine.checkpoints import Keeper
from mindcv.engine.resume import RunState
from mindcv.engine.step import TrainStep

_log = logging.getLogger("mindcv")


class Progress(Callback):
    """A bar for each epoch, with mean loss, learning rate, images per second and time left.

    The device is asked for its loss every `interval` steps and at the epoch's end, and not between. The run's first
    step, which compiles the graph, does not count into the speed.

    Raises:
        FloatingPointError: a loss that is not finite.
    """

    def __init__(self, step: TrainStep, rates: list[float], images_a_step: int, epochs: int, interval: int):
        super().__init__()
        self.step = step
        self.rates = rates
        self.images_a_step = images_a_step
        self.epochs = epochs
        self.interval = interval
        self.record: dict = {}
        self._compiled = False
        self._last_finite = math.nan

    def on_train_epoch_begin(self, run_context):
        params = run_context.original_args()
        self.step.loss_sum.set_data(Tensor(np.float32(0)))
        self._began = self._timed_from = time.perf_counter()
        self._untimed = 0
        self._bar = tqdm(
            total=params.batch_num, desc=f"epoch {params.cur_epoch_num}/{self.epochs}",
            unit="step", disable=None, leave=False,
        )  # fmt: skip
        self._done = 0

    def on_train_step_end(self, run_context):
        params = run_context.original_args()
        step = params.batch_num if params.dataset_sink_mode else (params.cur_step_num - 1) % params.batch_num + 1
        self._bar.update(step - self._done)
        self._done = step
        if not self._compiled and not params.dataset_sink_mode:
            self._compiled = True
            self._timed_from, self._untimed = time.perf_counter(), step
            self.say(f"the graph was compiled and the first step made in {self._timed_from - self._began:.1f} s")
        if step % self.interval == 0 or step == params.batch_num:
            self._look(params.cur_epoch_num, params.batch_num)

    def _look(self, epoch: int, steps: int):
        loss = float(self.step.loss_sum.asnumpy()) / self._done
        update = (epoch - 1) * (steps // self.step.accumulation) + (self._done - 1) // self.step.accumulation
        rate = self.rates[min(update, len(self.rates) - 1)]
        if not math.isfinite(loss):
            self._bar.close()
            raise FloatingPointError(
                f"the loss is {loss} at step {self._done} of epoch {epoch}, learning rate {rate:.3g}; the mean before "
                f"was {self._last_finite:.4g}: lower --lr, lengthen --warmup_epochs or pass --clip_grad True"
            )
        self._last_finite = loss
        now = time.perf_counter()
        speed = (self._done - self._untimed) * self.images_a_step / max(now - self._timed_from, 1e-9)
        self._bar.set_postfix_str(f"loss {loss:.4f}, lr {rate:.2e}, {speed:.1f} images/s")
        self.record = {
            "epoch": epoch, "step": (epoch - 1) * steps + self._done, "loss": loss, "lr": rate,
            "images_per_second": speed, "seconds": now - self._began,
        }  # fmt: skip

    def on_train_epoch_end(self, run_context):
        self._bar.close()

    def say(self, message: str):
        """Log a line without breaking the bar."""
        self._bar.clear()
        _log.info(message)
        self._bar.refresh()


class EpochEnd(Callback):
    """Validation, a line, a line of `metrics.jsonl` and checkpoints, after `Progress` in the list of callbacks.

    Args:
        progress: Where the epoch's figures are.
        keeper: Writes the checkpoints.
        state: What they hold.
        evaluate: Called when validation is due; gives its scores. None for no validation.
        val_interval, save_interval: Epochs between two validations, and between two checkpoints; the last epoch has
            both.
        journal: The file that gets one JSON object an epoch.
    """

    def __init__(
        self,
        progress: Progress,
        keeper: Keeper,
        state: RunState,
        evaluate: Callable[[], dict[str, float]] | None,
        val_interval: int,
        save_interval: int,
        journal: Path,
    ):
        super().__init__()
        self.progress = progress
        self.keeper = keeper
        self.state = state
        self.evaluate = evaluate
        self.val_interval = val_interval
        self.save_interval = save_interval
        self.journal = journal

    def on_train_epoch_end(self, run_context):
        params = run_context.original_args()
        epoch, last = params.cur_epoch_num, params.cur_epoch_num == self.progress.epochs
        record = {**self.progress.record, "top_1": None, "top_5": None}
        if self.evaluate and (last or epoch % self.val_interval == 0):
            scores = self.evaluate()
            params.train_network.set_train()
            record |= {"val_loss": scores["loss"], "top_1": scores["top_1"], "top_5": scores.get("top_5")}
        score = record["top_1"]
        arrays = self.state.arrays(epoch, self.keeper.best if score is None else max(self.keeper.best, score))
        best = score is not None and self.keeper.save_best(arrays, score)
        with self.journal.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        if last or epoch % self.save_interval == 0:
            self.keeper.save(arrays, epoch, params.batch_num, score)
        _log.info(self.line(record, best))

    def line(self, record: dict, best: bool) -> str:
        parts = [
            f"epoch {record['epoch']}/{self.progress.epochs}",
            f"loss {record['loss']:.4f}",
            f"lr {record['lr']:.2e}",
            f"{record['images_per_second']:.1f} images/s",
            f"{record['seconds']:.1f} s",
        ]
        if record["top_1"] is not None:
            parts.append(f"val loss {record['val_loss']:.4f}, top-1 {record['top_1']:.2f} %")
        if record["top_5"] is not None:
            parts.append(f"top-5 {record['top_5']:.2f} %")
        return ", ".join(parts) + (" (best)" if best else "")
