"""Check that the image names of large folders are cached, and listed again when a folder changes."""

import os
import re
import time
from pathlib import Path

import pytest

from mindcv.data import open_source
from mindcv.data.datasets import index


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MINDCV_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(index, "MIN_CACHED_IMAGES", 3)
    monkeypatch.setattr(index, "MIN_UNCHANGED_SECONDS", 0)
    return tmp_path / "home"


@pytest.fixture
def root(tmp_path):
    for path in ("n01/a.jpg", "n01/longer.jpg", "n02/b.jpg", "n02/猫.jpg"):
        (tmp_path / "data/train" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data/train" / path).touch()
    tick()
    return tmp_path / "data"


@pytest.fixture
def listed(monkeypatch):
    """The names of the class folders listed so far, in order."""
    names, list_folder = [], index.list_folder

    def record_and_list(folder):
        names.append(os.path.basename(os.fsdecode(folder)))
        return list_folder(folder)

    monkeypatch.setattr(index, "list_folder", record_and_list)
    return names


def tick():
    time.sleep(0.02)  # longer than a tick of the file system's clock


def images(root):
    source = open_source("folder", str(root), "train")
    return [(source.path(i).relative_to(root / "train").as_posix(), int(source.labels[i])) for i in range(len(source))]


def test_index_lists_an_unchanged_folder_once(home, root, listed):
    wanted = [("n01/a.jpg", 0), ("n01/longer.jpg", 0), ("n02/b.jpg", 1), ("n02/猫.jpg", 1)]
    assert images(root) == wanted
    assert listed == ["n01", "n02"]
    assert images(root) == wanted
    assert listed == ["n01", "n02"]
    assert len(list((home / "indices").iterdir())) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda n02: (n02 / "c.jpg").touch(),
        lambda n02: (n02 / "b.jpg").unlink(),
        lambda n02: (n02 / "b.jpg").rename(n02 / "d.jpg"),
    ],
    ids=["added", "removed", "renamed"],
)
def test_index_lists_a_changed_class_folder_again(change, home, root, listed):
    images(root)
    times = os.stat(root / "train/n02")
    change(root / "train/n02")
    os.utime(root / "train/n02", ns=(times.st_atime_ns, times.st_mtime_ns))  # as tar and rsync do
    tick()
    changed = images(root)
    assert [name for name, label in changed if label] == [
        f"n02/{name}" for name in sorted(os.listdir(root / "train/n02"), key=os.fsencode)
    ]
    assert listed == ["n01", "n02", "n02"]
    assert images(root) == changed
    assert listed == ["n01", "n02", "n02"]


@pytest.mark.parametrize("change", [lambda deep: (deep / "z.jpg").touch(), lambda deep: (deep / "new").mkdir()])
def test_index_lists_a_changed_nested_folder_again(change, home, root, listed):
    deep = root / "train/n02/more/deep"
    deep.mkdir(parents=True)
    for name in ("d.jpg", "d.txt"):
        (deep / name).touch()
    tick()
    for _ in range(2):
        assert images(root)[-1] == ("n02/more/deep/d.jpg", 1)
    assert open_source("folder", str(root), "train").skipped == {".txt": 1}
    assert listed == ["n01", "n02", "more", "deep"]
    change(deep)
    tick()
    changed = images(root)
    assert [name for name, _ in changed[4:]] == [f"n02/more/deep/{path.name}" for path in sorted(deep.glob("*.jpg"))]
    assert listed == ["n01", "n02", "more", "deep", "deep", *(["new"] * (deep / "new").exists())]


def test_index_lists_a_renamed_class_folder_again(home, root, listed):
    images(root)
    (root / "train/n01").rename(root / "train/n03")
    tick()
    wanted = [("n02/b.jpg", 0), ("n02/猫.jpg", 0), ("n03/a.jpg", 1), ("n03/longer.jpg", 1)]
    assert images(root) == images(root) == wanted
    assert listed == ["n01", "n02", "n03"]


def test_index_does_not_cache_a_recently_changed_folder(home, root, listed, monkeypatch):
    monkeypatch.setattr(index, "MIN_UNCHANGED_SECONDS", 1000)
    assert images(root) == images(root)
    assert listed == ["n01", "n02"] * 2
    assert not home.exists()


def test_index_does_not_cache_few_images(home, root, monkeypatch):
    monkeypatch.setattr(index, "MIN_CACHED_IMAGES", 5)
    images(root)
    assert not home.exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda b: b[: len(b) // 2],
        lambda b: b"",
        lambda b: b.replace(b"longer", b"lonGer"),
        lambda b: re.sub(rb"(?s)(?<=PK\x01\x02.{4}).", b"\x01", b),
    ],
    ids=["half", "empty", "a letter", "encrypted"],
)
def test_index_replaces_a_damaged_cache(damage, home, root, listed):
    wanted = images(root)
    [kept] = (home / "indices").iterdir()
    kept.write_bytes(damage(kept.read_bytes()))
    assert images(root) == images(root) == wanted
    assert listed == ["n01", "n02"] * 2


def test_index_without_a_writable_cache_lists_again(home, root, listed):
    home.write_text("no folder")
    assert images(root) == images(root)
    assert listed == ["n01", "n02"] * 2


@pytest.mark.parametrize(("state", "times"), [((2**64 - 1, 1), 1), ((1, 0), 2)], ids=["a large number", "no time"])
def test_index_accepts_any_inode_but_not_a_zero_ctime(state, times, home, root, listed, monkeypatch):
    monkeypatch.setattr(index, "_folder_state", lambda _: state)
    assert images(root) == images(root)
    assert listed == ["n01", "n02"] * times


def test_index_without_a_home_folder_lists_again(root, listed, monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(index, "MIN_CACHED_IMAGES", 1)
    monkeypatch.setattr(index, "MIN_UNCHANGED_SECONDS", 0)
    monkeypatch.delenv("MINDCV_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert images(root) == images(root)
    assert listed == ["n01", "n02"] * 2
