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
    """Write a file for each of `names`, which contains its own name."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def names(folder):
    """Return the relative paths of all files below `folder`, sorted."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_archive_run_moves_all_files_of_a_run_and_leaves_its_logs(tmp_path):
    others = ["convit_tiny.ckpt", "logs/worker_0.log", "pictures/gates.png"]
    fill(tmp_path, *RUN, *others)
    archive_run(tmp_path)
    assert names(tmp_path) == sorted([*others, *(f"earlier-1/{name}" for name in RUN)])


@pytest.mark.parametrize("alone", ["best.ckpt", "metrics.jsonl", "convit_tiny-1_3.ckpt"])
def test_archive_run_twice_makes_two_archives(alone, tmp_path):
    for _ in range(2):
        fill(tmp_path, alone)
        archive_run(tmp_path)
    assert names(tmp_path) == [f"earlier-1/{alone}", f"earlier-2/{alone}"]


def test_archive_run_leaves_a_folder_named_like_a_checkpoint(tmp_path):
    fill(tmp_path, "best.ckpt", "convit_tiny-1_3.ckpt/mine")
    archive_run(tmp_path)
    assert names(tmp_path) == ["convit_tiny-1_3.ckpt/mine", "earlier-1/best.ckpt"]


def test_archive_run_without_checkpoints_and_metrics_moves_nothing(tmp_path):
    fill(tmp_path, "config.yaml", "bad_images.txt")
    archive_run(tmp_path)
    assert names(tmp_path) == ["bad_images.txt", "config.yaml"]


@pytest.mark.parametrize("moves", range(len(RUN)))
def test_archive_run_after_an_interruption_finishes_the_archive(moves, tmp_path, monkeypatch):
    """Of a run that was moved in part, --resume would find an older checkpoint, or mix its files with the new run's."""
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


def test_is_run_file_recognises_best_and_numbered_checkpoints(tmp_path):
    found = [
        name for name in (*RUN[:4], "mindcv.ckpt", "other/best.ckpt") if is_run_file(tmp_path, str(tmp_path / name))
    ]
    assert found == RUN[:4]
    assert not is_run_file(tmp_path, "")


def test_archive_branch_moves_later_checkpoints_and_copies_files_to_be_rewritten(tmp_path):
    fill(tmp_path, *RUN)
    archive_branch(tmp_path, [tmp_path / "convit_tiny-1_3.ckpt"])
    archived = [f"earlier-1/{name}" for name in ("best.ckpt", "config.yaml", "convit_tiny-1_3.ckpt", "metrics.jsonl")]
    assert names(tmp_path) == sorted([*archived, *(name for name in RUN if name != "convit_tiny-1_3.ckpt")])


def test_archive_foreign_files_moves_other_programs_files_with_a_runs_names(tmp_path):
    fill(tmp_path, "best.ckpt", "config.yaml", "tensorboard", "notes.txt", "bad_images.txt")
    archive_foreign_files(tmp_path)
    moved = ["best.ckpt", "config.yaml", "tensorboard"]
    assert names(tmp_path) == ["bad_images.txt", *(f"earlier-1/{name}" for name in moved), "notes.txt"]
    assert [(tmp_path / "earlier-1" / name).read_text() for name in moved] == moved


def test_archive_foreign_files_leaves_files_of_a_run(tmp_path):
    fill(tmp_path, "tensorboard/e")
    Config(lr=0.1).save(tmp_path / "config.yaml")
    weights.write(tmp_path / "best.ckpt", {"norm.gamma": np.ones(2)})
    archive_foreign_files(tmp_path)
    assert names(tmp_path) == ["best.ckpt", "config.yaml", "tensorboard/e"]


@pytest.mark.parametrize(
    "edit", [lambda text: text.replace("lr: 0.1", "lr: 0.2"), lambda text: text + "# mine\n", lambda text: text[:-1]]
)
def test_archive_foreign_files_moves_an_edited_config(edit, tmp_path):
    Config(lr=0.1).save(tmp_path / "config.yaml")
    edited = edit((tmp_path / "config.yaml").read_text())
    (tmp_path / "config.yaml").write_text(edited)
    archive_foreign_files(tmp_path)
    assert names(tmp_path) == ["earlier-1/config.yaml"]
    assert (tmp_path / "earlier-1/config.yaml").read_text() == edited


def test_archive_foreign_files_moves_a_config_without_a_digest(tmp_path):
    """Versions without the digest wrote such files; whether one was edited since is not known."""
    (tmp_path / "config.yaml").write_text(Config(lr=0.1).to_yaml())
    archive_foreign_files(tmp_path)
    assert names(tmp_path) == ["earlier-1/config.yaml"]
