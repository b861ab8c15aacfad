"""The recipes that ship with the package, by name."""

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
_INSTALLED, _CHECKOUT = _PACKAGE / "recipes", _PACKAGE.parent / "configs/convit"


def recipe_names() -> list[str]:
    """Their names, sorted: those of the files without .yaml."""
    return sorted(path.stem for path in _folder().glob("*.yaml"))


def find_recipe(name: str) -> str:
    """The path of the shipped recipe `name`; a path, and a name that none has, come back as they are."""
    return name if name not in recipe_names() or Path(name).exists() else str(_folder() / f"{name}.yaml")


def _folder() -> Path:
    return _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT
