"""The count of operations against the products that a forward pass makes, caught as it makes them."""

import math

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, ops

import mindcv
from mindcv.models import ConViT, count_flops

SMALL = {"num_heads": 4, "embed_dim": 16, "num_classes": 7, "patch_size": 4, "depth": 3, "local_up_to_layer": 2}


@pytest.fixture
def flops_made(monkeypatch):
    """A function that runs a model on one image and adds up the products: 2·(shape of the result)·(inner side)."""
    made = []

    def note(result, inner):
        if result.shape[-1] > 1 and inner > 1:  # means, sums and repetitions that are written as products are no such
            made.append(2 * math.prod(result.shape) * inner)
        return result

    def catch(owner, name, inner_side):
        original = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *args: note(original(*args), inner_side(*args)))

    catch(ops, "matmul", lambda a, b: a.shape[-1])
    for primitive in (ops.MatMul, ops.BatchMatMul):
        catch(primitive, "__call__", lambda primitive, a, b: a.shape[-1])

    def run(model):
        ms.set_context(mode=ms.PYNATIVE_MODE)
        made.clear()
        model(Tensor(np.zeros((1, 3, *model.image_size), np.float32)))
        return sum(made)

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
def test_the_count_is_of_the_products_that_are_made(arguments, flops_made):
    model = ConViT(**{**SMALL, **arguments})
    assert count_flops(model) == flops_made(model)


def test_convit_tiny(flops_made):
    model = mindcv.create_model("convit_tiny")
    assert count_flops(model) == flops_made(model)
    assert count_flops(model) / 2e9 == pytest.approx(1.08, abs=0.1), "the paper says 1 G"


def test_position_costs_two_thin_products():
    separable, plain = (count_flops(ConViT(**SMALL, image_size=64, attn_impl=form)) for form in ("separable", "plain"))
    patches, dim, layers = 16 * 16, 16, 2
    assert separable - plain == 2 * layers * patches * (16 + 16) * dim
