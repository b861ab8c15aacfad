"""The Python blocks and commands of the documents run, in the order of the page, except where a reason is given."""

import os
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mindcv.cli.data import build_parser as data_parser
from mindcv.cli.insight import build_parser as insight_parser
from mindcv.cli.report import build_parser as report_parser
from mindcv.cli.weights import build_parser as weights_parser
from mindcv.config import parse
from tests.documents.reading import DOCUMENTS, PAIRS, REASONS, ROOT, blocks, commands

MODULES = {"mindcv.data": data_parser, "mindcv.weights": weights_parser, "mindcv.engine.report": report_parser}
COMMANDS = ("train", "validate", "infer", "export")
SCRIPTS = [f"{name}.py" for name in COMMANDS]

# Options that keep a command short, where it does not set them itself.
QUICK = {"--mode": "1", "--epoch_size": "1", "--num_parallel_workers": "2"}
ON_DIGITS = {"--num_samples": "64", "--batch_size": "32"}
ON_IMAGES = {"--num_samples": "8", "--batch_size": "4"}

# In place of scikit-image's module of photos, which is not among the test requirements.
PHOTOS = """
import numpy as np

def brick():
    return np.random.default_rng(0).integers(0, 256, (512, 512), np.uint8)

grass = gravel = brick
"""


@pytest.mark.parametrize("document", DOCUMENTS)
def test_blocks_that_are_not_run_give_a_known_reason(document):
    assert {block.reason for block in blocks(document)} <= {*REASONS, None}
    assert (ROOT / document).read_text().count("<!-- not run:") == sum(b.reason is not None for b in blocks(document))


def shell_commands():
    """Return (document, command) of every shell block."""
    return [
        (document, line)
        for document in DOCUMENTS
        for b in blocks(document)
        if b.language == "shell"
        for line in commands(b)
    ]


@pytest.mark.parametrize(("document", "line"), shell_commands())
def test_command_is_accepted_by_its_parser(document, line, monkeypatch):
    """The real parsers accept the command, whether the tests run it or not."""
    monkeypatch.chdir(ROOT)
    words = shlex.split(line)
    if words[0] == "msrun":
        words = ["python", *words[next(i for i, word in enumerate(words) if word in SCRIPTS) :]]
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.M)
    elif words[0] == "python" and words[1] in SCRIPTS:
        _check(words[1], words[2:])
    elif words[0] == "mindcv":
        others = (
            "list",
            "info",
            "recipe",
            "benchmark",
            "doctor",
            "insight",
            "explore",
            "inspect",
            "convert",
            "clean",
            "average",
            "data",
            "report",
            "--help",
            "--version",
        )
        assert words[1] in (*COMMANDS, *others)
        if words[1] in COMMANDS:
            _check(words[1], words[2:])
        elif words[1] == "insight":
            _check("infer", insight_parser().parse_known_args(words[2:])[1])
        elif words[1] in ("recipe", "benchmark", "doctor", "explore", "clean", "average"):
            parser = import_module(f"mindcv.cli.{words[1]}").build_parser()
            _check("", parser.parse_known_args(words[2 : words.index(">") if ">" in words else None])[1])
        elif f"mindcv.{words[1]}" in MODULES:
            MODULES[f"mindcv.{words[1]}"]().parse_args(words[2:])
        elif words[1] in ("inspect", "convert"):
            weights_parser().parse_args(words[1:])
        elif words[1] == "report":
            report_parser().parse_args(words[2:])
    elif words[:2] == ["python", "-m"] and words[2] in MODULES:
        MODULES[words[2]]().parse_args(words[3:])
    else:
        assert words[0] in ("pip", "source", ".") or words[:2] == ["python", "-c"] or words[1:3] == ["-m", "venv"]


def _check(script, words):
    """Assert that the script's parser accepts `words`; files that an earlier command writes are left out."""
    if "--help" in words:
        return
    words = " ".join(map(shlex.quote, words))
    words = re.sub(r"--ckpt_path \S+|--config (ckpt/|runs?/|mine)\S+", "", words)
    assert parse(shlex.split(words), prog=script)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder with the project's scripts and recipes, as a reader has it, and a reader's images and photos."""
    here = tmp_path / "project"
    here.mkdir()
    for name in (*SCRIPTS, "config.py", "configs", "notebooks"):
        (here / name).symlink_to(ROOT / name)
    rng = np.random.default_rng(0)
    places = [f"my_images/{split}/{name}" for split in ("train", "val") for name in ("cat", "dog")]
    for place in [*places, "photos"]:
        (here / place).mkdir(parents=True)
        for i in range(4):
            Image.fromarray(rng.integers(0, 256, (40, 50, 3), np.uint8)).save(here / place / f"{i}.jpg")
    (here / "skimage").mkdir()
    (here / "skimage" / "data.py").write_text(PHOTOS)
    monkeypatch.setenv("MINDCV_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    return here


@pytest.mark.slow
@pytest.mark.parametrize("document", [english for english, _ in PAIRS])
def test_blocks_of_a_page_run_in_order(document, folder):
    """Only English pages: test_documents.py checks that the Chinese ones have the same blocks."""
    for block in blocks(document):
        if block.reason or block.language not in ("python", "shell"):
            continue
        if named := re.match(r"# (\w+\.py)\n", block.text):  # the reader saves it under this name
            (folder / named[1]).write_text(block.text)
            continue
        lines = [_quick(line) for line in commands(block)] if block.language == "shell" else []
        script = "\n".join(["set -e", *lines]) if lines else block.text
        program = ["bash", "-c"] if lines else [sys.executable, "-c"]
        done = subprocess.run([*program, script], cwd=folder, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"


def _quick(line):
    """Return a command with options that keep it short."""
    if not re.match(rf"(python|mindcv) ({'|'.join(COMMANDS)})\b", line) or "--help" in line:
        return line
    if "--resume" in line and "--config" not in line:
        return line  # the run that is resumed has the short options
    more = QUICK | (ON_DIGITS if re.search(r"(--config|-c) \S*digits", line) else ON_IMAGES)
    return " ".join([line, *(f"{name} {value}" for name, value in more.items() if name not in line)])
