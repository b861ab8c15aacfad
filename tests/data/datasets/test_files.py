import os
import warnings
from collections import Counter

import pytest
from PIL import Image

from mindcv.data.datasets import open_source
from mindcv.data.datasets.files import EXTENSIONS, list_folder, skipped_line, walk


@pytest.mark.parametrize("extension", [".jfif", ".jpe", ".jp2", ".mpo", ".pnm", ".tga", ".ico", ".webp", ".avif"])
def test_list_folder_lists_what_pillow_reads(extension, tmp_path):
    if extension not in Image.registered_extensions():
        pytest.skip(f"Pillow does not read {extension} here")
    Image.new("RGB", (16, 16), "red").save(tmp_path / f"A{extension.upper()}")
    assert list_folder(tmp_path).images == [f"A{extension.upper()}".encode()]


def test_extensions_are_of_kinds_that_pillow_decodes():
    assert not {".eps", ".pdf", ".mpg", ".h5", ".wmf", ".txt"} & set(EXTENSIONS)


def test_list_folder_counts_other_files_by_kind(tmp_path):
    for name in (
        "a.png",
        "b.heix",
        "c.HEIX",
        "README",
        "t.txt",
        ".hidden.txt",
        "Thumbs.db",
        "desktop.ini",
        "e.\x1b[31m",
    ):
        (tmp_path / name).touch()
    for name in ("sub", "__MACOSX", ".git"):
        (tmp_path / name).mkdir()
    os.mkfifo(tmp_path / "f.jpg")
    os.mkfifo(tmp_path / "g")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "self").symlink_to(tmp_path / "self")
    images, folders, skipped = list_folder(tmp_path)
    assert images == [b"a.png", b"gone.png"] and folders == [b"sub"]
    assert skipped == {
        ".heix": 2, ".txt": 1, "without an extension": 1, "special file": 2, "dead link": 2,
        r".\x1b[31m": 1,
    }  # fmt: skip


def test_skipped_line_names_the_most_frequent_kinds_and_what_reads_heic():
    assert skipped_line("a\nb", Counter({".txt": 3, ".heic": 9})) == (
        r"a\nb: 12 files of kinds that are not read: 9 .heic, 3 .txt; "
        "HEIC is read with pillow-heif: pip install pillow-heif"
    )
    assert skipped_line("a", Counter(f".{i:03}" for i in range(500))) == (
        "a: 500 files of kinds that are not read: 1 .000, 1 .001, 1 .002, 1 .003, 1 .004, 1 .005, 494 further kinds"
    )


def test_walk_follows_links_but_not_in_circles(tmp_path):
    (tmp_path / "top/a/deep").mkdir(parents=True)
    (tmp_path / "top/a-b").mkdir()
    (tmp_path / "aside").mkdir()
    (tmp_path / "top/link").symlink_to(tmp_path / "aside")
    (tmp_path / "aside/up").symlink_to(tmp_path / "top")
    for name in ("top/a/deep/x.png", "top/a-b/x.png", "top/x.png", "aside/x.png"):
        (tmp_path / name).touch()
    found = walk(os.fsencode(tmp_path / "top"))
    assert [path for path, contents in found if contents.images] == [b"", b"a-b", b"a/deep", b"link"]
    assert {path: contents.skipped for path, contents in found if contents.skipped} == {
        b"link/up": {"link to a folder above it": 1}
    }


def test_walk_does_not_follow_links_to_folders_above_the_first(tmp_path):
    (tmp_path / "store/cat").mkdir(parents=True)
    (tmp_path / "train/dog").mkdir(parents=True)
    (tmp_path / "train/cat").symlink_to(tmp_path / "store/cat")
    (tmp_path / "store/cat/linked_from").symlink_to(tmp_path / "train")
    (tmp_path / "store/cat/stored_in").symlink_to(tmp_path / "store")
    for folder in ("store/cat", "train/dog"):
        (tmp_path / folder / "a.png").touch()
    below = walk(os.fsencode(tmp_path / "train/cat"))
    assert [path for path, contents in below if contents.images] == [b""]
    assert sum((contents.skipped for _, contents in below), Counter()) == {"link to a folder above it": 2}


@pytest.fixture
def classes(tmp_path):
    """The folder of a data set whose two classes have an image each, of equal names, and one more in a subfolder."""
    for name in ("cat/a.png", "cat/kittens/b.png", "dog/a.png", "dog/big/old/c.png"):
        path = tmp_path / "train" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 3)).save(path)
    return tmp_path


def test_folder_source_reads_subfolders_as_their_class(classes):
    source = open_source("folder", str(classes), "train")
    assert list(source.names()) == [b"cat/a.png", b"cat/kittens/b.png", b"dog/a.png", b"dog/big/old/c.png"]
    assert source.labels.tolist() == [0, 0, 1, 1] and source.class_names == ["cat", "dog"]
    assert len(source[3][0]) > 0


def test_open_source_counts_what_is_not_read_in_one_warning(classes, caplog):
    for name in ("cat/kittens/n.txt", "dog/a.txt", "cat/x.heix", "stray.png", "labels.csv"):
        (classes / "train" / name).touch()
    for _ in range(2):
        source = open_source("folder", str(classes), "train")
    assert len(source) == 4
    assert caplog.messages == [
        f"{classes}/train: 5 files of kinds that are not read: 2 .txt, 1 .csv, 1 .heix, 1 image beside class folders"
    ]


def test_open_source_counts_what_is_not_read_beside_a_listed_image(tmp_path, caplog):
    folder = tmp_path / "val"
    (folder / "sub").mkdir(parents=True)
    Image.new("RGB", (4, 3)).save(folder / "a.png")
    (folder / "val.txt").write_text("a.png 0")
    open_source("folder", str(tmp_path), "val", listing=str(folder / "val.txt"))
    assert caplog.messages == [f"{folder}: 1 file of a kind that is not read: 1 folder"]


def test_folder_source_with_a_dead_link_for_a_class_raises(classes):
    (classes / "train/emu").symlink_to(classes / "nowhere")
    with pytest.raises(FileNotFoundError, match=f"^{classes}/train/emu is a dead link, perhaps in place of a class"):
        open_source("folder", str(classes), "train")


def test_open_source_reads_heic_with_pillow_heif(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    (tmp_path / "train/cat").mkdir(parents=True)
    Image.new("RGB", (32, 32), (200, 30, 30)).save(tmp_path / "train/cat/a.heic", quality=95)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoded, _ = open_source("folder", str(tmp_path), "train")[0]
    assert bytes(encoded[:2]) == b"BM"
