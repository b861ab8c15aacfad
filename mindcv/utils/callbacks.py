"""`StateMonitor` and `ValCallback`: what happens during `mindspore.Model.train` and `eval`."""

import logging
from contextlib import nullcontext
from pathlib import Path
from time import time

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn
from mindspore.train import Callback

from mindcv.io.files import append_line
from mindcv.utils.checkpoint_manager import CheckpointManager, write_parameters
from mindcv.utils.runtime import AllReduceSum

_log = logging.getLogger("mindcv")


class StateMonitor(Callback):
    """Logs the loss, validates, and writes checkpoints and `result.log` in `ckpt_save_dir`, as MindCV's does.

    The checkpoints are `{model_name}-{epoch}_{step}.ckpt`, with the weights and, if the step keeps them, the averages
    under "ema."; `{model_name}_best.ckpt`; and `optim_{model_name}.ckpt`, the optimizer's state. Scores are 0 to 1.

    Args:
        model: The `mindspore.Model` that trains, as of `create_trainer`.
        model_name: First part of the files' names.
        model_ema: Validate the averages.
        last_epoch: Epochs that were trained before.
        dataset_val: Validation batches; None for no validation.
        metric_name: Names of the model's metrics, in their order; the first one says which checkpoint is the best.
        val_interval, val_start_epoch: Epochs between two validations, and that of the first.
        save_best_ckpt: Write `{model_name}_best.ckpt`.
        ckpt_save_dir, ckpt_save_interval, ckpt_save_policy, ckpt_keep_max: Folder of the files, epochs between two
            checkpoints, and which and how many to keep, as for `CheckpointManager`.
        log_interval: Steps between two lines of the log.
        rank_id, device_num: Number of this worker, and of all; None for a single one.
        dataset_sink_mode, summary_dir: Not used; there are no summaries.
    """

    def __init__(
        self, model: ms.train.Model, model_name: str = "", model_ema: bool = False, last_epoch: int = 0,
        dataset_sink_mode: bool = True, dataset_val: ms.dataset.Dataset | None = None, metric_name=("accuracy",),
        val_interval: int = 1, val_start_epoch: int = 1, save_best_ckpt: bool = True, ckpt_save_dir: str = "./",
        ckpt_save_interval: int = 1, ckpt_save_policy: str | None = None, ckpt_keep_max: int = 10,
        summary_dir: str = "./", log_interval: int = 100, rank_id: int | None = None, device_num: int | None = None,
    ):  # fmt: skip
        super().__init__()
        self.model, self.model_name, self.model_ema, self.last_epoch = model, model_name, model_ema, last_epoch
        self.dataset_val, self.metric_name = dataset_val, list(metric_name)
        self.val_interval, self.val_start_epoch, self.log_interval = val_interval, val_start_epoch, log_interval
        self.folder, self.ckpt_save_interval, self.ckpt_keep_max = (
            Path(ckpt_save_dir),
            ckpt_save_interval,
            ckpt_keep_max,
        )
        self.save_best_ckpt, self.manager = save_best_ckpt, CheckpointManager(ckpt_save_policy)
        self.is_main, self.device_num = not rank_id, device_num or 1
        self.sum_over_workers = AllReduceSum() if self.device_num > 1 else None
        self.best, self.best_epoch = 0.0, 0
        if self.is_main:
            self.folder.mkdir(parents=True, exist_ok=True)
            columns = ["Epoch", "TrainLoss", *self.metric_name, "TrainTime", "EvalTime", "TotalTime"]
            (self.folder / "result.log").write_text(_as_row(columns) + "\n")

    def on_train_epoch_begin(self, run_context):
        self.epoch_start = self.log_start = time()

    def on_train_step_end(self, run_context):
        """Log the loss and the learning rate of the first and the last step, and every `log_interval` steps."""
        state = run_context.original_args()
        epoch, step = self.last_epoch + state.cur_epoch_num, (state.cur_step_num - 1) % state.batch_num + 1
        if step in (1, state.batch_num) or step % self.log_interval == 0:
            _log.info(
                "Epoch: [%s/%s], batch: [%s/%s], loss: %.6f, lr: %.6f, time: %.6fs", epoch, state.epoch_num, step,
                state.batch_num, _loss(state), _last_lr(_optimizer(state)), time() - self.log_start,
            )  # fmt: skip
            self.log_start = time()

    def on_train_epoch_end(self, run_context):
        """Validate if it is due, and write the checkpoints and a line of `result.log`."""
        state = run_context.original_args()
        epoch, train_end, scores = self.last_epoch + state.cur_epoch_num, time(), np.zeros(len(self.metric_name))
        since_first = epoch - self.val_start_epoch
        if self.dataset_val is not None and since_first >= 0 and since_first % self.val_interval == 0:
            scores = self.apply_eval(run_context)
            named = ", ".join(f"{name}: {score:.4%}" for name, score in zip(self.metric_name, scores, strict=True))
            _log.info("Validation %s, time: %.6fs", named, time() - train_end)
            if scores[0] > self.best:
                self.best, self.best_epoch = float(scores[0]), epoch
        val_end = time()
        if self.is_main:
            self._save(state, epoch, scores[0])
            times = train_end - self.epoch_start, val_end - train_end, time() - self.epoch_start
            row = [epoch, f"{_loss(state):.6f}", *(f"{score:.4%}" for score in scores), *(f"{t:.2f}" for t in times)]
            append_line(self.folder / "result.log", _as_row(row))

    def on_train_end(self, run_context):
        if self.best_epoch:
            _log.info("The best validation %s is: %.4f%% at epoch %s.",
                      self.metric_name[0], 100 * self.best, self.best_epoch)  # fmt: skip

    def apply_eval(self, run_context) -> np.ndarray:
        """Return the metrics of `dataset_val`, float32, of the averages with `model_ema`; a mean over the workers."""
        ema = _found(run_context.original_args().train_network, "ema")
        with ema.swap_weights() if self.model_ema and ema else nullcontext():
            scores = Tensor(list(self.model.eval(self.dataset_val, dataset_sink_mode=False).values()), ms.float32)
        if self.sum_over_workers:
            scores = self.sum_over_workers(scores) / self.device_num
        return scores.asnumpy()

    def _save(self, state, epoch: int, score: float) -> None:
        """Write the checkpoints that are due at the end of `epoch`."""
        contents = _Contents(state.train_network)
        if self.save_best_ckpt and self.best_epoch == epoch:
            write_parameters(contents, self.folder / f"{self.model_name}_best.ckpt")
        if epoch % self.ckpt_save_interval == 0 or epoch == state.epoch_num:
            write_parameters(_optimizer(state), self.folder / f"optim_{self.model_name}.ckpt")
            path = self.folder / f"{self.model_name}-{epoch}_{state.batch_num}.ckpt"
            _log.info("Saving model to %s", path)
            self.manager.save_ckpoint(contents, self.ckpt_keep_max, score, str(path))


class ValCallback(Callback):
    """Prints the time of every `log_interval` batches of an evaluation."""

    def __init__(self, log_interval: int = 100):
        super().__init__()
        self.log_interval, self.start = log_interval, time()

    def on_eval_step_end(self, run_context):
        state = run_context.original_args()
        if state.cur_step_num % self.log_interval == 0 or state.cur_step_num == state.batch_num:
            print(f"batch: {state.cur_step_num}/{state.batch_num}, time: {time() - self.start:.6f}s")
            self.start = time()


class _Contents:
    """What a checkpoint of a training network holds: the parameters of the network and its averages, if it has any."""

    def __init__(self, train_network: nn.Cell):
        *_, network = _layers(train_network)
        ema = _found(train_network, "ema")
        self.parameters = [*network.get_parameters(), *(ema.averages if ema else ())]

    def get_parameters(self) -> list[Parameter]:
        return self.parameters


def _layers(cell: nn.Cell) -> list[nn.Cell]:
    """Return `cell` and the networks that it wraps, one in the other, as attributes `network`."""
    inner = getattr(cell, "network", None)
    return [cell, *_layers(inner)] if isinstance(inner, nn.Cell) else [cell]


def _found(train_network: nn.Cell, name: str):
    """Return the attribute `name` of a training network or of a network that it wraps; None if all lack it."""
    return next((found for cell in _layers(train_network) if (found := getattr(cell, name, None)) is not None), None)


def _optimizer(state) -> nn.Optimizer:
    return state.optimizer or _found(state.train_network, "optimizer")


def _loss(state) -> float:
    loss = state.net_outputs[0] if isinstance(state.net_outputs, (list, tuple)) else state.net_outputs
    return float(np.mean(loss.asnumpy()))


def _last_lr(optimizer: nn.Optimizer) -> float:
    """Return the learning rate of an optimizer's last update, of its first group."""
    rate = optimizer.learning_rate[0] if optimizer.is_group_lr else optimizer.learning_rate
    if optimizer.dynamic_lr:
        rate = rate(Tensor([max(int(optimizer.global_step.asnumpy()[0]) - 1, 0)], ms.int32))
    return float(np.ravel(rate.asnumpy())[0])


def _as_row(values: list) -> str:
    return "".join(f"{value:<20}" for value in values)
