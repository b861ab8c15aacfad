import math
import os
from pathlib import Path

import pytest

from mindcv.errors import closest, did_you_mean, printable, require_in_range


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
