"""Compare every optimizer with PyTorch's and timm's float64 results after 1, 5 and 20 steps."""

import mindspore as ms
import numpy as np
import pytest

from mindcv.optim import create_optimizer

SETTINGS = {
    "sgd": {"lr": 0.1, "momentum": 0, "weight_decay": 0.01},
    "momentum": {"lr": 0.1, "weight_decay": 0.01},
    "nesterov": {"lr": 0.1, "weight_decay": 0.01},
    "adam": {"lr": 0.01, "weight_decay": 0.01, "eps": 1e-8},
    "adamw": {"lr": 0.01, "weight_decay": 0.05, "eps": 1e-8},
    "nadam": {"lr": 0.01, "eps": 1e-8},
    "rmsprop": {"lr": 0.01, "eps": 1e-8},
    "adagrad": {"lr": 0.1},
    "lion": {"lr": 0.01, "weight_decay": 0.05},
    "adan": {"lr": 0.01, "weight_decay": 0.02, "eps": 1e-8},
    "lamb": {"lr": 0.01, "weight_decay": 0.05, "eps": 1e-6},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_optimizer_steps_match_golden_values(name, golden):
    figures = golden.array("optimizers")
    parameters = [ms.Parameter(ms.Tensor(figures[f"param{i}"].astype(np.float32)), name=f"param{i}") for i in range(3)]
    optimizer = create_optimizer(parameters, name, loss_scale=8.0, **SETTINGS[name])
    for step in range(1, 21):
        optimizer(tuple(ms.Tensor(8 * figures[f"grad{step - 1}_{i}"].astype(np.float32)) for i in range(3)))
        if step in (1, 5, 20):
            for i, parameter in enumerate(parameters):
                expected = figures[f"{name}/step{step}_{i}"]
                error = np.abs(parameter.asnumpy() - expected).max() / np.abs(expected).max()
                assert error <= 1e-5, f"param{i} after step {step} is {error:.1e} off"
    assert int(optimizer.global_step) == 20
