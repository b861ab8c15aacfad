"""What the line of an epoch says of the run, beside loss, learning rate and scores."""

import time

import numpy as np
from mindspore import Parameter
from mindspore.train import Callback

from mindcv import device
from mindcv.engine.dataloaders import validation_loader
from mindcv.engine.run import Run
from mindcv.engine.step import TrainStep
from mindcv.insight import AttentionMonitor

OBSERVED = 8  # images at most: an epoch's look at them takes about as long as three steps on as many


class DataWait(Callback):
    """How long the host waited for batches in an epoch. After all callbacks that act after a step in the list."""

    def __init__(self):
        super().__init__()
        self.seconds: float | None = None
        self._since = 0.0

    def on_train_epoch_begin(self, run_context):
        self.seconds, self._since = 0.0, time.perf_counter()

    def on_train_step_begin(self, run_context):
        self.seconds += time.perf_counter() - self._since

    def on_train_step_end(self, run_context):
        self._since = time.perf_counter()

    def on_train_epoch_end(self, run_context):
        if run_context.original_args().dataset_sink_mode:
            self.seconds = None  # the device takes its batches itself

    def __call__(self) -> dict:
        """ "data_wait" in seconds; None where nothing was measured."""
        return {"data_wait": self.seconds}


def norms(step: TrainStep) -> dict:
    """ "param_norm", of all the model's parameters together, and "ema_gap": see `ModelEMA.gap`."""
    figures = {"param_norm": sum(map(_sum_of_squares, step.model.get_parameters())) ** 0.5}
    if step.averages is not None:
        figures["ema_gap"] = step.averages.relative_distance()
    return figures


def memory() -> dict:
    """ "peak_memory" of the device so far, in bytes; on a CPU that of the process."""
    return {"peak_memory": device.peak_memory()}


def observer(run: Run) -> AttentionMonitor:
    """Gates and non-locality, through the same few images again and again: validation's if there is any."""
    loader = validation_loader(run.config, run.validation or run.training)
    [images, _labels] = next(loader.create_tuple_iterator(num_epochs=1, output_numpy=True))
    return AttentionMonitor(run.model, images[:OBSERVED])


def _sum_of_squares(parameter: Parameter) -> float:
    return float(np.square(parameter.asnumpy(), dtype=np.float64).sum())
