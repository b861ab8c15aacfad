"""Find the recipes that ship with the package."""

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
_INSTALLED, _CHECKOUT = _PACKAGE / "recipes", _PACKAGE.parent / "configs/convit"


def recipe_names() -> list[str]:
    """Return the sorted names of the shipped recipes, without ".yaml"."""
    return sorted(path.stem for path in _folder().glob("*.yaml"))


def find_recipe(name: str) -> str:
    """Return the path of the shipped recipe `name`; an existing path or any other name is returned unchanged."""
    return name if name not in recipe_names() or Path(name).exists() else str(_folder() / f"{name}.yaml")


def _folder() -> Path:
    """Return the folder of the recipes: in an installed package, or in a checkout."""
    return _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT
