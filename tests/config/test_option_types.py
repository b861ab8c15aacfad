import math

import pytest

from mindcv.config.option_types import Boolean, Choice, Integer, ListOf, Number, OneOf, Optional, Text


@pytest.mark.parametrize("given", ["True", "true", "yes", "on", "1", True])
def test_words_for_true(given):
    assert Boolean().read(given) is True


@pytest.mark.parametrize("given", ["False", "FALSE", "no", "off", "0", False])
def test_words_for_false(given):
    assert Boolean().read(given) is False


@pytest.mark.parametrize(
    ("given", "value"), [("7e-4", 0.0007), ("1e-6", 1e-6), (".5", 0.5), ("3", 3.0), (3, 3.0), ("-2.5", -2.5)]
)
def test_a_number_is_a_float_however_it_is_written(given, value):
    read = Number().read(given)
    assert read == value
    assert isinstance(read, float)


def test_bounds_are_kept_and_open_ones_excluded():
    kind = Number(above=0, at_most=1)
    assert kind.read("1") == 1
    for outside in ("0", "1.0001", "-1"):
        with pytest.raises(ValueError):
            kind.read(outside)
    kind = Number(at_least=0, below=1)
    assert kind.read("0") == 0
    for outside in ("1", "-0.1"):
        with pytest.raises(ValueError):
            kind.read(outside)


@pytest.mark.parametrize("kind", [Number(), Integer(below=2**31)])
@pytest.mark.parametrize("given", ["fast", "", None, True, [1], "nan", "inf", math.inf, "1e999", 10**400])
def test_what_is_no_number(kind, given):
    with pytest.raises(ValueError):
        kind.read(given)


@pytest.mark.parametrize("given", ["2.5", "2.0", 2.5, "1e3"])
def test_an_integer_has_no_fraction(given):
    with pytest.raises(ValueError):
        Integer().read(given)


def test_a_choice_gives_the_value_itself_not_its_text():
    assert Choice(0, 1).read("1") == 1
    assert Choice(0, 1).read(1) == 1
    with pytest.raises(ValueError):
        Choice(0, 1).read("2")


@pytest.mark.parametrize(
    "given",
    [
        ["0.08", "1.0"],
        "0.08 1.0",
        "0.08,1.0",
        "[0.08, 1.0]",
        "(0.08, 1.0)",
        "0.08 , 1.0",
        ["[0.08,", "1.0]"],
        ["0.08,", "1.0"],
        (0.08, 1.0),
        [0.08, 1],
    ],
)
def test_every_spelling_of_a_list(given):
    assert ListOf(Number(), (2,)).read(given) == (0.08, 1.0)


@pytest.mark.parametrize("given", ["[0.08, 1.0", "0.08", "1 2 3", "", "[]", "1,,2", None, 5, ["a", "b"], {"a": 1}])
def test_what_is_no_pair(given):
    with pytest.raises(ValueError):
        ListOf(Number(), (2,)).read(given)


def test_an_ordered_list_never_falls():
    kind = ListOf(Integer(), ordered=True)
    assert kind.read("1 5 5 9") == (1, 5, 5, 9)
    with pytest.raises(ValueError):
        kind.read("1 5 4")


def test_either_reads_by_the_first_kind_that_can():
    size = OneOf(Integer(at_least=1), ListOf(Integer(at_least=1), (2,)))
    assert size.read("224") == 224
    assert size.read(["256", "128"]) == (256, 128)
    for bad in ("0", ["1", "2", "3"], "x"):
        with pytest.raises(ValueError):
            size.read(bad)


@pytest.mark.parametrize("given", [None, "none", "None", "null", "~", ""])
def test_words_for_none(given):
    assert Optional(Number()).read(given) is None
    assert Optional(Number()).read("0") == 0


def test_text_is_not_empty_unless_it_may_be():
    assert Text().read("none") == "none"
    assert Text(may_be_empty=True).read(None) == ""
    for bad in ("", None, 5, ["a", "b"]):
        with pytest.raises(ValueError):
            Text().read(bad)
