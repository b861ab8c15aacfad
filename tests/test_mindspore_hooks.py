"""Each use of MindSpore beyond its documented API does what the package expects."""

import subprocess
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, amp, nn, ops

from mindcv import mindspore_hooks
from mindcv.mindspore_hooks import (
    PRECISION_FLAGS,
    TESTED,
    aligned,
    ascend_soc_version,
    clear_compile_cache,
    compiled_once,
    keep_in_float32,
    untested_versions,
)

ROOT = Path(__file__).parents[1]
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


class Scales(nn.Cell):
    """Two cells, one after the other."""

    def __init__(self):
        super().__init__()
        self.first, self.second = Scale(), Scale()

    def construct(self, x):
        return self.second(self.first(x))


def test_compiled_once_compiles_one_of_the_cells_of_a_group(graph_mode):
    cells = Scales()
    cells.second.factor = 3.0
    with compiled_once([[cells.first, cells.second]]):
        assert cells(X).asnumpy().tolist() in ([[4.0, 4.0]], [[9.0, 9.0]]), "the other cell's factor is not read"
    clear_compile_cache(cells)
    assert cells(X).asnumpy().tolist() == [[6.0, 6.0]]


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


def test_aligned_lets_a_tensor_be_made_of_a_view_into_bytes():
    array = np.frombuffer(b"?" + np.arange(3, dtype=np.float32).tobytes(), np.float32, offset=1)
    assert not array.flags.aligned
    assert Tensor(aligned(array), ms.float32).asnumpy().tolist() == [0, 1, 2]


def test_aligned_does_not_copy_an_aligned_array():
    array = np.arange(3)
    assert aligned(array) is array


OTHER_MINDSPORE = "mindcv was not tested with MindSpore {} (tested: 2.7 or later, below 2.11)"
OTHER_PYTHON = " and Python 3.13.0 (tested: 3.10 or later, below 3.13)"


@pytest.mark.parametrize(
    ("mindspore", "python", "line"),
    [
        ("2.7.0", "3.10.13", ""),
        ("2.10.0rc1", "3.12.1", ""),
        ("2.6.0", "3.11.7", OTHER_MINDSPORE.format("2.6.0")),
        ("2.11.0", "3.11.7", OTHER_MINDSPORE.format("2.11.0")),
        ("2.11rc1", "3.13.0", OTHER_MINDSPORE.format("2.11rc1") + OTHER_PYTHON),
    ],
)
def test_untested_versions_are_named_in_one_line(mindspore, python, line):
    assert untested_versions({"MindSpore": mindspore, "Python": python}) == line


def test_untested_version_is_logged_once_when_the_package_is_used():
    code = "import mindspore; mindspore.__version__ = '3.0'; from mindcv import ConViT, device"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=120)
    lines = [line for line in done.stderr.splitlines() if "not tested" in line]
    assert lines == [OTHER_MINDSPORE.format("3.0")]


def test_tested_versions_are_those_that_pyproject_allows():
    project = (ROOT / "pyproject.toml").read_text()
    bounds = {"MindSpore": '"mindspore>={},<{}"', "Python": 'requires-python = ">={},<{}"'}
    assert TESTED.keys() == bounds.keys()
    assert all(bounds[name].format(*versions) in project for name, versions in TESTED.items())
