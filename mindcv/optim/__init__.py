"""Optimizers, called as `optimizer(gradients)`: one gradient a parameter, in the order of `parameters`."""

from mindcv.optim.adam import Adam, AdamW
from mindcv.optim.factory import create_optimizer, load_state
from mindcv.optim.groups import parameter_groups
from mindcv.optim.optimizer import Optimizer
from mindcv.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "create_optimizer", "load_state", "parameter_groups"]
