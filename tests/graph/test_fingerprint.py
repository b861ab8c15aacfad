import subprocess
import sys
from functools import partial

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn, ops

import mindcv
from mindcv.engine.step import TrainStep
from mindcv.graph.fingerprint import Fingerprint, UnknownObject
from mindcv.loss import create_loss
from mindcv.models import set_precision
from mindcv.models.layers import Dropout, Linear, Mlp
from mindcv.optim import create_optimizer


class Holder(nn.Cell):
    """A cell that holds one object."""

    def __init__(self, held=None):
        super().__init__()
        self.held = held


class Setting:
    """An object of Python alone."""

    def __init__(self, value):
        self.value = value


def outer(value):
    return lambda x: x * value


def digest(held, for_other_processes=False):
    return Fingerprint(Holder(held), for_other_processes).digest


def weight(name="weight", shape=(2, 3), dtype=ms.float32, requires_grad=True, value=0.0):
    return Parameter(Tensor(np.full(shape, value), dtype), name=name, requires_grad=requires_grad)


@pytest.mark.parametrize(
    ("make", "first", "second"),
    [
        (lambda x: x, 1, 2),
        (lambda x: x, 1, 1.0),
        (lambda x: x, 1, True),
        (lambda x: x, "1", b"1"),
        (lambda x: x, ms.float32, ms.float16),
        (lambda x: x, (1, 2), [1, 2]),
        (lambda x: x, (1, 2), ((1,), 2)),
        (lambda x: x, {"a": 1}, {"b": 1}),
        (lambda x: x, {1}, {2}),
        (lambda x: Tensor([x]), 1, 2),
        (lambda x: Tensor([1.0], x), ms.float32, ms.float16),
        (lambda x: np.array([x]), 1, 2),
        (lambda x: weight(shape=x), (2, 3), (3, 2)),
        (lambda x: weight(dtype=x), ms.float32, ms.float16),
        (lambda x: weight(requires_grad=x), True, False),
        (lambda x: ops.MatMul(transpose_b=x), True, False),
        (Setting, 1, 2),
        (lambda x: partial(outer, x), 1, 2),
        (lambda x: Holder(x).construct, 1, 2),
        (lambda x: Linear(2, 3, has_bias=x), True, False),
        (lambda x: Linear(2, 3).set_train(x), True, False),
        (lambda x: Mlp(2, 3, "gelu", x).set_train(), 0.0, 0.1),
        (lambda x: set_precision(Mlp(2, 3, "gelu", 0.0), x, "float16") or x, "O0", "O3"),
    ],
)
def test_fingerprint_of_cells_that_hold_other_values_differs(make, first, second):
    assert digest(make(first)) != digest(make(second))
    assert digest(make(first)) == digest(make(first))


def test_fingerprint_of_parameters_with_other_values_is_equal():
    assert digest(weight(value=1.0)) == digest(weight(value=2.0))


def test_fingerprint_for_other_processes_depends_on_the_parameters_names():
    first, second = weight("first"), weight("second")
    assert digest(first) == digest(second)
    assert digest(first, for_other_processes=True) != digest(second, for_other_processes=True)


def test_fingerprint_of_one_object_held_twice_differs_from_two_equal_ones():
    shared = Tensor([1.0])
    assert digest((shared, shared)) != digest((Tensor([1.0]), Tensor([1.0])))


def test_fingerprint_of_an_object_that_holds_itself_ends():
    loop = []
    loop.append(loop)
    assert digest(loop) != digest([[]])


def test_fingerprint_of_inactive_dropout_does_not_depend_on_its_stream():
    first, second = Dropout(0.1), Dropout(0.1)
    second.stream = 1
    assert digest(first) == digest(second)
    first.set_train(), second.set_train()
    assert digest(first) != digest(second)


def constant(value):
    class Local:
        def construct(self, x):
            return x * value

    return Local


def test_fingerprint_tells_functions_and_classes_of_the_same_name_apart():
    assert digest(constant(1)) != digest(constant(1)), "in one process by identity"
    for make in (constant, outer):
        digests = [digest(make(value), for_other_processes=True) for value in (1, 2, 1)]
        assert digests[0] != digests[1]
        assert digests[0] == digests[2]
    by_default = [digest(lambda x, y=value: x * y, for_other_processes=True) for value in (1, 2)]
    assert by_default[0] != by_default[1]


class AlwaysDrops(Dropout):
    """Draws in evaluation mode too."""

    def construct(self, x):
        return x * self.draw(x.shape)


def test_fingerprint_of_a_subclass_with_another_graph_has_all_attributes():
    first, second = AlwaysDrops(0.1), AlwaysDrops(0.1)
    second.stream = 1
    assert digest(first) != digest(second)


@pytest.mark.parametrize("held", [ops.Dropout(), object(), iter([]), sys, {object()}, np.array([object()])])
def test_fingerprint_of_an_unknown_object_raises(held):
    with pytest.raises(UnknownObject):
        digest(held)


def test_fingerprint_names_modules_and_parameters():
    fingerprint = Fingerprint(Linear(2, 3), for_other_processes=False)
    assert {"mindcv.models.layers.dense", "mindspore.nn.cell"} <= fingerprint.modules
    assert sorted(parameter.shape for parameter in fingerprint.parameters) == [(3,), (3, 2)]


STEP = """
import mindspore
from tests.graph.test_fingerprint import step_digest
mindspore.set_context(mode=mindspore.GRAPH_MODE)
print(step_digest())
"""


def step_digest():
    np.random.seed(0)
    model = mindcv.create_model("convit_tiny", depth=2, local_up_to_layer=1, image_size=32, drop_path_rate=0.1)
    optimizer = create_optimizer(model, "adamw", lr=[0.1, 0.2], layer_decay=0.9)
    return Fingerprint(TrainStep(model, create_loss("CE"), optimizer, clip_norm=1.0), for_other_processes=True).digest


def test_fingerprint_of_a_train_step_is_the_same_in_another_process(graph_mode):
    done = subprocess.run([sys.executable, "-c", STEP], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == step_digest()
