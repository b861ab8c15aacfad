"""A run's figures for TensorBoard to show."""

from pathlib import Path

import numpy as np


def summary_writer() -> type:
    """What writes event files; ValueError if it is not installed."""
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        raise ValueError(
            "tensorboard: event files are written by tensorboardX, which is not here: pip install tensorboardX"
        ) from None
    return SummaryWriter


class TensorBoardWriter:
    """Event files in `folder`, with a curve for each number in the records of a run.

    Args:
        folder: Made if missing.
        step: The last step made before; what an earlier part of the run has shown of later ones is hidden.
    """

    def __init__(self, folder: Path, step: int = 0):
        self.writer = summary_writer()(str(folder), purge_step=step + 1 if step else None)

    def __call__(self, record: dict) -> None:
        """Show a record as it is in `metrics.jsonl`, at its step; of figures by layer and head, the layers' means."""
        for name, value in record.items():
            if isinstance(value, list):
                for layer, heads in enumerate(value):
                    self.writer.add_scalar(f"{name}/layer_{layer}", float(np.mean(heads)), record["step"])
            elif value is not None and name != "step":
                self.writer.add_scalar(name, value, record["step"])
        self.writer.flush()

    def close(self) -> None:
        """Wait until all is written: the writer has a thread of its own, which a flush does not wait for."""
        self.writer.close()
