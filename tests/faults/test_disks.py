"""Full disks and read-only disks."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from mindcv.cli.data import main
from mindcv.io.files import append_line, atomic_write_text
from tests.faults.run import OPTIONS, ROOT, SHALLOW, is_undamaged


@pytest.fixture
def disk(tmp_path):
    """Return a function that mounts a tmpfs with the given options, such as "size=1m", and returns its folder."""
    mounted = []

    def mount(options):
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True)
        if done.returncode:
            pytest.skip("no right to mount a tmpfs here")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def train(folder):
    """Run train.py into `folder` to its end, with a model of two blocks."""
    words = [*OPTIONS, "--ckpt_save_dir", str(folder)]
    return subprocess.run([sys.executable, SHALLOW, *words], cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_train_on_a_full_disk_keeps_the_last_complete_checkpoint(disk):
    folder = disk("size=28m")  # two checkpoints of 11 MB
    done = train(folder)
    assert done.returncode == 2
    line = done.stderr.splitlines()[-1]
    assert line.startswith("train.py: cannot write ")
    assert "No space left on device" in line
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in folder.glob("*.ckpt")) == ["convit_tiny-1_1.ckpt", "convit_tiny-1_2.ckpt"]
    assert all(is_undamaged(path) for path in folder.glob("*.ckpt"))
    assert not list(folder.glob(".*.part"))


@pytest.mark.parametrize("size", ["1m", "24m"])
def test_pack_to_a_full_disk_leaves_no_mindrecord_file(size, disk, tmp_path, capsys):
    pixels = np.random.default_rng(0).integers(0, 256, (700, 700, 3), np.uint8)
    for split in ("train", "val"):
        (tmp_path / split / "cat").mkdir(parents=True)
    for i in range(20):  # 1.5 MB each
        Image.fromarray(pixels).save(tmp_path / "train/cat" / f"{i}.png")
    out = disk(f"size={size}")
    assert main(["pack", str(tmp_path), str(out), "--shards", "1"]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"mindcv data: cannot write {out}/train/unfinished/00000.mindrecord: ")
    assert not list(out.glob("train/*.mindrecord")), "an incomplete file has the final name"


def test_writers_on_a_full_disk_name_the_file_and_change_nothing(disk):
    folder = disk("size=64k")
    (folder / "metrics").write_text("one\n")
    (folder / "full").write_bytes(bytes(56 << 10))
    for write, name in ((atomic_write_text, "options.yaml"), (append_line, "metrics")):
        with pytest.raises(OSError, match=f"^cannot write {folder}/{name}: No space left on device$"):
            write(folder / name, "x" * 10_000)
    assert sorted(path.name for path in folder.iterdir()) == ["full", "metrics"]


def test_train_on_a_read_only_disk_names_the_folder(disk, run_in_process, monkeypatch):
    monkeypatch.chdir(ROOT)
    folder = disk("ro,size=1m")
    done = run_in_process("train", *OPTIONS, "--ckpt_save_dir", folder)
    assert done.returncode == 2
    line = done.stderr.splitlines()[-1]
    assert "Read-only file system" in line
    assert str(folder) in line
    assert "Traceback" not in done.stderr
