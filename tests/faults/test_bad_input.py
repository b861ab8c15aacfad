"""Each row of docs/errors.md: the mistake is made, and the program prints the line of the row."""

import logging
import re
from pathlib import Path

import pytest

from mindcv.cli import scripts
from tests.faults.bad_input import ROWS, Bench, linked, train

DOCUMENT = Path(__file__).parents[2] / "docs/errors.md"
DOCUMENTED = dict(re.findall(r"^\| (.+?) \| (.+) \|$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE))
DOCUMENTED = {what: line for what, line in DOCUMENTED.items() if what not in ("what", "---")}
CODES = {
    "a learning rate that blows the loss up": scripts.DIVERGED,
    "weights that are not finite, to validate": scripts.DIVERGED,
    "weights that are not finite, to predict with": scripts.DIVERGED,
}


@pytest.fixture
def run(monkeypatch, tmp_path, capfd):
    """Return a function that runs a script in this process and returns its exit code and its standard error."""
    monkeypatch.setattr(scripts, "install_signal_handlers", lambda **_: None)
    monkeypatch.setenv("GLOG_v", "4")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def run(name, words):
        handlers, logging.root.handlers = logging.root.handlers, []
        capfd.readouterr()
        try:
            code = scripts.run_script(name, "", words)
        except SystemExit as end:
            code = end.code
        finally:
            logging.root.handlers = handlers
        return code, capfd.readouterr().err

    return run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return the folder of a run of one epoch."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scripts, "install_signal_handlers", lambda **_: None)
        assert scripts.run_script("train", "", train("--num_samples", "96", "--ckpt_save_dir", folder)[1]) == 0
    return folder


def visible(folder):
    """Return the inodes of the files below `folder`, which change when a file is rewritten and not when it is moved."""
    return {path.stat().st_ino for path in folder.rglob("[!.]*") if path.is_file()}


def test_errors_page_and_tests_have_the_same_rows():
    assert DOCUMENTED.keys() == ROWS.keys()
    assert len(ROWS) >= 50


@pytest.mark.parametrize("what", ROWS)
def test_mistake_prints_its_documented_line(what, run, trained, tmp_path, monkeypatch):
    work, bench = tmp_path / "work", Bench(tmp_path / "bench", trained, [])
    work.mkdir()
    bench.folder.mkdir()
    monkeypatch.chdir(work)
    name, words = ROWS[what](bench)
    if name == "train" and "--ckpt_save_dir" not in words:
        words += ["--ckpt_save_dir", str(linked(trained, tmp_path / "used"))]
    before = {path: path.stat().st_mtime_ns for path in trained.iterdir()}
    try:
        code, error = run(name, words)
    finally:
        for thing in bench.keep:
            thing.close()
    line = error.strip().splitlines()[-1]
    pattern = ".*".join(re.escape(part) for part in DOCUMENTED[what].split("…"))
    assert re.fullmatch(rf"{name}\.py: (error: )?{pattern}", line), line
    assert code == CODES.get(what, scripts.USER_ERROR)
    assert "Traceback" not in error
    assert not (work / "nan.json").exists()
    assert before == {path: path.stat().st_mtime_ns for path in trained.iterdir()}
    if (tmp_path / "used").exists():
        assert visible(trained) <= visible(tmp_path / "used"), "a file of the run is gone or was overwritten"
    assert not list(work.iterdir())
    assert not (bench.folder / "it_ran").exists()
