"""List the packages; pyproject.toml has the rest, but cannot combine found packages with one of another folder."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["mindcv*"]), "mindcv.recipes"],
    package_dir={"mindcv.recipes": "configs/convit"},
)
