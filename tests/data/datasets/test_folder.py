import numpy as np
import pytest
from PIL import Image

from mindcv.data import open_source


@pytest.fixture
def root(tmp_path):
    for path in ("train/n02/b.JPEG", "train/n02/a.jpg", "train/n01/x.PNG", "val/n02/v.jpg"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 3)).save(tmp_path / path)
    return tmp_path


def test_folder_source_lists_classes_files_and_labels(root):
    (root / "train/n01/notes.txt").write_text("no image")
    (root / "train/n01/.hidden.jpg").write_bytes(b"")
    (root / "train/.cache").mkdir()
    for name in ("imagenet", "folder", ""):
        source = open_source(name, str(root), "train")
        assert source.encoded and source.class_names == ["n01", "n02"] and source.splits == ["train", "val"]
        assert [source.path(i).relative_to(root).as_posix() for i in range(len(source))] == [
            "train/n01/x.PNG",
            "train/n02/a.jpg",
            "train/n02/b.JPEG",
        ]
        assert [int(source[i][1]) for i in range(3)] == [0, 1, 1]
    np.testing.assert_array_equal(source[1][0], np.fromfile(root / "train/n02/a.jpg", np.uint8))


def test_folder_source_without_split_takes_root(root):
    assert open_source("folder", str(root / "train"), "").class_names == ["n01", "n02"]


def test_folder_source_with_class_names_labels_by_them(root):
    train = open_source("folder", str(root), "train")
    assert int(open_source("folder", str(root), "val")[0][1]) == 0
    val = open_source("folder", str(root), "val", class_names=train.class_names)
    assert int(val[0][1]) == 1 and val.class_names == ["n01", "n02"] and val.path(0).parent.name == "n02"
    with pytest.raises(ValueError, match="n02 not among the 1 known classes"):
        open_source("folder", str(root), "val", class_names=["n01"])


def test_folder_source_reads_non_ascii_names(root):
    (root / "train/n03").mkdir()
    Image.new("RGB", (1, 1)).save(root / "train/n03/猫 été.png")
    source = open_source("folder", str(root), "train")
    assert source.path(3).name == "猫 été.png" and source[3][1] == 2


def test_folder_source_with_missing_parts_raises(root):
    with pytest.raises(FileNotFoundError, match="no folder /nowhere"):
        open_source("folder", "/nowhere", "train")
    with pytest.raises(FileNotFoundError, match=r"no split 'test' in .*; it has train, val"):
        open_source("folder", str(root), "test")
    with pytest.raises(FileNotFoundError, match=r"no class folders in .*n01"):
        open_source("folder", str(root), "train/n01")
    (root / "train/n00").mkdir()
    (root / "train/n00/readme.md").touch()
    with pytest.raises(FileNotFoundError, match=r"no images in class folder .*train/n00"):
        open_source("folder", str(root), "train")
