"""Find the recipes that ship with the package."""

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
_INSTALLED, _CHECKOUT = _PACKAGE / "recipes", _PACKAGE.parent / "configs"


def recipe_names() -> list[str]:
    """Return the sorted names of the shipped recipes, without ".yaml"."""
    return sorted(_recipes())


def find_recipe(name: str) -> str:
    """Return the path of the shipped recipe `name`; an existing path or any other name is returned unchanged."""
    recipes = _recipes()
    return name if name not in recipes or Path(name).exists() else str(recipes[name])


def _recipes() -> dict[str, Path]:
    """Return the path of each recipe by its name: those in the folders of an installed package, or of a checkout."""
    folder = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT
    return {path.stem: path for path in folder.glob("*/*.yaml")}
