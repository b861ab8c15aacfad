"""Which folder of the package imports which others, as docs/contributing.md draws it."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "mindcv"
BASE = {"errors", "mindspore_hooks", "version"}  # what every folder may import
DEVICE = {"device"}
ALLOWED = {
    "__init__": {"former_modules"},
    "former_modules": set(),
    "errors": set(),
    "version": set(),
    "device": set(),
    "mindspore_hooks": set(),
    "io": set(),
    "config": {"io"},
    "weights": {"io"},
    "data": {"io"},
    "loss": {"device"},
    "optim": set(),
    "scheduler": set(),
    "graph": {"io"},
    "models": {"weights", "device", "graph"},
    "insight": {"models", "data", "weights", "device", "deploy", "io"},
    "deploy": {"models", "data", "weights", "device", "io"},
    "distributed": {"config", "io", "device"},
    "engine": {
        "config", "io", "device", "weights", "data", "loss", "optim", "scheduler", "models", "insight", "deploy",
        "distributed", "graph",
    },
}  # fmt: skip
ALLOWED["cli"] = ALLOWED["engine"] | {"engine"}
ALLOWED["utils"] = ALLOWED["cli"]  # MindCV's old names; nothing may import them
COMMANDS = {"__main__.py", "report.py"}  # modules that only start a command of `mindcv.cli`: python -m mindcv.weights
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name not in COMMANDS or path.parent.name == "cli")


def imported_folders(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "mindcv":
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.split(".")[0] == "mindcv"]
        for name in names:
            yield name.split(".")[1], node.lineno


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module_imports_only_what_its_folder_may_import(path):
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    allowed = ALLOWED[room] | BASE | {room}
    wrong = [f"line {line}: mindcv.{name}" for name, line in imported_folders(path) if name not in allowed]
    assert not wrong


def test_no_module_imports_mindcvs_old_names():
    assert not [room for room, allowed in ALLOWED.items() if room != "utils" and "utils" in allowed]
