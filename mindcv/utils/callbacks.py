"""`StateMonitor`, `ValCallback` and `CheckpointManager`, for `mindspore.Model.train` and `eval`."""

import logging
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from time import time

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore.train import Callback

from mindcv import weights
from mindcv.io.files import append_line
from mindcv.utils.training import AllReduceSum

_log = logging.getLogger("mindcv")


class CheckpointManager:
    """Writes checkpoints, and keeps the newest ("latest_k"), those with the highest metrics ("top_k"), or all (None).

    `ckpoint_filelist` has their paths, the oldest first, or with "top_k" (path, metric), the best first.
    """

    def __init__(self, ckpt_save_policy: str | None = None):
        if ckpt_save_policy not in (None, "top_k", "latest_k"):
            raise ValueError(f"ckpt_save_policy is {ckpt_save_policy!r}; it can be top_k, latest_k or None")
        self.ckpt_save_policy = ckpt_save_policy
        self.ckpoint_filelist: list[str | tuple[str, float]] = []

    def save_ckpoint(self, network: nn.Cell, num_ckpt: int = 10, metric=None, save_path: str = "") -> list | None:
        """Write a checkpoint, delete all but `num_ckpt`, and return `ckpoint_filelist`, or None without a policy.

        "top_k" needs a `metric`, and writes the best only. `network` may also be a list of parameters.
        """
        if self.ckpt_save_policy is None:
            _write(network, save_path)
            return None
        files = [*self.ckpoint_filelist, save_path]
        path_of: Callable = str
        kept = files[-num_ckpt:]
        if self.ckpt_save_policy == "top_k":
            if metric is None:
                raise ValueError("ckpt_save_policy top_k ranks checkpoints: pass a metric")
            files[-1], path_of = (save_path, float(metric)), itemgetter(0)
            kept = sorted(files, key=itemgetter(1), reverse=True)[:num_ckpt]
        dropped = set(map(path_of, files)) - set(map(path_of, kept))
        if save_path not in dropped:
            _write(network, save_path)
        for path in dropped:
            Path(path).unlink(missing_ok=True)
        self.ckpoint_filelist = kept
        return kept


def _write(network: nn.Cell | list[Parameter], path: str | Path) -> None:
    """Write the parameters of a cell, or a list of them, by name, as a checkpoint; create its folder."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    parameters = network.get_parameters() if isinstance(network, nn.Cell) else network
    weights.write(path, {parameter.name: parameter.asnumpy() for parameter in parameters})


@dataclass(eq=False, repr=False)
class StateMonitor(Callback):
    """Logs the loss, validates, and writes checkpoints and `result.log` in `ckpt_save_dir`, as MindCV's does.

    The checkpoints are `{model_name}-{epoch}_{step}.ckpt`, with the weights and, if the step keeps them, the averages
    under "ema."; `{model_name}_best.ckpt`; and `optim_{model_name}.ckpt`, the optimizer's state. Scores are 0 to 1.
    Intervals are in epochs, `log_interval` is in steps; `dataset_sink_mode` and `summary_dir` are not used.
    """

    model: ms.train.Model  # trains, as that of `create_trainer`
    model_name: str = ""
    model_ema: bool = False  # validate the averages
    last_epoch: int = 0  # epochs that were trained before
    dataset_sink_mode: bool = True
    dataset_val: ms.dataset.Dataset | None = None  # validation batches; None for no validation
    metric_name: tuple | list = ("accuracy",)  # in the order of the model's; the first one chooses the best checkpoint
    val_interval: int = 1
    val_start_epoch: int = 1
    save_best_ckpt: bool = True
    ckpt_save_dir: str = "./"
    ckpt_save_interval: int = 1
    ckpt_save_policy: str | None = None  # as for `CheckpointManager`
    ckpt_keep_max: int = 10
    summary_dir: str = "./"
    log_interval: int = 100
    rank_id: int | None = None  # number of this worker, None for a single one
    device_num: int | None = None  # number of workers

    def __post_init__(self):
        self.folder, self.manager = Path(self.ckpt_save_dir), CheckpointManager(self.ckpt_save_policy)
        self.sum_over_workers = AllReduceSum() if (self.device_num or 1) > 1 else None
        self.best, self.best_epoch = 0.0, 0
        if not self.rank_id:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "result.log").write_text("")
            self._log_row(["Epoch", "TrainLoss", *self.metric_name, "TrainTime", "EvalTime", "TotalTime"])

    def on_train_epoch_begin(self, run_context):
        self.epoch_start = self.log_start = time()

    def on_train_step_end(self, run_context):
        """Log the loss and the learning rate of the first and the last step, and every `log_interval` steps."""
        state, optimizer = run_context.original_args(), self.model.train_network.optimizer
        epoch, step = self.last_epoch + state.cur_epoch_num, (state.cur_step_num - 1) % state.batch_num + 1
        if step in (1, state.batch_num) or step % self.log_interval == 0:
            rate = optimizer.learning_rate[0] if optimizer.is_group_lr else optimizer.learning_rate
            rate = rate(ops.maximum(optimizer.global_step - 1, 0)) if optimizer.dynamic_lr else rate
            outputs = state.net_outputs
            self.loss = float(np.mean((outputs[0] if isinstance(outputs, (list, tuple)) else outputs).asnumpy()))
            _log.info(
                "Epoch: [%s/%s], batch: [%s/%s], loss: %.6f, lr: %.6f, time: %.6fs", epoch, state.epoch_num, step,
                state.batch_num, self.loss, np.ravel(rate.asnumpy())[0], time() - self.log_start,
            )  # fmt: skip
            self.log_start = time()

    def on_train_epoch_end(self, run_context):
        """Validate if it is due, and write the checkpoints that are due and a line of `result.log`."""
        state, step, train_end = run_context.original_args(), self.model.train_network, time()
        epoch, scores = self.last_epoch + state.cur_epoch_num, np.zeros(len(self.metric_name))
        if self.dataset_val is not None and epoch in range(self.val_start_epoch, epoch + 1, self.val_interval):
            scores = self.apply_eval(run_context)
            named = ", ".join(f"{name}: {score:.4%}" for name, score in zip(self.metric_name, scores, strict=True))
            _log.info("Validation %s, time: %.6fs", named, time() - train_end)
            if scores[0] > self.best:
                self.best, self.best_epoch = float(scores[0]), epoch
        if self.rank_id:
            return
        val_end, ema = time(), getattr(step, "ema", None)
        parameters = [*step.network.get_parameters(), *(ema.averages if ema else ())]
        if self.save_best_ckpt and self.best_epoch == epoch:
            _write(parameters, self.folder / f"{self.model_name}_best.ckpt")
        if epoch % self.ckpt_save_interval == 0 or epoch == state.epoch_num:
            _write(step.optimizer, self.folder / f"optim_{self.model_name}.ckpt")
            path = self.folder / f"{self.model_name}-{epoch}_{state.batch_num}.ckpt"
            _log.info("Saving model to %s", path)
            self.manager.save_ckpoint(parameters, self.ckpt_keep_max, scores[0], str(path))
        times = train_end - self.epoch_start, val_end - train_end, time() - self.epoch_start
        self._log_row([epoch, f"{self.loss:.6f}", *map("{:.4%}".format, scores), *map("{:.2f}".format, times)])

    def on_train_end(self, run_context):
        if self.best_epoch:
            _log.info("The best %s is: %.4f%% at epoch %s.", self.metric_name[0], 100 * self.best, self.best_epoch)

    def apply_eval(self, run_context) -> np.ndarray:
        """Return the metrics of `dataset_val`, float32, of the averages with `model_ema`; a mean over the workers."""
        ema = getattr(self.model.train_network, "ema", None)
        with ema.swap_weights() if self.model_ema and ema else nullcontext():
            scores = Tensor(list(self.model.eval(self.dataset_val, dataset_sink_mode=False).values()), ms.float32)
        return (self.sum_over_workers(scores) / self.device_num if self.sum_over_workers else scores).asnumpy()

    def _log_row(self, values: list) -> None:
        append_line(self.folder / "result.log", "".join(f"{value:<20}" for value in values))


class ValCallback(Callback):
    """Prints the time of every `log_interval` batches of an evaluation."""

    def __init__(self, log_interval: int = 100):
        self.log_interval, self.start = log_interval, time()

    def on_eval_step_end(self, run_context):
        state = run_context.original_args()
        if state.cur_step_num % self.log_interval == 0 or state.cur_step_num == state.batch_num:
            print(f"batch: {state.cur_step_num}/{state.batch_num}, time: {time() - self.start:.6f}s")
            self.start = time()
