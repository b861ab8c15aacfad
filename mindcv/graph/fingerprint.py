"""What the graph of a cell depends on: a description of the cell and of everything that it holds."""

import functools
import hashlib
import inspect
import logging
import sys
import types
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from mindcv.mindspore_hooks import NOT_IN_GRAPH, ComposedOp, Dtype

_CONSTANTS = {type(None), type(...), bool, int, float, complex, str, bytes}
_FROM_C = ("builtins", "pybind11_builtins", "mindspore._c_expression")  # modules of classes with a hidden state
_VERSIONED = {*sys.stdlib_module_names, "mindspore", "numpy", "pybind11_builtins"}


def is_described_by_version(module: str) -> bool:
    """Return whether a module is Python's, MindSpore's or NumPy's, whose versions say all about it."""
    return module.partition(".")[0] in _VERSIONED or module.startswith("namedtuple_")  # as Python names it


class UnknownObject(TypeError):
    """A cell holds an object of which it is not known what a graph takes from it."""


class Fingerprint:
    """Describes a cell: the graphs of two cells with equal digests differ in nothing but the values of parameters.

    The description has the classes, the values of all attributes, and the shape and dtype of each parameter, of the
    cell and of whatever it holds. A cell may have a method `unused_attributes` that returns the names of those that its
    graph does not depend on at present.

    Args:
        cell: The cell.
        for_other_processes: Whether the digest is compared with those of other processes. If so, the description
            includes the names of the parameters, the code, and the values of the variables that the code uses. If not,
            classes and functions are distinguished by their identity.

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

    def is_of_this_package(self) -> bool:
        """Return whether all code is of this package, MindSpore, NumPy or Python."""
        return all(name.startswith("mindcv.") or is_described_by_version(name) for name in self.modules)

    def has_only(self, parameters: Iterable[Parameter]) -> bool:
        """Return whether all parameters that were found are among `parameters`: the same objects."""
        known = set(map(id, parameters))
        return all(id(parameter) in known for parameter in self.parameters)

    def _describe(self, value: Any) -> Iterator[bytes]:
        """Yield the description of `value` in parts: in full the first time, later by its number."""
        is_enumeration = hasattr(type(value), "__members__")  # of Python or C++
        if type(value) in _CONSTANTS or isinstance(value, np.generic | np.dtype | Dtype) or is_enumeration:
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
            case ops.Primitive() if "Seed0" in value.attrs:
                raise UnknownObject("random operation, whose seed may be set when it is compiled")
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
        """Yield the full name of a class or function and, the first time, what its code is and depends on."""
        yield f"{definition.__module__}.{definition.__qualname__}".encode()
        if id(definition) in self._definitions:
            return
        self._definitions[id(definition)] = definition
        bases = definition.__mro__ if isinstance(definition, type) else (definition,)
        self.modules.update(base.__module__ for base in bases)
        if not self.for_other_processes:
            yield str(id(definition)).encode()
            return
        for base in bases:
            if not is_described_by_version(base.__module__):
                for name, value in _variables_of(base):
                    yield name.encode()
                    yield from self._describe_variable(value, base.__module__)

    def _describe_variable(self, value: Any, module: str) -> Iterator[bytes]:
        """Yield the description of a variable that code of `module` uses.

        Modules, loggers and, in this package, unknown objects are left out: its graphs hold none.
        """
        if isinstance(value, types.ModuleType | logging.Logger):
            return
        objects, definitions = len(self._objects), len(self._definitions)
        try:
            description = list(self._describe(value))
        except UnknownObject:
            for described in self._objects[objects:]:
                del self._numbers[id(described)]
            del self._objects[objects:]
            self._definitions = dict(list(self._definitions.items())[:definitions])
            if not module.startswith("mindcv."):
                raise
        else:
            yield from description


def _variables_of(definition: type | types.FunctionType) -> Iterator[tuple[str, Any]]:
    """Yield what a class or function depends on, by name: its methods or code, and the variables that the code uses."""
    if isinstance(definition, type):
        for name, value in vars(definition).items():
            function = getattr(value, "fget", None) or getattr(value, "__func__", value)
            if isinstance(function, types.FunctionType) or not name.startswith("__"):
                yield name, function
        return
    function = inspect.unwrap(definition)
    yield "code", _description_of(function.__code__)
    names = list(_names_in(function.__code__))
    scopes = [function.__globals__]
    for scope in scopes:  # which grows
        for module in filter(_is_module, map(scope.get, names)):
            if all(vars(module) is not known for known in scopes):
                scopes.append(vars(module))
    yield from ((name, scope[name]) for scope in scopes for name in names if name in scope)


def _is_module(value: Any) -> bool:
    """Return whether a value is a module whose variables no version describes."""
    return isinstance(value, types.ModuleType) and not is_described_by_version(value.__name__)


def _description_of(code: types.CodeType) -> tuple:
    """Return instructions, names and constants of a function's code, those of the functions inside it included."""
    constants = [_description_of(item) if isinstance(item, types.CodeType) else item for item in code.co_consts]
    return code.co_code, code.co_names, code.co_varnames, code.co_freevars, tuple(constants)


def _names_in(code: types.CodeType) -> Iterator[str]:
    """Yield the names of variables and attributes in the code of a function and of the functions inside it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names_in(constant)


def _attributes(cell: nn.Cell) -> dict[str, Any]:
    """Return the attributes of a cell that its graph depends on, by name."""
    unused, kinds = set(NOT_IN_GRAPH), type(cell).__mro__
    owner = next((kind for kind in kinds if "unused_attributes" in vars(kind)), None)
    if owner and owner is next(kind for kind in kinds if "construct" in vars(kind)):  # else it is of another graph
        unused |= {*cell.unused_attributes()}
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
    if is_described_by_version(function.__module__):
        held = {name: value for name, value in held.items() if name not in NOT_IN_GRAPH}
    return held, function.__defaults__, function.__kwdefaults__


def _is_of_python_alone(kind: type) -> bool:
    """Return whether all the state of the instances of a class is in their attributes."""
    bases = [base for base in kind.__mro__ if base is not object]
    return bool(kind.__dictoffset__) and not any(
        base.__module__.startswith(_FROM_C) or vars(base).get("__slots__") for base in bases
    )
