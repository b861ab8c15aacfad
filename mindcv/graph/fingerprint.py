"""What the graph of a cell depends on: a description of the cell and of everything that it holds."""

import functools
import hashlib
import inspect
import sys
import types
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from mindcv.mindspore_hooks import NOT_IN_GRAPH, ComposedOp, Dtype

_PLAIN = (type(None), bool, int, float, complex, str, bytes, np.generic, np.dtype, Dtype)
_FROM_C = ("builtins", "pybind11_builtins", "mindspore._c_expression")  # modules of classes with a hidden state

_VERSIONED = {*sys.stdlib_module_names, "mindspore", "numpy"}


def is_described_by_version(module: str) -> bool:
    """Return whether a module is Python's, MindSpore's or NumPy's, whose versions say all about it."""
    return module.partition(".")[0] in _VERSIONED


class UnknownObject(TypeError):
    """A cell holds an object of which it is not known what a graph takes from it."""


class Fingerprint:
    """Describes a cell: the graphs of two cells with equal digests differ in nothing but the values of parameters.

    The description has the classes, the values of all attributes, and the shape and dtype of each parameter, of the
    cell and of whatever it holds. A cell may have a method `unused_attributes` that returns the names of those that its
    graph does not depend on at present.

    Args:
        cell: The cell.
        for_other_processes: Whether the description also has what may differ between processes only: the names of the
            parameters, and the values of the variables of modules and classes that the code uses. Names alone stand for
            the code itself.

    Attributes:
        digest: SHA-256 of the description, in hexadecimal digits.
        modules: Names of the modules that define the classes and functions.
        parameters: The parameters that were found.

    Raises:
        UnknownObject: the cell holds an object whose part in the graph is not known.
    """

    def __init__(self, cell: nn.Cell, for_other_processes: bool):
        self.for_other_processes = for_other_processes
        self.modules: set[str] = set()
        self.parameters: list[Parameter] = []
        self._numbers: dict[int, int] = {}  # of the objects described so far, by id
        self._objects: list[Any] = []  # keeps them, so that no other object gets the id of one
        self._definitions: dict[int, Any] = {}  # classes and functions described so far, by id
        digest = hashlib.sha256()
        for part in self._describe(cell):
            digest.update(f"{len(part)} ".encode() + part)
        self.digest = digest.hexdigest()

    def _describe(self, value: Any) -> Iterator[bytes]:
        """Yield the description of `value` in parts: in full the first time, later by its number."""
        if isinstance(value, _PLAIN) or hasattr(type(value), "__members__"):  # an enumeration, of Python or C++
            yield f"{type(value).__qualname__} {value!r}".encode()
        elif isinstance(value, tuple | frozenset):  # equal constants may be one object or several
            yield from self._describe_all(
                type(value), sorted(value, key=repr) if isinstance(value, frozenset) else value
            )
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
                name = value.name if self.for_other_processes else ""
                yield f"parameter {name} {value.shape} {value.dtype} {value.requires_grad}".encode()
            case Tensor():
                yield f"tensor {value.shape} {value.dtype}".encode()
                yield value.asnumpy().tobytes()
            case np.ndarray() if value.dtype != object:
                yield f"array {value.shape} {value.dtype}".encode()
                yield value.tobytes()
            case list():
                yield from self._describe_all(type(value), value)
            case dict():
                yield from self._describe_all(type(value), (part for item in value.items() for part in item))
            case set():
                yield from self._describe_all(type(value), sorted(value, key=repr))
            case type():
                yield from self._describe_definition(value)
            case functools.partial():
                yield from self._describe_all(type(value), (value.func, value.args, value.keywords))
            case types.MethodType():
                yield from self._describe_all(type(value), (value.__func__, value.__self__))
            case types.FunctionType():
                yield from self._describe_definition(value)
                yield from self._describe_all(type(value), _held_by(value))
            case nn.Cell():
                yield from self._describe_all(type(value), (_attributes(value),))
            case _ if isinstance(value, ops.Primitive | ComposedOp) or _is_of_python_alone(type(value)):
                yield from self._describe_all(type(value), (vars(value),))
            case _:
                raise UnknownObject(f"{type(value).__module__}.{type(value).__qualname__}")

    def _describe_all(self, kind: type, values: Iterable) -> Iterator[bytes]:
        """Yield the description of an object of a class `kind` by the `values` that it holds, in order."""
        yield from self._describe_definition(kind)
        for value in values:
            yield from self._describe(value)
        yield b"end"

    def _describe_definition(self, definition: type | types.FunctionType) -> Iterator[bytes]:
        """Yield the full name of a class or function and, for other processes, the variables that its code uses."""
        yield f"{definition.__module__}.{definition.__qualname__}".encode()
        if id(definition) in self._definitions:
            return
        self._definitions[id(definition)] = definition
        bases = definition.__mro__ if isinstance(definition, type) else (definition,)
        self.modules.update(base.__module__ for base in bases)
        if self.for_other_processes:
            for base in bases:
                if not is_described_by_version(base.__module__):
                    for name, value in _variables_of(base):
                        yield name.encode()
                        yield from self._describe_variable(value)

    def _describe_variable(self, value: Any) -> Iterator[bytes]:
        """Yield the description of a variable of a module or class, nothing if no graph can hold such an object."""
        if isinstance(value, type | types.FunctionType):
            yield from self._describe_definition(value)
            return
        objects, definitions = len(self._objects), len(self._definitions)
        try:
            description = list(self._describe(value))
        except UnknownObject:
            for described in self._objects[objects:]:
                del self._numbers[id(described)]
            del self._objects[objects:]
            self._definitions = dict(list(self._definitions.items())[:definitions])
        else:
            yield from description


def _variables_of(definition: type | types.FunctionType) -> Iterator[tuple[str, Any]]:
    """Yield the variables, by name, of a class that are no methods, and those of modules that code of it uses."""
    if isinstance(definition, type):
        for name, value in vars(definition).items():
            function = getattr(value, "fget", None) or getattr(value, "__func__", value)
            if isinstance(function, types.FunctionType):
                yield from _variables_of(function)
            elif not name.startswith("__"):
                yield name, value
        return
    function = inspect.unwrap(definition)
    names = list(_names_in(function.__code__))
    scopes = [function.__globals__]
    for module in (function.__globals__.get(name) for name in names):
        if isinstance(module, types.ModuleType) and not is_described_by_version(module.__name__):
            scopes.append(vars(module))
    yield from ((name, scope[name]) for scope in scopes for name in names if name in scope)


def _names_in(code: types.CodeType) -> Iterator[str]:
    """Yield the names of variables and attributes in the code of a function and of the functions inside it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names_in(constant)


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
