"""Checkpoint files as names and arrays."""

from pathlib import Path

import mindspore as ms
import numpy as np

# What a training checkpoint holds beside the weights, each under a prefix of its own.
EMA = "ema."
TRAINING_STATE = ("optimizer.", "run.")


def read(path: str | Path) -> dict[str, np.ndarray]:
    """All that the MindSpore checkpoint `path` holds, by name.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is empty, or no whole MindSpore checkpoint.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint {path}: check the path")
    if path.stat().st_size == 0:
        raise ValueError(f"checkpoint {path} is empty: use another one")
    try:
        parameters = ms.load_checkpoint(str(path), format="ckpt")
    except Exception as error:  # MindSpore raises several kinds, each of many lines
        raise ValueError(f"{path} is no whole MindSpore checkpoint: write it again, or use another one") from error
    return {name: parameter.asnumpy() for name, parameter in parameters.items()}


def weights_of(contents: dict[str, np.ndarray], ema: bool = False) -> dict[str, np.ndarray]:
    """The model's weights among the `contents` of a checkpoint: the trained ones, or their moving averages.

    Raises:
        ValueError: averages are asked for and the checkpoint has none.
    """
    if ema:
        averages = {name[len(EMA) :]: array for name, array in contents.items() if name.startswith(EMA)}
        if not averages:
            raise ValueError("the checkpoint holds no moving averages: load its weights with ema=False")
        return averages
    return {name: array for name, array in contents.items() if not name.startswith((EMA, *TRAINING_STATE))}
