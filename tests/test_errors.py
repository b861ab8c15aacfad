import math
import os
from pathlib import Path

import numpy as np
import pytest

from mindcv.errors import check_arguments, closest, did_you_mean, printable, require_in_range, signature


def test_closest_ignores_case_and_sorts_by_similarity():
    assert closest("ADAMW", ["adam", "AdamW", "sgd"], n=2) == ["AdamW", "adam"]
    assert closest("xyz", ["adam", "sgd"]) == []


def test_did_you_mean_lists_all_names_when_none_is_similar():
    assert did_you_mean("adamv", ["adam", "sgd"]) == "; did you mean 'adam'?"
    assert did_you_mean("xyz", ["adam", "sgd"]) == "; choose from adam, sgd"


def test_printable_escapes_control_characters_and_bytes_that_are_not_utf8():
    assert printable("a\x1b[2J\nb\x9b\u2028.jpg") == r"a\x1b[2J\nb\x9b\u2028.jpg"
    assert printable(os.fsdecode(b"caf\xe9.jpg")) == r"caf\xe9.jpg"
    assert printable(Path("猫 é\\.jpg")) == "猫 é\\.jpg"


@pytest.mark.parametrize("value", [0.0, 0.5, 0.99])
def test_require_in_range_returns_a_value_inside(value):
    assert require_in_range("rate", value, at_least=0, below=1) == value


@pytest.mark.parametrize(
    ("value", "limits"), [(-0.1, {"at_least": 0}), (0, {"above": 0}), (1, {"below": 1}), (1.1, {"at_most": 1})]
)
def test_require_in_range_refuses_a_value_outside_and_names_the_range(value, limits):
    (side, limit), *_ = limits.items()
    with pytest.raises(ValueError, match=f"rate is {value}; it must be {side.replace('_', ' ')} {limit}"):
        require_in_range("rate", value, **limits)


def test_require_in_range_refuses_nan():
    with pytest.raises(ValueError, match="rate is nan; it must be at least 0 and at most 1"):
        require_in_range("rate", math.nan, at_least=0, at_most=1)


def layer(
    width: int,
    rate: float = 0.0,
    size: int | tuple[int, int] = 8,
    bias: bool = False,
    act: str | None = None,
    path: Path = Path(),
    more=None,
):
    """A function to check arguments against."""


@pytest.mark.parametrize(
    "arguments",
    [
        {}, {"width": 4, "rate": 1, "size": [8, 4], "bias": True, "act": None, "path": 3, "more": object()},
        {"width": np.int32(4), "rate": np.float32(0.5), "size": (8, 4), "act": "gelu"},
    ],
)  # fmt: skip
def test_check_arguments_accepts_arguments_of_the_annotated_types(arguments):
    check_arguments(layer, arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"widht": 4}, "layer has no argument 'widht'; did you mean 'width'?"),
        ({"width": "four"}, "argument width of layer is 'four'; it must be int"),
        ({"width": 4.0}, "argument width of layer is 4.0; it must be int"),
        ({"width": True}, "argument width of layer is True; it must be int"),
        ({"bias": 1}, "argument bias of layer is 1; it must be bool"),
        ({"act": 1}, r"argument act of layer is 1; it must be str \| None"),
        ({"size": "8"}, r"argument size of layer is '8'; it must be int \| tuple\[int, int\]"),
    ],
)
def test_check_arguments_names_the_argument_and_what_is_wrong(arguments, message):
    with pytest.raises(TypeError, match=message):
        check_arguments(layer, arguments)


class Layer:
    def __new__(cls, *args, **kwargs):
        return super().__new__(cls)

    def __init__(self, width: int, height=3):
        pass


class Wide(Layer):
    pass


def test_signature_of_a_class_is_that_of_its_inherited_init():
    assert str(signature(Wide)) == "(width: int, height=3)"


def test_check_arguments_leaves_unknown_names_to_a_function_that_takes_them():
    def build(width: int, **kwargs):
        """Take any keyword argument."""

    check_arguments(build, {"widht": 4})
    with pytest.raises(TypeError, match="argument width of build"):
        check_arguments(build, {"width": "4"})
