"""Optimizers by name."""

import inspect
import math
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from mindcv.errors import unknown_argument
from mindcv.optim.adagrad import Adagrad
from mindcv.optim.adam import Adam, AdamW
from mindcv.optim.adan import Adan
from mindcv.optim.groups import parameter_groups
from mindcv.optim.lamb import Lamb
from mindcv.optim.lion import Lion
from mindcv.optim.nadam import NAdam
from mindcv.optim.optimizer import Optimizer, check_range
from mindcv.optim.rmsprop import RMSProp
from mindcv.optim.sgd import SGD

OPTIMIZERS = {
    "sgd": SGD,
    "momentum": SGD,
    "nesterov": SGD,
    "adam": Adam,
    "adamw": AdamW,
    "nadam": NAdam,
    "rmsprop": RMSProp,
    "adagrad": Adagrad,
    "lion": Lion,
    "adan": Adan,
    "lamb": Lamb,
}

_RENAMED = {
    "filter_bias_and_bn": 'weight_decay_filter="norm_and_bias"',
    "use_nesterov": "nesterov",
    "optimizer": "opt",
    "optimizer_name": "opt",
    "learning_rate": "lr",
    "base_lr": "lr",
    "wd": "weight_decay",
    "opt_eps": "eps",
    "betas": "beta1 and beta2",
    "params": "model_or_params",
    "parameters": "model_or_params",
}


def create_optimizer(
    model_or_params: nn.Cell | Iterable,
    opt: str = "adam",
    lr=1e-3,
    weight_decay: float = 0,
    momentum: float = 0.9,
    nesterov: bool = False,
    weight_decay_filter: str = "disable",
    layer_decay: float | None = None,
    loss_scale: float = 1.0,
    schedule_decay: float = 4e-3,
    checkpoint_path: str = "",
    eps: float = 1e-10,
    head_lr_multiple: float = 1.0,
    **kwargs,
) -> Optimizer:
    """Create an optimizer, called as `optimizer(gradients)` with gradients in the order of its `parameters`.

    `momentum`, `nesterov`, `schedule_decay` and `eps` act where the algorithm has such a thing. Elsewhere
    their defaults pass, since a recipe carries them all, and any other value is an error.

    Args:
        model_or_params: a model, whose trainable parameters are taken; Parameters; or dicts (see
            `parameter_groups`).
        opt: sgd, momentum (the same), nesterov, adam, adamw, nadam, rmsprop, adagrad, lion, adan or lamb.
        lr: a number, or one for every step of the run.
        weight_decay: part of the gradient (L2) in sgd, momentum, nesterov, adam, nadam, rmsprop and adagrad;
            decoupled from it, and times the learning rate, in adamw, lion, adan and lamb.
        momentum: of sgd, momentum, nesterov and rmsprop; 0 for none.
        nesterov: for sgd and momentum: Nesterov's update.
        weight_decay_filter: which parameters are spared weight decay: "disable" (none), "auto" or
            "norm_and_bias"; see `parameter_groups`.
        layer_decay: factor from a layer's learning rate to that of the one before; see `parameter_groups`.
        loss_scale: what the loss was multiplied by; gradients are divided by it.
        checkpoint_path: a checkpoint to load the optimizer's state from, by name; the model's weights in it
            are left alone.
        schedule_decay: how fast nadam's momentum rises.
        head_lr_multiple: factor of the head's learning rate; see `parameter_groups`.
        eps: added to the denominator of every adaptive algorithm (so not of sgd's kin and lion).
        **kwargs: the algorithm's other arguments: beta1 and beta2 (adam, adamw, nadam, lion, adan, lamb),
            beta3 and no_prox (adan), decay (rmsprop), max_grad_norm (lamb).

    Raises:
        ValueError: an unknown name or a value out of range, or a checkpoint that does not fit.
        TypeError: an argument that does not exist, with the one to use, or that the algorithm does not have.
        FileNotFoundError: no such checkpoint.
    """
    name = opt.lower()
    if name not in OPTIMIZERS:
        near = get_close_matches(name, OPTIMIZERS, cutoff=0.3)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "there is no such optimizer."
        raise ValueError(f"unknown optimizer {opt!r}: {hint} Known: {', '.join(OPTIMIZERS)}")
    if not isinstance(lr, nn.Cell):
        rates = lr.asnumpy() if isinstance(lr, ms.Tensor) else np.asarray(lr, np.float64)
        check_range(0, math.inf, lr=rates.min() if np.isfinite(rates).all() else math.nan)
    check_range(0, math.inf, weight_decay=weight_decay)
    if not loss_scale > 0:
        raise ValueError(f"loss_scale must be over 0, got {loss_scale}")
    options = {
        "momentum": momentum,
        "nesterov": nesterov or name == "nesterov",
        "schedule_decay": schedule_decay,
        "eps": eps,
    }
    optimizer = OPTIMIZERS[name](
        parameter_groups(model_or_params, lr, weight_decay, weight_decay_filter, layer_decay, head_lr_multiple),
        learning_rate=lr,
        loss_scale=loss_scale,
        **_accepted(name, options, kwargs),
    )
    if checkpoint_path:
        load_state(optimizer, checkpoint_path)
    return optimizer


def _accepted(name: str, options: dict, extra: dict) -> dict:
    """The options that the algorithm takes; an error for an option that was set and would do nothing."""
    own = inspect.signature(OPTIMIZERS[name]).parameters.keys()
    own -= {"params", "learning_rate", "weight_decay", "loss_scale"}
    defaults = inspect.signature(create_optimizer).parameters
    of_any = {key for algorithm in OPTIMIZERS.values() for key in inspect.signature(algorithm).parameters}
    for key in extra:
        if key in _RENAMED or key not in of_any:
            known = [*defaults.keys() - {"kwargs"}, *own - defaults.keys()]
            raise TypeError(unknown_argument("create_optimizer", key, known, _RENAMED))
        if key not in own:
            raise TypeError(f"{name} has no argument {key!r}; it takes {', '.join(sorted(own)) or 'no other'}")
    for key, value in options.items():
        if key not in own and value != defaults[key].default:
            raise ValueError(
                f"{name} has no {key}, so {key}={value} would do nothing: leave it at {defaults[key].default}"
            )
    return {**{key: value for key, value in options.items() if key in own}, **extra}


def load_state(optimizer: Optimizer, path: str | Path) -> None:
    """Load the optimizer's state from a checkpoint that holds every part of it, by name.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a part of the state is missing or has another shape; nothing is loaded then.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no optimizer checkpoint {path}")
    saved = ms.load_checkpoint(str(path))
    state = optimizer.state_parameters()
    missing = [name for name in state if name not in saved]
    if missing:
        raise ValueError(
            f"{path} is no state of this optimizer: it lacks {len(missing)} of {len(state)} parts, "
            f"the first is {missing[0]!r}"
        )
    for name, parameter in state.items():
        if saved[name].shape != parameter.shape:
            raise ValueError(
                f"{path} does not fit this optimizer: {name!r} has shape {saved[name].shape} there, "
                f"{parameter.shape} here"
            )
    for name, parameter in state.items():
        # not set_data, which a step that was compiled before does not see in PyNative mode
        ops.assign(parameter, saved[name].value().astype(parameter.dtype))
