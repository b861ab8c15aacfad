"""Tiny models, and arrays under every layout's names."""

import numpy as np
import pytest

import mindcv
from tests.golden import rule

VARIANTS = ["convit_tiny", "convit_tiny_plus", "convit_small", "convit_small_plus", "convit_base", "convit_base_plus"]
# The smallest ConViT with both kinds of blocks: 8 patches in a row of 4 by 2.
TINY = {"image_size": (32, 16), "patch_size": 8, "embed_dim": 16, "depth": 2, "local_up_to_layer": 1}


@pytest.fixture(autouse=True)
def _pynative(pynative):
    """Run every test here in PyNative mode."""


@pytest.fixture
def tiny():
    """A function that creates a very small ConViT; it takes the arguments of create_model."""

    def create(num_classes=3, **kwargs):
        return mindcv.create_model("convit_tiny", num_classes=num_classes, **{**TINY, **kwargs})

    return create


@pytest.fixture
def values():
    """A function that returns a model's parameters as arrays by name."""
    return lambda model: {p.name: p.asnumpy() for p in model.get_parameters()}


@pytest.fixture
def pytorch_weights(golden):
    """A function that returns a variant's golden weights under PyTorch's names."""

    def make(name):
        case = golden.facts("manifest")[name]
        return {key: rule.weight(key, tuple(shape), case["salt"]) for key, shape in case["shapes"].items()}

    return make


@pytest.fixture
def mindcv_weights(golden):
    """A function that returns a variant's golden weights under MindCV's names."""
    return lambda name: rule.mindcv_weights(golden.facts("manifest")[name])


@pytest.fixture
def some_arrays():
    """A few arrays of several types and shapes."""
    rng = np.random.default_rng(0)
    return {
        "norm.gamma": rng.standard_normal(5).astype(np.float32),
        "blocks.0.mlp.fc1.weight": rng.standard_normal((7, 5)).astype(np.float32),
        "half": rng.standard_normal((2, 3)).astype(np.float16),
        "double": rng.standard_normal((1, 2, 3)),
        "flags": np.array([True, False]),
        "run.step": np.array(7, np.int64),
        "run.seed": np.array([-1, 2], np.int32),
        "run.bytes": np.arange(9, dtype=np.uint8),
    }


@pytest.fixture
def assert_same():
    """A function that compares arrays by name: values, dtypes and shapes."""

    def check(actual, expected):
        assert actual.keys() == expected.keys()
        for name, array in expected.items():
            assert actual[name].dtype == array.dtype, name
            np.testing.assert_array_equal(actual[name], array, err_msg=name, strict=True)

    return check
