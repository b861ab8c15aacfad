"""Each use of MindSpore beyond its documented API does what the package expects."""

import sys

import mindspore as ms
import numpy as np
from mindspore import Tensor, amp, nn, ops

from mindcv import mindspore_hooks
from mindcv.mindspore_hooks import PRECISION_FLAGS, ascend_soc_version, clear_compile_cache, keep_in_float32

X = Tensor(np.ones((1, 2)), ms.float32)


class Scale(nn.Cell):
    factor = 2.0

    def construct(self, x):
        return x * self.factor


def test_ascend_soc_version_without_ascend_is_empty():
    assert ascend_soc_version() == ""


def test_ascend_soc_version_returns_what_mindspore_reports(monkeypatch):
    context = type("Context", (), {"get_ascend_soc_version": lambda self: "ascend910b"})
    monkeypatch.setattr(mindspore_hooks.MSContext, "get_instance", context)
    assert ascend_soc_version() == "ascend910b"


def test_clear_compile_cache_makes_a_changed_attribute_take_effect(graph_mode):
    cell = Scale()
    assert cell(X).asnumpy().tolist() == [[2.0, 2.0]]
    cell.factor = 3.0
    assert cell(X).asnumpy().tolist() == [[2.0, 2.0]], "the graph of the old value is cached"
    clear_compile_cache(cell)
    assert cell(X).asnumpy().tolist() == [[3.0, 3.0]]


def test_precision_flags_are_those_that_to_float_sets():
    for dtype in PRECISION_FLAGS.values():
        flags = nn.Dense(2, 2).to_float(dtype).get_flags()
        assert {flag: flags[flag] for flag in PRECISION_FLAGS} == {
            flag: flag_dtype == dtype for flag, flag_dtype in PRECISION_FLAGS.items()
        }


class Product(nn.Cell):
    def __init__(self):
        super().__init__()
        self.matmul = ops.MatMul()
        self.weight = Tensor([[1 / 3], [1 / 3]], ms.float32)

    def construct(self, x):
        return self.matmul(x, self.weight)


class Network(nn.Cell):
    def __init__(self):
        super().__init__()
        self.product = Product()

    def construct(self, x):
        return self.product(x)


def test_keep_in_float32_exempts_a_cells_products_from_amp_o1(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # MindSpore writes generated code there, and adds to sys.path
    monkeypatch.setattr(sys, "path", list(sys.path))
    ms.set_context(mode=ms.PYNATIVE_MODE)
    kept, converted = Network(), Network()
    keep_in_float32(kept.product)
    assert kept.product.get_flags()["fp32"]
    assert amp.auto_mixed_precision(kept, "O1")(X).asnumpy().item() == np.float32(1 / 3) * 2
    assert amp.auto_mixed_precision(converted, "O1")(X).asnumpy().item() == np.float16(1 / 3) * 2
