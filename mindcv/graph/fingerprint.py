"""What the graph of a cell depends on: a description of the cell and of everything that it holds."""

import functools
import hashlib
import types
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any

import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from mindcv.mindspore_hooks import NOT_IN_GRAPH, ComposedOp, Dtype

_PLAIN = (type(None), bool, int, float, complex, str, bytes, np.generic, np.dtype, Dtype)
_FROM_C = ("builtins", "pybind11_builtins", "mindspore._c_expression")  # modules of classes with a hidden state


class UnknownObject(TypeError):
    """A cell holds an object of which it is not known what a graph takes from it."""


class Fingerprint:
    """Describes a cell: the graphs of two cells with equal digests differ in nothing but the values of parameters.

    The description has the classes, the values of all attributes, and the shape and dtype of each parameter, of the
    cell and of whatever it holds. Only their names stand for classes and functions: their code is not described. A cell
    may have a method `unused_attributes` that returns the names of those that its graph does not depend on at present.

    Args:
        cell: The cell.
        names: Whether the names of the parameters belong to the description.

    Attributes:
        digest: SHA-256 of the description, in hexadecimal digits.
        modules: Names of the modules that define the classes and functions.
        parameters: The parameters that were found.

    Raises:
        UnknownObject: the cell holds an object whose part in the graph is not known.
    """

    def __init__(self, cell: nn.Cell, names: bool):
        self.names = names
        self.modules: set[str] = set()
        self.parameters: list[Parameter] = []
        self._numbers: dict[int, int] = {}  # of the objects described so far, by id
        self._objects: list[Any] = []  # keeps them, so that no other object gets the id of one
        digest = hashlib.sha256()
        for part in self._describe(cell):
            digest.update(f"{len(part)} ".encode() + part)
        self.digest = digest.hexdigest()

    def _describe(self, value: Any) -> Iterator[bytes]:
        """Yield the description of `value` in parts: in full the first time, later by its number."""
        if isinstance(value, _PLAIN) or hasattr(type(value), "__members__"):  # an enumeration, of Python or C++
            yield f"{type(value).__qualname__} {value!r}".encode()
        elif (number := self._numbers.setdefault(id(value), len(self._numbers))) < len(self._objects):
            yield f"object {number}".encode()
        else:
            self._objects.append(value)
            yield from self._describe_object(value)

    def _describe_object(self, value: Any) -> Iterator[bytes]:
        """Yield the description of an object that is not a constant of Python."""
        match value:
            case Parameter():
                self.parameters.append(value)
                name = value.name if self.names else ""
                yield f"parameter {name} {value.shape} {value.dtype} {value.requires_grad}".encode()
            case Tensor():
                yield f"tensor {value.shape} {value.dtype}".encode()
                yield value.asnumpy().tobytes()
            case np.ndarray() if value.dtype != object:
                yield f"array {value.shape} {value.dtype}".encode()
                yield value.tobytes()
            case tuple() | list():
                yield from self._describe_all(type(value), value)
            case Mapping():
                yield from self._describe_all(type(value), (part for item in value.items() for part in item))
            case Set() if all(isinstance(item, _PLAIN) for item in value):
                yield from self._describe_all(type(value), sorted(value, key=repr))
            case type():
                yield self._name(value)
            case functools.partial():
                yield from self._describe_all(type(value), (value.func, value.args, value.keywords))
            case types.MethodType():
                yield from self._describe_all(type(value), (value.__func__, value.__self__))
            case types.FunctionType():
                yield self._name(value)
                yield from self._describe_all(type(value), _held_by(value))
            case nn.Cell():
                yield from self._describe_all(type(value), (_attributes(value),))
            case _ if isinstance(value, ops.Primitive | ComposedOp) or _is_of_python_alone(type(value)):
                yield from self._describe_all(type(value), (vars(value),))
            case _:
                raise UnknownObject(f"{type(value).__module__}.{type(value).__qualname__}")

    def _describe_all(self, kind: type, values: Iterable) -> Iterator[bytes]:
        """Yield the description of an object of a class `kind` by the `values` that it holds, in order."""
        yield self._name(kind)
        self.modules.update(base.__module__ for base in kind.__mro__)
        for value in values:
            yield from self._describe(value)
        yield b"end"

    def _name(self, definition: type | types.FunctionType) -> bytes:
        """Return the full name of a class or function, and note its module."""
        self.modules.add(definition.__module__)
        return f"{definition.__module__}.{definition.__qualname__}".encode()


def _attributes(cell: nn.Cell) -> dict[str, Any]:
    """Return the attributes of a cell that its graph depends on, by name."""
    unused = {*NOT_IN_GRAPH, *getattr(cell, "unused_attributes", tuple)()}
    return {
        name: value
        for name, value in vars(cell).items()
        if name not in unused and not (name.startswith("_lazy_") and not value)  # hooks: None or an empty dict
    }


def _held_by(function: types.FunctionType) -> tuple:
    """Return what a function holds besides its code: variables of its closure, defaults, and attributes."""
    names = function.__code__.co_freevars
    variables = dict(zip(names, (cell.cell_contents for cell in function.__closure__ or ()), strict=True))
    held = {**variables, **vars(function)}
    held = {name: value for name, value in held.items() if name not in NOT_IN_GRAPH}
    return held, function.__defaults__, function.__kwdefaults__


def _is_of_python_alone(kind: type) -> bool:
    """Return whether all the state of the instances of a class is in their attributes."""
    bases = [base for base in kind.__mro__ if base is not object]
    return bool(kind.__dictoffset__) and not any(
        base.__module__.startswith(_FROM_C) or vars(base).get("__slots__") for base in bases
    )
