"""List the packages; pyproject.toml has the rest, but cannot combine found packages with those of another folder."""

from pathlib import Path

from setuptools import find_packages, setup

folders = {path.parent.name for path in Path(__file__).parent.glob("configs/*/*.yaml")}
recipes = {f"mindcv.recipes.{name}": f"configs/{name}" for name in sorted(folders)}

setup(packages=[*find_packages(include=["mindcv*"]), *recipes], package_dir=recipes)
