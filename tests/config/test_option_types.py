import math

import pytest

from mindcv.config.option_types import (
    Boolean,
    Choice,
    FilePath,
    FilePaths,
    Integer,
    ListOf,
    NamedValues,
    Number,
    OneOf,
    Optional,
    Text,
    show,
)


@pytest.mark.parametrize(
    ("type", "annotation"),
    [
        (Boolean(), bool),
        (Number(), float),
        (Integer(), int),
        (Text(), str),
        (FilePath(), str),
        (FilePaths(), tuple[str, ...]),
        (Choice("a", "b"), str),
        (Choice(0, 1), int),
        (ListOf(Integer()), tuple[int, ...]),
        (ListOf(Number(), (2,)), tuple[float, float]),
        (ListOf(Number(), (1, 3)), tuple[float, ...]),
        (OneOf(Integer(), ListOf(Integer(), (2,))), int | tuple[int, int]),
        (Optional(Choice("a")), str | None),
        (NamedValues(), dict),
    ],
)
def test_annotation_is_the_type_that_read_returns(type, annotation):
    assert type.annotation == annotation


@pytest.mark.parametrize("given", ["True", "true", "yes", "on", "1", True])
def test_boolean_reads_words_for_true(given):
    assert Boolean().read(given) is True


@pytest.mark.parametrize("given", ["False", "FALSE", "no", "off", "0", False])
def test_boolean_reads_words_for_false(given):
    assert Boolean().read(given) is False


@pytest.mark.parametrize(
    ("given", "value"), [("7e-4", 0.0007), ("1e-6", 1e-6), (".5", 0.5), ("3", 3.0), (3, 3.0), ("-2.5", -2.5)]
)
def test_number_reads_every_notation_as_float(given, value):
    read = Number().read(given)
    assert read == value
    assert isinstance(read, float)


def test_number_refuses_values_outside_its_limits():
    number = Number(above=0, at_most=1)
    assert number.read("1") == 1
    for outside in ("0", "1.0001", "-1"):
        with pytest.raises(ValueError):
            number.read(outside)
    number = Number(at_least=0, below=1)
    assert number.read("0") == 0
    for outside in ("1", "-0.1"):
        with pytest.raises(ValueError):
            number.read(outside)


@pytest.mark.parametrize("number", [Number(), Integer(below=2**31)])
@pytest.mark.parametrize("given", ["fast", "", None, True, [1], "nan", "inf", math.inf, "1e999", 10**400])
def test_number_refuses_other_values(number, given):
    with pytest.raises(ValueError):
        number.read(given)


@pytest.mark.parametrize("given", ["2.5", "2.0", 2.5, "1e3"])
def test_integer_refuses_a_decimal_point(given):
    with pytest.raises(ValueError):
        Integer().read(given)


def test_choice_returns_the_value_and_not_its_text():
    assert Choice(0, 1).read("1") == 1
    assert Choice(0, 1).read(1) == 1
    with pytest.raises(ValueError):
        Choice(0, 1).read("2")


def test_choice_ignores_the_case():
    assert Choice("Ascend", "CPU").read("cpu") == "CPU"


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
def test_list_reads_every_spelling(given):
    assert ListOf(Number(), (2,)).read(given) == (0.08, 1.0)


@pytest.mark.parametrize("given", ["[0.08, 1.0", "0.08", "1 2 3", "", "[]", "1,,2", None, 5, ["a", "b"], {"a": 1}])
def test_list_of_two_refuses_other_values(given):
    with pytest.raises(ValueError):
        ListOf(Number(), (2,)).read(given)


def test_ordered_list_refuses_decreasing_values():
    ordered = ListOf(Integer(), ordered=True)
    assert ordered.read("1 5 5 9") == (1, 5, 5, 9)
    with pytest.raises(ValueError):
        ordered.read("1 5 4")


def test_one_of_reads_by_the_first_type_that_accepts():
    size = OneOf(Integer(at_least=1), ListOf(Integer(at_least=1), (2,)))
    assert size.read("224") == 224
    assert size.read(["256", "128"]) == (256, 128)
    for bad in ("0", ["1", "2", "3"], "x"):
        with pytest.raises(ValueError):
            size.read(bad)


@pytest.mark.parametrize("given", [None, "none", "None", "null", "~", ""])
def test_optional_reads_words_for_none(given):
    assert Optional(Number()).read(given) is None
    assert Optional(Number()).read("0") == 0


def test_text_refuses_the_empty_string_unless_it_may_be_empty():
    assert Text().read("none") == "none"
    assert Text(may_be_empty=True).read(None) == ""
    for bad in ("", None, 5, ["a", "b"]):
        with pytest.raises(ValueError):
            Text().read(bad)


@pytest.mark.parametrize(
    "given",
    [
        ["depth=4", "rate=1e-3", "bias=True", "act=none", "sizes=[1, 2]", "name=x"],
        "name=x,sizes=[1,2] act=~ bias=yes rate=0.001,depth=4",
        {"depth": "4", "rate": "1e-3", "bias": "true", "act": None, "sizes": ["1", "2"], "name": "x"},
        {"depth": 4, "rate": 0.001, "bias": True, "act": None, "sizes": (1, 2), "name": "x"},
        [("depth", "4"), ("rate", "1e-3"), ("bias", "on"), ("act", "null"), ("sizes", ["1", "2"]), ("name", "x")],
    ],
)
def test_named_values_reads_words_text_and_mappings_alike(given):
    value = NamedValues().read(given)
    assert value == {"act": None, "bias": True, "depth": 4, "name": "x", "rate": 0.001, "sizes": (1, 2)}
    assert list(value) == sorted(value)
    assert type(value["depth"]) is int
    assert value["bias"] is True
    assert hash(value) == hash(NamedValues().read(value))
    assert NamedValues().read(show(value)) == value


@pytest.mark.parametrize(
    "given",
    [
        "depth",
        "=4",
        "1a=4",
        "a = 4",
        "",
        [],
        {},
        {1: 2},
        {"a": {}},
        {"a": {"b": 1}},
        4,
        True,
        [4],
        "a=1 a=2",
        "a=",
        "a= b=1",
    ],
)
def test_named_values_refuses_other_forms(given):
    with pytest.raises(ValueError):
        NamedValues().read(given)
