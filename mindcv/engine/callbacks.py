"""What happens between the steps of a run: the progress bar, checkpoints, and all that an epoch ends with."""

import json
import logging
import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import mindspore as ms
from mindspore import Tensor
from mindspore.train import Callback

from mindcv.distributed.context import DistributedContext
from mindcv.distributed.signals import StopFlag, Stopped
from mindcv.engine.checkpoints import REMEDY, CheckpointManager, TrainPosition
from mindcv.engine.progress_bar import bar
from mindcv.engine.resume import TrainState
from mindcv.engine.step import TrainStep
from mindcv.io.files import append_line

_log = logging.getLogger("mindcv")


class Progress(Callback):
    """A bar for each epoch, with mean loss, learning rate, images per second and time left.

    The device is asked for its notes every `interval` steps and at the epoch's end, and not between. The run's first
    step, which compiles the graph, does not count into the speed.

    Args:
        step: Makes the steps and notes their losses.
        rates: The learning rate of every update.
        images_a_step: Of all workers.
        epochs, steps: Epochs of the run, and steps an epoch.
        interval: Steps between two looks.
        place: Where the run is; it may be in the middle of an epoch.
        visible: Whether this worker shows a bar.
        board: Called with the record of every look; None for nobody.

    Raises:
        FloatingPointError: more losses in a row than are tolerated were not finite.
    """

    def __init__(
        self,
        step: TrainStep,
        rates: list[float],
        images_a_step: int,
        epochs: int,
        steps: int,
        interval: int,
        position: TrainPosition,
        visible: bool = True,
        board: Callable[[dict], None] | None = None,
    ):
        super().__init__()
        self.step = step
        self.rates = rates
        self.images_a_step = images_a_step
        self.epochs = epochs
        self.steps = steps
        self.interval = interval
        self.epoch, self.done = position
        self.visible = visible
        self.board = board
        self.record: dict = {}
        self._began = self._timed_from = time.perf_counter()
        self._timed_since = self.done
        self._compiled = False

    @property
    def position(self) -> TrainPosition:
        return TrainPosition(self.epoch, self.done)

    def on_train_epoch_begin(self, run_context):
        epoch = run_context.original_args().cur_epoch_num
        if epoch != self.epoch or self.done == 0:
            self.epoch, self.done = epoch, 0
            self.step.reset_stats()
        self._began = self._timed_from = time.perf_counter()
        self._timed_since = self.done
        self._bar = bar(self.steps, f"epoch {epoch}/{self.epochs}", "step", self.visible, initial=self.done)

    def on_train_step_end(self, run_context):
        sinks = run_context.original_args().dataset_sink_mode
        made = self.steps - self.done if sinks else 1
        self.done += made
        self._bar.update(made)
        if not self._compiled and not sinks:
            self._compiled = True
            self._timed_from, self._timed_since = time.perf_counter(), self.done
            self.say(f"the graph was compiled and the first step made in {self._timed_from - self._began:.1f} s")
        if self.done % self.interval == 0 or self.done == self.steps:
            self.look()

    def look(self) -> None:
        """Ask the device for its notes, and show and record them."""
        seen = self.step.read_stats()
        if seen.gave_up_at:
            self.close()
            rate = self.rates[self._update(seen.gave_up_at)]
            row = f" and {self.step.skip_nonfinite} before it" if self.step.skip_nonfinite else ""
            raise FloatingPointError(
                f"the loss or its gradients at step {seen.gave_up_at} of epoch {self.epoch}{row} are not finite "
                f"(learning rate {rate:.3g}, the last finite loss {seen.last_loss:.4g}): {REMEDY}"
            )
        now = time.perf_counter()
        timed = self.done - self._timed_since
        speed = timed * self.images_a_step / max(now - self._timed_from, 1e-9) if timed else None
        rate = self.rates[self._update(self.done)]
        failed = f", {seen.failed} skipped" if seen.failed else ""
        if hasattr(self, "_bar"):
            self._bar.set_postfix_str(f"loss {seen.mean_loss:.4f}, lr {rate:.2e}, {speed or 0:.1f} images/s{failed}")
        self.record = {
            "epoch": self.epoch, "step": (self.epoch - 1) * self.steps + self.done, "loss": seen.mean_loss, "lr": rate,
            "grad_norm": seen.mean_norm, "images_per_second": speed, "seconds": now - self._began,
            "skipped": seen.failed,
        }  # fmt: skip
        if self.step.loss_scale.drops:
            scale, _, overflows = self.step.loss_scale.state.asnumpy().tolist()
            self.record |= {"loss_scale": scale, "overflows": int(overflows)}
        self.show(self.record)

    def show(self, record: dict) -> None:
        """Let the board have a record, if there is one."""
        if self.board is not None:
            self.board(record)

    def _update(self, step: int) -> int:
        """The update that `step` of this epoch belongs to, as an index of `rates`."""
        return min(((self.epoch - 1) * self.steps + step - 1) // self.step.accumulation, len(self.rates) - 1)

    def on_train_epoch_end(self, run_context):
        self.close()

    def close(self) -> None:
        if hasattr(self, "_bar"):
            self._bar.close()

    def say(self, message: str) -> None:
        """Log a line without breaking the bar."""
        self._bar.clear()
        _log.info(message)
        self._bar.refresh()


class Saving(Callback):
    """Checkpoints inside an epoch, and the end there that a signal or `--steps` asks for. After `Progress` in the list.

    Args:
        progress: Where the run is.
        state: What a checkpoint holds.
        keeper: Writes them; None on workers that do not write.
        interval: Steps between two checkpoints inside an epoch; 0 for none.
        last: The run's last step.
        wish: Whether a signal asked to stop.
        group: The workers that stop together.
        looks_always: Whether the workers ask the device after every step if one of them wishes to stop, and not only
            when they look at the progress.
    """

    def __init__(
        self,
        progress: Progress,
        state: TrainState,
        checkpoints: CheckpointManager | None,
        interval: int,
        last: TrainPosition,
        stop_flag: StopFlag,
        distributed: DistributedContext,
        looks_always: bool,
    ):
        super().__init__()
        self.progress = progress
        self.state = state
        self.checkpoints = checkpoints
        self.interval = interval
        self.last = last
        self.stop_flag = stop_flag
        self.distributed = distributed
        self.looks_always = looks_always
        self.saved: TrainPosition | None = None

    def on_train_step_end(self, run_context):
        done = self.progress.done
        if done == self.progress.steps:
            return  # the epoch's end is next, and saves
        ends = self.progress.position == self.last
        if ends or (self.interval and done % self.interval == 0):
            self.save()
        if self.asked_to_stop():
            self.stop()
        if ends:
            run_context.request_stop()

    def asked_to_stop(self) -> bool:
        """Whether all workers are to stop after this step; all of them get the same answer."""
        step, progress = self.progress.step, self.progress
        if self.distributed.size == 1:
            return bool(self.stop_flag.signal)
        if self.stop_flag.signal:
            step.stop_flag.set_data(Tensor(1.0, ms.float32))
        looks = self.looks_always or progress.done % progress.interval == 0 or self.saved == progress.position
        return looks and step.read_stats().stop > 0

    def stop_if_one_wishes(self) -> None:
        """Between epochs, where the workers wait for each other and need no step to agree: end the run if one is to."""
        if self.distributed.any(bool(self.stop_flag.signal)):
            self.stop()

    def save(self) -> None:
        """Write a checkpoint of this place, if this worker is the one that writes."""
        self.progress.look()
        self.saved = self.progress.position
        if self.checkpoints is not None:
            self.checkpoints.save(self.arrays(), self.progress.position)

    def arrays(self) -> dict:
        """What a checkpoint of this place holds."""
        return self.state.arrays(self.progress.position, self.checkpoints.best)

    def stop(self):
        """End the run, once this place is saved."""
        position = self.progress.position
        if self.saved != position:
            self.save()
        self.distributed.wait()
        self.progress.close()
        raise Stopped(
            f"stopped after step {position.step} of epoch {position.epoch}, and saved: go on with --resume",
            self.stop_flag,
        )

    def stop_if_alone(self) -> None:
        """End the run in the middle of a validation, unless other workers would wait for this one."""
        if self.distributed.size == 1:
            if self.progress.step.averages:
                self.progress.step.averages.restore_weights()
            self.stop()


class EpochEnd(Callback):
    """A checkpoint, validation, a line, and a line of `metrics.jsonl`. After `Saving` in the list.

    The checkpoint comes first, so that nothing of the epoch is lost whatever happens to the rest; the line of
    `metrics.jsonl` comes last, and says that the epoch's end is done.

    Args:
        progress: Where the epoch's figures are.
        saving: Writes the checkpoints.
        evaluate: Called when validation is due; gives its scores. None for no validation.
        figures: Each gives more of the record, on the worker that writes.
        val_interval, save_interval: Epochs between two validations, and between two checkpoints; the last epoch has
            both.
        journal: The file that gets one JSON object an epoch.
    """

    def __init__(
        self,
        progress: Progress,
        saving: Saving,
        evaluate: Callable[[], dict[str, float]] | None,
        figures: Iterable[Callable[[], dict]],
        val_interval: int,
        save_interval: int,
        metrics_file: Path,
    ):
        super().__init__()
        self.progress = progress
        self.saving = saving
        self.evaluate = evaluate
        self.figures = tuple(figures)
        self.val_interval = val_interval
        self.save_interval = save_interval
        self.metrics_file = metrics_file

    def on_train_epoch_end(self, run_context):
        if self.progress.done < self.progress.steps:
            return  # the run ends here, and the epoch does not
        epoch, inside = self.progress.epoch, self.saving.interval
        ends_an_interval = inside > 0 and self.progress.steps % inside == 0
        saves = self.is_last() or epoch % self.save_interval == 0 or ends_an_interval
        if saves:
            self.saving.save()
        self.saving.stop_if_one_wishes()
        self.finish(saves)
        if not self.is_last():
            self.saving.stop_if_one_wishes()
        run_context.original_args().train_network.set_train()

    def is_last(self) -> bool:
        return self.progress.epoch == self.saving.last.epoch

    def finish(self, saved: bool) -> None:
        """All that comes after the epoch's last step and, if it was `saved`, its checkpoint."""
        progress, checkpoints = self.progress, self.saving.checkpoints
        record = {**progress.record, "top_1": None, "top_5": None}
        if self.evaluate and (self.is_last() or progress.epoch % self.val_interval == 0):
            scores = self.evaluate()
            for prefix in ("", "ema_") if "ema_loss" in scores else ("",):
                record |= {
                    f"{prefix}val_loss": scores[f"{prefix}loss"],
                    f"{prefix}top_1": scores[f"{prefix}top_1"],
                    f"{prefix}top_5": scores.get(f"{prefix}top_5"),
                }
        if checkpoints is None:
            return
        for figures in self.figures:
            record |= figures()
        progress.show(record)
        score, best = record["top_1"], False
        if score is not None:
            if saved:
                checkpoints.rate(score)
            if score > checkpoints.best:
                best = checkpoints.save_best({} if saved else self.saving.arrays(), score)
        append_line(self.metrics_file, json.dumps(record))
        _log.info(self.line(record, best))

    def line(self, record: dict, best: bool) -> str:
        speed = record["images_per_second"]
        parts = [
            f"epoch {record['epoch']}/{self.progress.epochs}",
            f"loss {record['loss']:.4f}",
            f"lr {record['lr']:.2e}",
            f"{math.nan if speed is None else speed:.1f} images/s",
            f"{record['seconds']:.1f} s",
        ]
        if record["skipped"]:
            parts.append(f"{record['skipped']} steps skipped, not finite")
        if record.get("overflows"):
            parts.append(f"{record['overflows']} overflows so far, loss scale {record['loss_scale']:g}")
        if record["top_1"] is not None:
            parts.append(f"val loss {record['val_loss']:.4f}, top-1 {record['top_1']:.2f} %")
        if record["top_5"] is not None:
            parts.append(f"top-5 {record['top_5']:.2f} %")
        if "ema_top_1" in record:
            parts.append(f"averages' loss {record['ema_val_loss']:.4f}, top-1 {record['ema_top_1']:.2f} %")
        return ", ".join(parts) + (" (best)" if best else "")
