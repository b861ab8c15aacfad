"""How far a run is: its position, its speed, and the metrics of the current epoch."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import mindspore as ms

from mindcv.engine.checkpoints import REMEDY, TrainPosition
from mindcv.engine.progress_bar import progress_bar
from mindcv.engine.run import Run
from mindcv.io.bars import tqdm

_log = logging.getLogger("mindcv")


class Progress:
    """Counts the steps of a run, measures its speed, and shows a progress bar for each epoch.

    Where no bar is visible, as in a cluster's log, `log_line` stands in for it.

    The first step of a run compiles the graph and does not count into the speed.

    Args:
        run: The run, whose `step` records statistics on the device.
        position: Where the run begins; it may be in the middle of an epoch.
        on_metrics: Called with the metrics each time they are logged; None for nothing.

    Attributes:
        position: The present position.
        metrics: The metrics that were last logged, of this epoch or, until its first log, the one before, under their
            names in `metrics.jsonl`; empty before the first.
    """

    def __init__(self, run: Run, position: TrainPosition, on_metrics: Callable[[dict], None] | None = None):
        self.run = run
        self.position = position
        self.on_metrics = on_metrics
        self.metrics: dict = {}
        self._bar: Any = None  # the progress bar of the epoch
        self._compiled = self._validated = False
        self._epoch_began = self._timed_from = time.perf_counter()
        self._timed_since = position.step
        self._run_from, self._run_since = self._epoch_began, self._steps_done

    def begin_epoch(self, position: TrainPosition) -> None:
        """Begin an epoch, or go on with one at `position`; show its progress bar.

        At step 0 the statistics on the device are cleared.
        """
        self.position = position
        if position.step == 0:
            self.run.step.stats.reset()
        self._epoch_began = self._timed_from = time.perf_counter()
        self._timed_since = position.step
        title = f"epoch {position.epoch}/{self.run.config.epoch_size}"
        self._bar = progress_bar(self.run.steps, title, "step", self.run.distributed.is_main, initial=position.step)

    def advance(self, steps: int = 1) -> TrainPosition:
        """Count `steps` more steps of the epoch that `begin_epoch` began, and return the position after them.

        Only the count and the progress bar change; the caller logs by `log_metrics`, when `is_log_due`.
        """
        self.position = TrainPosition(self.position.epoch, self.position.step + steps)
        self._bar.update(steps)
        if not self._compiled and steps == 1:
            self._compiled = True
            self._timed_from, self._timed_since = time.perf_counter(), self.position.step
            self._run_from, self._run_since = self._timed_from, self._steps_done
            seconds = self._timed_from - self._epoch_began
            self._bar.clear()
            if ms.get_context("mode") == ms.GRAPH_MODE:
                _log.info("the graph was compiled and the first step made in %.1f s", seconds)
            else:
                _log.info("the first step was made in %.1f s", seconds)
            self._bar.refresh()
        return self.position

    def is_log_due(self) -> bool:
        """Whether the metrics are due at this position: every `log_interval` steps and at the epoch's end."""
        return self.position.step % self.run.config.log_interval == 0 or self.position.step == self.run.steps

    def log_metrics(self) -> None:
        """Read the statistics from the device, and set `metrics` to the epoch's metrics so far.

        They are shown beside the progress bar and passed to `on_metrics`; no file is written. The host waits for the
        device here.

        Raises:
            FloatingPointError: more steps in a row failed than are tolerated.
        """
        step, (epoch, done) = self.run.step, self.position
        stats = step.stats.read()
        if stats.gave_up_at:
            self.close()
            rate = self.run.rates[self._update(stats.gave_up_at)]
            before = f" and {step.skip_nonfinite} before it" if step.skip_nonfinite else ""
            raise FloatingPointError(
                f"the loss or its gradients at step {stats.gave_up_at} of epoch {epoch}{before} are not finite "
                f"(learning rate {rate:.3g}, the last finite loss {stats.last_loss:.4g}): {REMEDY}"
            )
        now = time.perf_counter()
        timed = done - self._timed_since
        speed = timed * self.run.images_a_step / max(now - self._timed_from, 1e-9) if timed else None
        rate = self.run.rates[self._update(done)]
        self.metrics = {
            "epoch": epoch,
            "step": self._steps_done,
            "loss": stats.mean_loss,
            "lr": rate,
            "grad_norm": stats.mean_grad_norm,
            "images_per_second": speed,
            "seconds": now - self._epoch_began,
            "skipped": stats.failed,
        }
        if step.loss_scale.skips_overflow:
            scale, _, overflows = step.loss_scale.state.asnumpy().tolist()
            self.metrics |= {"loss_scale": scale, "overflows": int(overflows)}
        if self._bar is not None:
            skipped = f", {stats.failed} skipped" if stats.failed else ""
            measured = "" if speed is None else f", {speed:.1f} images/s"
            self._bar.set_postfix_str(f"loss {stats.mean_loss:.4f}, lr {rate:.2e}{measured}{skipped}")
        if self.on_metrics is not None:
            self.on_metrics(self.metrics)

    def log_line(self) -> None:
        """Log the metrics that `log_metrics` read last, in one line, unless a progress bar shows them.

        Nothing is logged at an epoch's end, which has a line of its own.
        """
        if self._bar.disable and self.run.distributed.is_main and self.position.step < self.run.steps:
            metrics, speed = self.metrics, self.metrics["images_per_second"]
            _log.info(
                "epoch %s/%s, step %s/%s, loss %.4f, lr %.2e%s%s",
                metrics["epoch"], self.run.config.epoch_size, self.position.step, self.run.steps, metrics["loss"],
                metrics["lr"], f", {speed:.1f} images/s" if speed else "", self.time_left(),
            )  # fmt: skip

    def time_left(self) -> str:
        """Return the time that the rest of the run will take, such as ", 1:05:00 left"; "" if it is not known.

        It is estimated from the time of all steps so far, with what lies between them, apart from the first step and
        the first validation, which compile.
        """
        left, counted = self.run.total_steps - self._steps_done, self._steps_done - self._run_since
        if not (left > 0 and counted):
            return ""
        seconds = left * (time.perf_counter() - self._run_from) / counted
        return f", {tqdm.format_interval(seconds)} left"

    @contextmanager
    def validation(self) -> Iterator[None]:
        """Leave the `with` block, a validation, out of the estimate of `time_left` if it is the run's first."""
        began = time.perf_counter()
        yield
        if not self._validated:
            self._validated = True
            self._run_from += time.perf_counter() - began

    @property
    def _steps_done(self) -> int:
        """Steps from the beginning of the run to the present position."""
        return (self.position.epoch - 1) * self.run.steps + self.position.step

    def close(self) -> None:
        """Remove the epoch's progress bar."""
        if self._bar is not None:
            self._bar.close()

    def _update(self, step: int) -> int:
        """Return the index in `run.rates` of the update that `step`, from 1, of this epoch belongs to."""
        steps_before = (self.position.epoch - 1) * self.run.steps + step - 1
        return min(steps_before // self.run.step.accumulation, len(self.run.rates) - 1)
