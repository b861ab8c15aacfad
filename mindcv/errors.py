"""What error messages share: suggestions for unknown names, checks of ranges and units."""

import functools
import inspect
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin

Number = TypeVar("Number", bound=float)

_INSTANCES: dict[type, type | tuple[type, ...]] = {  # of the types that annotations name, as a caller may pass them
    int: Integral, float: Real, str: str, tuple: (tuple, list), list: (tuple, list), NoneType: NoneType,
}  # fmt: skip


def closest(word: object, names: Iterable[object], n: int = 1, cutoff: float = 0.6) -> list[str]:
    """Return the `n` of `names` that are most similar to `word`, best first, whatever their case; [] if none is.

    Args:
        word: What was typed.
        names: What there is.
        n: The most names to return.
        cutoff: Similarity, 0 to 1, below which a name is left out.
    """
    by_folded = {str(name).lower(): str(name) for name in names}
    return [by_folded[match] for match in get_close_matches(str(word).lower(), by_folded, n, cutoff)]


def did_you_mean(word: object, names: Iterable[object], cutoff: float = 0.5) -> str:
    """Return the end of a message about an unknown `word`: "; did you mean X?", or "; choose from A, B, C".

    All `names` are listed if none has a similarity to `word` of at least `cutoff`, 0 to 1.
    """
    names = list(names)
    near = closest(word, names, cutoff=cutoff)
    return f"; did you mean {near[0]!r}?" if near else f"; choose from {', '.join(map(str, names))}"


@functools.cache
def warn_once(message: str) -> None:
    """Log a warning, the first time in this process that it is given."""
    logging.getLogger("mindcv").warning("%s", message)


def printable(text: object) -> str:
    """Return `text`, such as a path, with its control characters and the bytes that are not UTF-8 as escapes.

    A terminal does not obey the result, and it can be encoded: "a\\x1b[2J.jpg", "caf\\xe9.jpg".
    """
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", _escape, str(text))


def _escape(match: re.Match) -> str:
    """Return the escape of a character; of one that stands for a byte that is not UTF-8, that of the byte."""
    code = ord(match[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else repr(match[0])[1:-1]


def require_in_range(
    name: str,
    value: Number,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
) -> Number:
    """Return `value`, or raise a ValueError that names the argument and its range.

    Args:
        name: The argument's name, for the message.
        value: The argument's value; NaN is in no range.
        at_least, above: The lower limit, included or excluded; None for no limit.
        at_most, below: The upper limit, included or excluded; None for no limit.
    """
    limits = {"at least": at_least, "above": above, "at most": at_most, "below": below}
    inside = (
        value == value
        and (at_least is None or value >= at_least)
        and (above is None or value > above)
        and (at_most is None or value <= at_most)
        and (below is None or value < below)
    )
    if not inside:
        wanted = " and ".join(f"{side} {limit}" for side, limit in limits.items() if limit is not None)
        raise ValueError(f"{name} is {value}; it must be {wanted}")
    return value


def explain_unknown(**renamed: str) -> Callable:
    """Decorate a function so that the TypeError about an unknown keyword argument names the one to use.

    The function must not have `**kwargs` itself.

    Args:
        renamed: what to write in place of an argument, by the name that it has in a recipe, in older versions of MindCV
            or in timm.
    """

    def decorate(function: Callable) -> Callable:
        known = inspect.signature(function).parameters

        @functools.wraps(function)
        def checked(*args, **kwargs):
            for name in kwargs.keys() - known.keys():
                raise TypeError(unknown_argument(function.__name__, name, known, renamed))
            return function(*args, **kwargs)

        return checked

    return decorate


def unknown_argument(function: str, name: str, known: Iterable[str], renamed: dict[str, str]) -> str:
    """Return the error message about an argument `name` that `function` does not have.

    Args:
        function: The function's name.
        name: The unknown argument.
        known: The names of the function's arguments.
        renamed: What to write in place of an argument, by the name that it has elsewhere.
    """
    hint = f"; use {renamed[name]}" if name in renamed else did_you_mean(name, known)
    return f"{function} has no argument {name!r}{hint}"


def signature(function: Callable) -> inspect.Signature:
    """Return the signature of a function, or of the `__init__` of a class, without `self`.

    For Python 3.10, whose `inspect.signature` shows an inherited `__new__`, such as that of `nn.Cell`, in place of an
    inherited `__init__`.
    """
    if not inspect.isclass(function):
        return inspect.signature(function)
    full = inspect.signature(function.__init__)
    return full.replace(parameters=list(full.parameters.values())[1:])


def check_arguments(function: Callable, arguments: Mapping[str, Any]) -> None:
    """Check keyword arguments against the signature of a function or class, which is not called.

    Types are checked where the annotation consists of numbers, bool, str, tuple, list and None; the types of their
    elements are not.

    Raises:
        TypeError: `function` has no such argument, or an argument is not of its type; the message is one line.
    """
    parameters = signature(function).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        arguments = {name: value for name, value in arguments.items() if name in parameters}
    for name, value in arguments.items():
        if name not in parameters:
            raise TypeError(unknown_argument(function.__name__, name, parameters, {}))
        annotation = parameters[name].annotation
        if not _is_of(annotation, value):
            raise TypeError(
                f"argument {name} of {function.__name__} is {value!r}; it must be "
                f"{inspect.formatannotation(annotation)}"
            )


def _is_of(annotation, value) -> bool:
    """Return whether `value` is of the annotated type; True for annotations that `check_arguments` does not check."""
    alternatives = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    kinds = {get_origin(kind) or kind for kind in alternatives}
    if not kinds <= {bool, *_INSTANCES}:
        return True
    if isinstance(value, bool):
        return bool in kinds
    return any(isinstance(value, _INSTANCES[kind]) for kind in kinds - {bool})


def pixel_scale_mistake(mean: Sequence[float], std: Sequence[float]) -> str | None:
    """Return what is wrong with a mean and a std, one value per channel, if they are for pixels of 0 to 1; else None.

    No images have such figures on the scale of 0 to 255: their standard deviation would be below one grey level. A mean
    of 0 with a standard deviation of 1 passes: it leaves pixels as they are, from 0 to 255.
    """
    if any(value < 1 for value in std) or (any(mean) and all(-1 < value < 1 for value in mean)):
        return (
            f"mean {_typed(mean)} and std {_typed(std)} are for pixels of 0 to 1, but pixels here go from 0 to 255: "
            f"multiply both by 255, as in mean {_typed(255 * m for m in mean)}, std {_typed(255 * s for s in std)}"
        )
    return None


def _typed(values) -> str:
    """Return numbers as a user types them, with spaces between them."""
    return " ".join(f"{value:g}" for value in values)
