"""Each row of docs/errors.md: the mistake is made, and the program prints the line of the row."""

import re
from pathlib import Path

import pytest
from PIL import Image

from mindcv.cli import scripts
from tests.faults.bad_input import ROWS, Bench, linked, train

DOCUMENT = Path(__file__).parents[2] / "docs/errors.md"
DOCUMENTED = dict(re.findall(r"^\| (.+?) \| (.+) \|$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE))
DOCUMENTED = {what: line for what, line in DOCUMENTED.items() if what not in ("what", "---")}
CODES = {
    "a learning rate at which the loss diverges": scripts.DIVERGED,
    "validating weights that are not finite": scripts.DIVERGED,
    "predicting with weights that are not finite": scripts.DIVERGED,
}


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
def test_mistake_prints_its_documented_line(what, run_in_process, trained, tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    work, bench = tmp_path / "work", Bench(tmp_path / "bench", trained, [])
    work.mkdir()
    bench.folder.mkdir()
    monkeypatch.chdir(work)
    name, words = ROWS[what](bench)
    if name == "train" and "--ckpt_save_dir" not in words:
        words += ["--ckpt_save_dir", str(linked(trained, tmp_path / "used"))]
    before = {path: path.stat().st_mtime_ns for path in trained.iterdir()}
    try:
        done = run_in_process(name, *words)
    finally:
        for thing in bench.keep:
            thing.close()
    line = done.stderr.strip().splitlines()[-1]
    pattern = ".*".join(re.escape(part) for part in DOCUMENTED[what].split("…"))
    assert re.fullmatch(rf"{name}\.py: (error: )?{pattern}", line), line
    assert done.returncode == CODES.get(what, scripts.USER_ERROR)
    assert "Traceback" not in done.stderr
    assert not (work / "nan.json").exists()
    assert before == {path: path.stat().st_mtime_ns for path in trained.iterdir()}
    if (tmp_path / "used").exists():
        assert visible(trained) <= visible(tmp_path / "used"), "a file of the run is gone or was overwritten"
    assert not list(work.iterdir())
    assert not (bench.folder / "it_ran").exists()
