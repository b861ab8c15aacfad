"""Optimizers, called as `optimizer(gradients)` with one gradient per entry of `parameters`, in their order."""

from mindcv.optim.adagrad import Adagrad
from mindcv.optim.adam import Adam, AdamW
from mindcv.optim.adan import Adan
from mindcv.optim.factory import create_optimizer, load_state
from mindcv.optim.groups import parameter_groups
from mindcv.optim.lamb import Lamb
from mindcv.optim.lion import Lion
from mindcv.optim.nadam import NAdam
from mindcv.optim.optimizer import Optimizer
from mindcv.optim.rmsprop import RMSProp
from mindcv.optim.sgd import SGD

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adan",
    "Lamb",
    "Lion",
    "NAdam",
    "Optimizer",
    "RMSProp",
    "create_optimizer",
    "load_state",
    "parameter_groups",
]
