"""Test that the workflows on GitHub run commands that the repository has."""

import os
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
ACTION = re.compile(r"actions/[a-z-]+@v\d+")
EXPRESSION = re.compile(r"\$\{\{ *matrix\.(\w+) *\}\}")


def jobs(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values()


def commands(path):
    """Return the commands of a workflow, once for each entry of its matrix."""
    return [
        EXPRESSION.sub(lambda found, entry=entry: str(entry[found[1]]), step["run"])
        for job in jobs(path)
        for step in job["steps"]
        if "run" in step
        for entry in job.get("strategy", {}).get("matrix", {}).get("include", [{}])
    ]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_jobs_have_a_timeout_and_actions_of_a_major_version(path):
    for job in jobs(path):
        assert job["timeout-minutes"] <= 120
        assert all(ACTION.fullmatch(step["uses"]) for step in job["steps"] if "uses" in step)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_commands_are_scripts_or_make_targets_of_the_repository(path):
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    assert commands(path)
    for program, *words in map(str.split, commands(path)):
        if program == "make":
            assert words[0] in targets
            assert all(re.fullmatch(r"[A-Z]+=[\w.]+", word) for word in words[1:])
        else:
            assert not words
            assert os.access(ROOT / program, os.X_OK)


def test_version_legs_are_the_promised_ones():
    assert commands(ROOT / ".github/workflows/versions.yml") == [
        f"make test-version MINDSPORE={mindspore} PYTHON=python{python}"
        for mindspore, python in [("2.7.0", "3.10"), ("2.8.0", "3.11"), ("2.9.0", "3.12"), ("2.10.0", "3.11")]
    ]
