"""Thin on purpose: all else is in pyproject.toml, which cannot say both "all packages" and "one from elsewhere"."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["mindcv*"]), "mindcv.recipes"],
    package_dir={"mindcv.recipes": "configs/convit"},
)
