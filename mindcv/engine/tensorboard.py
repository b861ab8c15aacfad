"""Event files with a run's metrics for TensorBoard."""

from pathlib import Path

import numpy as np


def summary_writer() -> type:
    """Return tensorboardX's `SummaryWriter`. Raises ValueError if tensorboardX is not installed."""
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        raise ValueError(
            "tensorboard: event files are written by tensorboardX, which is not here: pip install tensorboardX"
        ) from None
    return SummaryWriter


class TensorBoardWriter:
    """Writes the metrics of a run to event files, one curve for each number.

    Args:
        folder: Folder of the event files; it is created if missing.
        step: Number of steps that the run has made before; TensorBoard hides what was written of later steps.
    """

    def __init__(self, folder: Path, step: int = 0):
        self.writer = summary_writer()(str(folder), purge_step=step + 1 if step else None)

    def __call__(self, record: dict) -> None:
        """Write a record of `metrics.jsonl` at its step; of values by layer and head, the mean of each layer."""
        for name, value in record.items():
            if isinstance(value, list):
                for layer, heads in enumerate(value):
                    self.writer.add_scalar(f"{name}/layer_{layer}", float(np.mean(heads)), record["step"])
            elif value is not None and name != "step":
                self.writer.add_scalar(name, value, record["step"])
        self.writer.flush()

    def close(self) -> None:
        """Wait until everything is written: the writer's thread continues after a flush."""
        self.writer.close()
