"""Seeds, logs, sums over workers and mixed precision."""

import logging
import random
import re
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from mindcv.models import set_precision
from mindcv.models.layers.precision import PolicyCell

_TRANSPOSED = (nn.Conv1dTranspose, nn.Conv2dTranspose, nn.Conv3dTranspose)
AMP_WHITE_LIST = (nn.Dense, nn.Conv1d, nn.Conv2d, nn.Conv3d, *_TRANSPOSED)
AMP_BLACK_LIST = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm)


class AllReduceSum(nn.Cell):
    """Returns the sum of a tensor over all workers, on each of them. Create it after `mindspore.communication.init`.

    On a CPU, which sums floats only, integers are summed as float32: exactly up to 2²⁴.
    """

    def __init__(self):
        super().__init__()
        self.sum_over_workers = ops.AllReduce()
        self.is_cpu = ms.get_context("device_target") == "CPU"

    def construct(self, x: Tensor) -> Tensor:
        if self.is_cpu:
            return self.sum_over_workers(x.astype(ms.float32)).astype(x.dtype)
        return self.sum_over_workers(x)


def set_seed(seed: int = 42, rank: int | None = 0) -> None:
    """Set the global seeds of `random`, NumPy and MindSpore to `seed` + `rank`; `create_dataset` has one of its own."""
    for set_one in (random.seed, np.random.seed, ms.set_seed):
        set_one(seed + (rank or 0))


def set_logger(
    name: str | None = None, output_dir: str | None = None, rank: int | None = 0, log_level: int = logging.INFO,
    color: bool = True,
) -> logging.Logger:  # fmt: skip
    """Return the logger `name`, None for the root; a second call for the same logger changes nothing.

    It writes to standard output, on worker 0 (or None) only, and to the file `rank{rank}.log` in `output_dir`, which is
    created if missing. Messages below `log_level` are dropped. `color` is not used.
    """
    logger, rank = logging.getLogger(name), rank or 0
    if getattr(logger, "is_set", False):
        return logger
    logger.is_set, logger.propagate = True, False
    logger.setLevel(log_level)
    handlers = [] if rank else [logging.StreamHandler(sys.stdout)]
    if output_dir is not None:
        Path(output_dir).mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(Path(output_dir) / f"rank{rank}.log"))
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s - %(message)s"))
        logger.addHandler(handler)
    return logger


def auto_mixed_precision(network: nn.Cell, amp_level: str = "O0", amp_cast_list: str | None = None) -> None:
    """Set the precision that `network` computes in, in place.

    Args:
        network: A model of this package, for `set_precision`; or any other cell, for MindSpore's function of this name.
        amp_level: "O0", "O1", "O2", "O3" or "auto".
        amp_cast_list: With "O1" and a model of this package, the only classes of cells to compute in half precision, as
            in "[nn.Dense]"; None for all that the level has.

    Raises:
        ValueError: The level or a class does not exist, or there is a list for another level or network.
    """
    words = re.findall(r"[\w.]+", amp_cast_list) if isinstance(amp_cast_list, str) else list(amp_cast_list or ())
    classes = [word.removeprefix("nn.") for word in words] or None
    is_ours = any(isinstance(cell, PolicyCell) for _, cell in network.cells_and_names())
    if classes and not (is_ours and amp_level in ("O0", "O1")):
        raise ValueError(f"amp_cast_list {amp_cast_list} needs amp_level O1 and a model of this package")
    if is_ours:
        set_precision(network, amp_level, cast_list=classes)
    elif amp_level != "O0":
        ms.amp.auto_mixed_precision(network, amp_level)
