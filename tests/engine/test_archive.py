from pathlib import Path

import numpy as np
import pytest

from mindcv import weights
from mindcv.config import Config
from mindcv.engine.archive import (
    archive_branch,
    archive_foreign_files,
    archive_run,
    is_archive_unfinished,
    is_run_file,
)

RUN = ["best.ckpt", "config.yaml", "convit_small-2_3.ckpt", "convit_tiny-1_3.ckpt", "metrics.jsonl", "tensorboard/e"]


def fill(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_run_is_put_aside_whole_and_its_logs_stay(tmp_path):
    stay = ["convit_tiny.ckpt", "logs/worker_0.log", "pictures/gates.png"]
    fill(tmp_path, *RUN, *stay)
    archive_run(tmp_path)
    assert names(tmp_path) == sorted([*stay, *(f"earlier-1/{name}" for name in RUN)])


@pytest.mark.parametrize("alone", ["best.ckpt", "metrics.jsonl", "convit_tiny-1_3.ckpt"])
def test_nothing_that_was_put_aside_is_overwritten(alone, tmp_path):
    for _ in range(2):
        fill(tmp_path, alone)
        archive_run(tmp_path)
    assert names(tmp_path) == [f"earlier-1/{alone}", f"earlier-2/{alone}"]


def test_a_folder_with_a_checkpoints_name_stays(tmp_path):
    fill(tmp_path, "best.ckpt", "convit_tiny-1_3.ckpt/mine")
    archive_run(tmp_path)
    assert names(tmp_path) == ["convit_tiny-1_3.ckpt/mine", "earlier-1/best.ckpt"]


def test_options_alone_are_no_run(tmp_path):
    fill(tmp_path, "config.yaml", "bad_images.txt")
    archive_run(tmp_path)
    assert names(tmp_path) == ["bad_images.txt", "config.yaml"]


@pytest.mark.parametrize("moves", range(len(RUN)))
def test_what_is_broken_off_is_finished(moves, tmp_path, monkeypatch):
    """A run of which a part alone were put aside would be resumed at an older state, or the new one with its files."""
    fill(tmp_path, *RUN)
    replace, left = Path.replace, [None] * moves

    def killed(path, target):
        if not left:
            raise KeyboardInterrupt
        left.pop()
        return replace(path, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "replace", killed)
        archive_run(tmp_path)
    assert is_archive_unfinished(tmp_path)
    archive_run(tmp_path)
    assert not is_archive_unfinished(tmp_path)
    assert names(tmp_path) == [f"earlier-1/{name}" for name in RUN]


def test_the_files_of_a_run_are_known(tmp_path):
    def known(name):
        return is_run_file(tmp_path, str(tmp_path / name))

    assert known("best.ckpt") and known("convit_tiny-1_3.ckpt")
    assert not (known("mindcv.ckpt") or known("other/best.ckpt") or is_run_file(tmp_path, ""))


def test_of_a_branch_the_later_checkpoints_go_and_what_is_written_anew_is_kept(tmp_path):
    fill(tmp_path, *RUN)
    archive_branch(tmp_path, [tmp_path / "convit_tiny-1_3.ckpt"])
    aside = [f"earlier-1/{name}" for name in ("best.ckpt", "config.yaml", "convit_tiny-1_3.ckpt", "metrics.jsonl")]
    assert names(tmp_path) == sorted([*aside, *(name for name in RUN if name != "convit_tiny-1_3.ckpt")])


def test_archive_foreign_files_moves_what_a_run_would_overwrite_and_did_not_write(tmp_path):
    fill(tmp_path, "best.ckpt", "config.yaml", "tensorboard", "notes.txt", "bad_images.txt")
    archive_foreign_files(tmp_path)
    moved = ["best.ckpt", "config.yaml", "tensorboard"]
    assert names(tmp_path) == ["bad_images.txt", *(f"earlier-1/{name}" for name in moved), "notes.txt"]
    assert [(tmp_path / "earlier-1" / name).read_text() for name in moved] == moved


def test_archive_foreign_files_leaves_a_runs_own_files(tmp_path):
    fill(tmp_path, "tensorboard/e")
    Config(lr=0.1).save(tmp_path / "config.yaml")
    weights.write(tmp_path / "best.ckpt", {"norm.gamma": np.ones(2)})
    archive_foreign_files(tmp_path)
    assert names(tmp_path) == ["best.ckpt", "config.yaml", "tensorboard/e"]
