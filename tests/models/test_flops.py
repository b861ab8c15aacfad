"""`count_flops` against the matrix products of a forward pass, recorded while it runs."""

import math

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, ops

import mindcv
from mindcv.models import ConViT, count_flops

SMALL = {"num_heads": 4, "embed_dim": 16, "num_classes": 7, "patch_size": 4, "depth": 3, "local_up_to_layer": 2}


@pytest.fixture
def count_products(monkeypatch):
    """A function that runs a model on one image and sums its products: 2·(size of the result)·(inner dimension)."""
    counts = []

    def record(result, inner):
        if result.shape[-1] > 1 and inner > 1:  # not means, sums and broadcasts written as products
            counts.append(2 * math.prod(result.shape) * inner)
        return result

    def watch(owner, name, inner_dim):
        original = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *args: record(original(*args), inner_dim(*args)))

    watch(ops, "matmul", lambda a, b: a.shape[-1])
    for primitive in (ops.MatMul, ops.BatchMatMul):
        watch(primitive, "__call__", lambda primitive, a, b: a.shape[-1])

    def run(model):
        ms.set_context(mode=ms.PYNATIVE_MODE)
        counts.clear()
        model(Tensor(np.zeros((1, 3, *model.image_size), np.float32)))
        return sum(counts)

    return run


@pytest.mark.parametrize(
    "arguments",
    [
        {"image_size": 32},
        {"image_size": (16, 40)},
        {"image_size": 32, "attn_impl": "plain"},
        {"image_size": 32, "local_up_to_layer": 0},
        {"image_size": 32, "num_classes": 0, "mlp_ratio": 2.0, "num_heads": 1, "embed_dim": 4},
    ],
    ids=["separable", "oblong", "plain", "no GPSA", "no classifier"],
)
def test_count_flops_matches_the_products_of_a_forward_pass(arguments, count_products):
    model = ConViT(**{**SMALL, **arguments})
    assert count_flops(model) == count_products(model)


def test_count_flops_of_convit_tiny_matches_the_paper(count_products):
    model = mindcv.create_model("convit_tiny")
    assert count_flops(model) == count_products(model)
    assert count_flops(model) / 2e9 == pytest.approx(1.08, abs=0.1), "the paper says 1 G"


def test_count_flops_separable_saves_the_positional_map():
    separable, plain = (count_flops(ConViT(**SMALL, image_size=64, attn_impl=impl)) for impl in ("separable", "plain"))
    patches, dim, layers = 16 * 16, 16, 2
    assert separable - plain == 2 * layers * patches * (16 + 16) * dim
