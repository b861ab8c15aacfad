"""Optimizers by name."""

import math
import warnings
from collections.abc import Iterable
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from mindcv.errors import did_you_mean, require_in_range, signature, unknown_argument
from mindcv.optim.adagrad import Adagrad
from mindcv.optim.adam import Adam, AdamW
from mindcv.optim.adan import Adan
from mindcv.optim.groups import parameter_groups
from mindcv.optim.lamb import Lamb
from mindcv.optim.lion import Lion
from mindcv.optim.nadam import NAdam
from mindcv.optim.optimizer import Optimizer
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

    `momentum`, `nesterov`, `schedule_decay` and `eps` are passed to the algorithms that have them. Other algorithms
    ignore them, with a warning unless they have their defaults.

    Args:
        model_or_params: A model, of which the trainable parameters are taken; or Parameters; or dicts with "params" and
            optionally "lr" and "weight_decay".
        opt: sgd or momentum (the same), nesterov, adam, adamw, nadam, rmsprop, adagrad, lion, adan or lamb, in upper or
            lower case.
        lr: The learning rate, a number or one number per step of the run, at least 0; or a MindSpore schedule cell.
        weight_decay: At least 0. L2 regularisation, part of the gradient, with sgd, momentum, nesterov, adam, nadam,
            rmsprop and adagrad; decoupled, and multiplied by the learning rate, with adamw, lion, adan and lamb.
        momentum: Of sgd, momentum, nesterov and rmsprop, in [0, 1); 0 for none.
        nesterov: Use Nesterov momentum with sgd or momentum.
        weight_decay_filter: Which parameters to exempt from weight decay: "disable" none; "auto" the 1-D parameters,
            pos_embed, cls_token and those that `model.no_weight_decay()` names; "norm_and_bias" every gamma, beta and
            bias.
        layer_decay: Factor in (0, 1] from a layer's learning rate to that of the layer before it, None for no decay.
            It needs a model that has a `group_matcher`.
        loss_scale: Factor by which the loss was multiplied, above 0; gradients are divided by it.
        schedule_decay: How fast nadam's momentum rises, at least 0.
        checkpoint_path: A checkpoint to load the optimizer's state from, by name; the weights in it are ignored.
        eps: Added to the denominator of adam, adamw, nadam, rmsprop, adagrad, adan and lamb, at least 0.
        head_lr_multiple: Factor, above 0, of the head's learning rate. It needs a model that has a `group_matcher`.
        **kwargs: The algorithm's other arguments: beta1 and beta2 (adam, adamw, nadam, lion, adan, lamb), beta3 and
            no_prox (adan), decay (rmsprop), max_grad_norm (lamb); or `filter_bias_and_bn`, older MindCV's name of
            weight_decay_filter: True for "norm_and_bias", False for "disable", with a warning.

    Raises:
        ValueError: A name is unknown, a value is out of range, or the checkpoint does not fit the optimizer.
        TypeError: An argument does not exist (the message names the one to use), or the algorithm does not have it.
        FileNotFoundError: The checkpoint does not exist.
    """
    if "filter_bias_and_bn" in kwargs:
        weight_decay_filter = "norm_and_bias" if kwargs.pop("filter_bias_and_bn") else "disable"
        warnings.warn(f"filter_bias_and_bn is now weight_decay_filter={weight_decay_filter!r}", stacklevel=2)
    name = opt.lower()
    if name not in OPTIMIZERS:
        raise ValueError(f"unknown optimizer {opt!r}{did_you_mean(name, OPTIMIZERS)}")
    if not isinstance(lr, nn.Cell):
        lrs = lr.asnumpy() if isinstance(lr, ms.Tensor) else np.asarray(lr, np.float64)
        require_in_range("lr", lrs.min() if np.isfinite(lrs).all() else math.nan, at_least=0)
    require_in_range("weight_decay", weight_decay, at_least=0, below=math.inf)
    require_in_range("loss_scale", loss_scale, above=0)
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
    """Return the arguments for the algorithm `name`: those of `options` that it has, and `extra`.

    Args:
        name: Name of the optimizer, in lower case.
        options: Arguments of `create_optimizer` that only some algorithms have.
        extra: Its `**kwargs`.

    Raises:
        TypeError: The algorithm has no argument of a name in `extra`.
    """
    own = signature(OPTIMIZERS[name]).parameters.keys() - {"params", "learning_rate", "weight_decay", "loss_scale"}
    defaults = signature(create_optimizer).parameters
    of_any = {key for algorithm in OPTIMIZERS.values() for key in signature(algorithm).parameters}
    for key in extra:
        if key in _RENAMED or key not in of_any:
            known = [*defaults.keys() - {"kwargs"}, *own - defaults.keys()]
            raise TypeError(unknown_argument("create_optimizer", key, known, _RENAMED))
        if key not in own:
            raise TypeError(f"{name} has no argument {key!r}; it takes {', '.join(sorted(own)) or 'no other'}")
    for key, value in options.items():
        if key not in own and value != defaults[key].default:
            warnings.warn(f"{name} has no {key}: {key}={value} does nothing", stacklevel=3)
    return {**{key: value for key, value in options.items() if key in own}, **extra}


def load_state(optimizer: Optimizer, path: str | Path) -> None:
    """Load the `state_parameters` of `optimizer` from a MindSpore checkpoint that holds all of them, by name.

    Other entries of the file, such as weights, are ignored; values are cast to the dtype of the optimizer's.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: A part of the state is missing or has another shape; nothing is loaded then.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no optimizer checkpoint {path}")
    saved = ms.load_checkpoint(str(path))
    state = optimizer.state_parameters()
    missing = [name for name in state if name not in saved]
    if missing:
        raise ValueError(
            f"{path} does not fit this optimizer: {len(missing)} of {len(state)} parts are missing, "
            f"the first is {missing[0]!r}"
        )
    for name, parameter in state.items():
        if saved[name].shape != parameter.shape:
            raise ValueError(
                f"{path} does not fit this optimizer: {name!r} has shape {saved[name].shape} in the file "
                f"and {parameter.shape} in the optimizer"
            )
    for name, parameter in state.items():
        # not set_data, which a step compiled before does not see in PyNative mode
        ops.assign(parameter, saved[name].value().astype(parameter.dtype))
