"""Test that pyproject.toml declares every third-party package that `mindcv` imports."""

import ast
import re
import sys
from pathlib import Path

import pytest

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10, where pytest depends on tomli
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
DISTRIBUTIONS = {
    "PIL": "pillow",
    "yaml": "pyyaml",
    "huggingface_hub": "huggingface-hub",
    "tensorboardX": "tensorboardx",
}
OPTIONAL_MODULES = {"mindcv.insight.plots"}  # they import an extra at their top, and are imported inside functions only
MODULES = sorted((ROOT / "mindcv").rglob("*.py"))


def normalised(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def names_of(requirements):
    return {normalised(re.match(r"[\w.-]+", requirement)[0]) for requirement in requirements}


def declared():
    """Return the names of the core dependencies, and of these and all extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    core = names_of(project["dependencies"])
    return core, core.union(*(names_of(extra) for extra in project["optional-dependencies"].values()))


def imports(node, is_deferred=False):
    """Yield (module, is_deferred) of the imports below `node`; deferred ones run in a function or for type checkers."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from ((alias.name, is_deferred) for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and not child.level:
            yield child.module, is_deferred
            yield from ((f"{child.module}.{alias.name}", is_deferred) for alias in child.names)
        else:
            in_function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef))
            for_types = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
            yield from imports(child, is_deferred or in_function or for_types)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_imports_are_declared_in_pyproject(path):
    core, all_declared = declared()
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    undeclared = set()
    for name, is_deferred in imports(ast.parse(path.read_text(encoding="utf-8"))):
        package = name.split(".")[0]
        if package in sys.stdlib_module_names or package == "mindcv":
            continue
        allowed = all_declared if is_deferred or module in OPTIONAL_MODULES else core
        if normalised(DISTRIBUTIONS.get(package, package)) not in allowed:
            undeclared.add(package)
    assert not undeclared


def test_optional_modules_are_imported_inside_functions_only():
    for path in MODULES:
        top_level = {
            name for name, is_deferred in imports(ast.parse(path.read_text(encoding="utf-8"))) if not is_deferred
        }
        assert not top_level & OPTIONAL_MODULES, path
