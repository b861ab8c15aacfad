"""Reading and writing checkpoints and fitting them to a model: names and arrays, whatever the model's class."""

from mindcv.weights.adapt import ARGUMENTS
from mindcv.weights.classes import classes_in
from mindcv.weights.loading import load
from mindcv.weights.parts import weights_of
from mindcv.weights.published import fetch_published, get_weights_download_root
from mindcv.weights.read import DamagedCheckpoint, read
from mindcv.weights.recorded import options_in
from mindcv.weights.state_dict import to_mindcv, to_pytorch
from mindcv.weights.write import is_ours, write

__all__ = [
    "ARGUMENTS",
    "DamagedCheckpoint",
    "classes_in",
    "fetch_published",
    "get_weights_download_root",
    "is_ours",
    "load",
    "options_in",
    "read",
    "to_mindcv",
    "to_pytorch",
    "weights_of",
    "write",
]
