import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import mindspore.dataset as ds
import numpy as np
import pytest
from PIL import Image

from mindcv.cli.data import main
from mindcv.data import create_dataset, create_loader, create_transforms, find_unreadable
from mindcv.data.datasets import open_source
from mindcv.data.datasets.digest import list_digest
from mindcv.data.pack import pack

packing = sys.modules["mindcv.data.pack"]
read_checksums = packing._read_checksums


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """25 images of several kinds in three classes, 4 of them to validate on."""
    root = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for i in range(25):
        path = root / ("val" if i < 4 else "train") / f"class{i % 3}" / f"{i:02} é.{'png' if i % 5 else 'jpg'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(rng.integers(0, 256, (12, 10 + i, 3), dtype=np.uint8))
        image.convert("RGBA" if i == 6 else "RGB").save(path)
    return root


@pytest.fixture(scope="module")
def packed(root, tmp_path_factory):
    out = tmp_path_factory.mktemp("packed")
    assert main(["pack", str(root), str(out), "--shards", "3", "--split", "train", "val"]) == 0
    return out


def both(root, packed, split="train", **more):
    return open_source("folder", str(root), split, **more), open_source("mindrecord", str(packed), split, **more)


@pytest.mark.parametrize("split", ["train", "val"])
def test_pack_keeps_images_order_and_labels(root, packed, split):
    folder, records = both(root, packed, split)
    assert records.encoded and records.class_names == folder.class_names and records.splits == folder.splits
    np.testing.assert_array_equal(records.labels, folder.labels)
    for i in np.random.default_rng(0).permutation(len(folder)):
        np.testing.assert_array_equal(records[i][0], folder[i][0])
        assert records[i][1] == folder[i][1] and records[i][1].dtype == np.int32
        assert records.path(i).endswith(f"({folder.path(i).relative_to(folder.folder)})")


def test_packed_images_give_the_same_batches(root, packed):
    def batches(name, where, shard):
        dataset = create_dataset(name, str(where), num_shards=2, shard_id=shard, seed=1, epoch=2)
        loader = create_loader(dataset, 5, transform=create_transforms(name, 8, True, "randaug-m9"), is_training=True)
        return list(loader.create_tuple_iterator(num_epochs=1, output_numpy=True))

    for shard in (0, 1):
        for one, other in zip(batches("folder", root, shard), batches("mindrecord", packed, shard), strict=True):
            np.testing.assert_array_equal(one[0], other[0])
            np.testing.assert_array_equal(one[1], other[1])


def test_packed_images_can_be_read_by_mind_dataset(root, packed):
    folder = open_source("folder", str(root), "train")
    files = sorted(str(file) for file in (packed / "train").glob("*.mindrecord"))
    rows = list(ds.MindDataset(files, shuffle=False).create_dict_iterator(num_epochs=1, output_numpy=True))
    assert len(rows) == 21
    for i, row in enumerate(sorted(rows, key=lambda row: (row["label"], str(row["file_name"])))):
        assert row["data"].tobytes() == folder.read_bytes(i) and row["label"] == folder.labels[i]


def test_packed_images_with_class_names_are_relabelled(root, packed):
    _, records = both(root, packed, "val", class_names=["z", "class2", "class1", "class0"])
    assert records.labels.tolist() == [3, 3, 2, 1]
    with pytest.raises(ValueError, match="class0 not among the 2 known classes"):
        open_source("mindrecord", str(packed), "val", class_names=["class1", "class2"])


PACK_SLOWLY = """
import sys, time
from mindcv.cli import data as __main__
from mindcv.data import pack
fast = pack._write_shard
pack._write_shard = lambda *which: (fast(*which), time.sleep(0.1))
__main__.main(sys.argv[1:])
"""


def test_pack_after_a_kill_continues(root, tmp_path):
    """Kill the process after it has written some of its files, and run the same command again."""
    command = [sys.executable, "-c", PACK_SLOWLY, "pack", str(root), str(tmp_path), "--shards", "20"]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("train/*.mindrecord"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(np.random.default_rng().uniform(0, 0.2))
    process.kill()
    process.wait()
    done = {file: file.stat().st_mtime_ns for file in tmp_path.glob("train/*.mindrecord")}
    assert 2 <= len(done) < 20
    with pytest.raises(FileNotFoundError, match=r"of 20 files are missing in .*train: run pack again, it goes on"):
        open_source("mindrecord", str(tmp_path), "train")
    assert main(["pack", str(root), str(tmp_path), "--shards", "20"]) == 0
    assert all(file.stat().st_mtime_ns == when for file, when in done.items())
    folder, records = both(root, tmp_path)
    assert all(np.array_equal(records[i][0], folder[i][0]) for i in range(21))
    assert not (tmp_path / "train/unfinished").exists()


def test_pack_of_changed_images_into_a_packing_raises(root, tmp_path, capsys):
    source = open_source("folder", str(root), "train")
    pack(source, tmp_path / "train", 2)
    os.utime(source.path(3))
    with pytest.raises(ValueError, match="holds a packing of other images, of changed ones"):
        pack(open_source("folder", str(root), "train"), tmp_path / "train", 2)
    assert main(["pack", str(root), str(tmp_path), "--shards", "0"]) == 2
    assert capsys.readouterr().err == "mindcv data: shards is 0; it must be at least 1\n"


def test_pack_with_list_packs_listed_and_folder_splits(root, tmp_path, capsys):
    flat = tmp_path / "images"
    shutil.copytree(root / "train", flat / "train")
    (flat / "val").mkdir()
    rows = []
    for number, path in enumerate(sorted((root / "val").rglob("*.*"))):
        shutil.copy(path, flat / "val" / f"{number}{path.suffix}")
        rows.append(f"{number}{path.suffix} {path.parent.name}")
    (tmp_path / "val.txt").write_text("\n".join(rows))
    words = [str(flat), str(tmp_path / "out"), "--split", "train", "val", "--list", str(tmp_path / "val.txt")]
    assert main(["pack", *words, "--shards", "1"]) == 0
    _, records = both(root, tmp_path / "out", "val")
    assert [records.class_names[label] for label in records.labels] == [row.split()[1] for row in rows]
    assert len(open_source("mindrecord", str(tmp_path / "out"), "train")) == 21
    assert main(["check", str(flat), "--list", str(tmp_path / "val.txt")]) == 2
    assert f"no images directly in {flat}/train for the list {tmp_path}/val.txt" in capsys.readouterr().err


def test_pack_of_unusual_names_keeps_them(tmp_path):
    folder = tmp_path / "images/train/a"
    (folder / "deep").mkdir(parents=True)
    for name in (b"0.png", b"caf\xe9.png", b"caf\xc3\xa9.png", b'it\'s "1".png', b"line\nbreak.png", b"deep/0.png"):
        with open(os.path.join(os.fsencode(folder), name), "wb") as file:
            Image.new("RGB", (4, 3)).save(file, "png")
    source = open_source("folder", str(tmp_path / "images"), "train")
    records = pack(source, tmp_path / "out/train", 2)
    assert list(records.names()) == list(source.names()) and len(records) == 6
    assert [records.read_bytes(i) for i in range(6)] == [source.read_bytes(i) for i in range(6)]
    assert records.path(2).endswith(r"(a/caf\xe9.png)")


def test_pack_read_back_differently_raises(root, tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "_read_checksums", lambda file: read_checksums(file)[::-1])
    with pytest.raises(ValueError, match=r"unfinished/00000.mindrecord is not what was written to it"):
        pack(open_source("folder", str(root), "train"), tmp_path / "train", 1)
    assert not list(tmp_path.glob("train/*.mindrecord"))


def test_packed_images_that_are_damaged_are_reported(root, tmp_path):
    source = open_source("folder", str(root), "train")
    pack(source, tmp_path / "train", 1)
    file = tmp_path / "train/00000.mindrecord"
    data = bytearray(file.read_bytes())
    start = data.find(source.read_bytes(7))
    data[start : start + 8] = b"no image"
    file.write_bytes(data)
    (bad,) = find_unreadable(open_source("mindrecord", str(tmp_path), "train"))
    assert bad.index == 7 and bad.line.startswith(f"{file} (") and "not an image" in bad.line
    file.write_bytes(data[: start + 4])
    assert len(find_unreadable(open_source("mindrecord", str(tmp_path), "train"))) >= 13
    (tmp_path / "train/00000.mindrecord.db").write_bytes(b"")
    with pytest.raises(ValueError, match=r"00000.mindrecord is not a MindRecord file with its index"):
        open_source("mindrecord", str(tmp_path), "train")


@pytest.fixture
def changed(packed, tmp_path):
    """A function that damages a copy of the packed training images, and returns the message of the ValueError.

    It runs an SQL statement on the first file's index, or sets values of pack.json.
    """

    def change(statement="", **manifest):
        folder = tmp_path / "train"
        shutil.copytree(packed / "train", folder)
        if statement:
            with contextlib.closing(sqlite3.connect(folder / "00000.mindrecord.db")) as index:
                index.execute(statement)
                index.commit()
        values = json.loads((folder / "pack.json").read_text()) | manifest
        (folder / "pack.json").write_text(json.dumps(values))
        with pytest.raises(ValueError) as refused:
            open_source("mindrecord", str(tmp_path), "train")
        return str(refused.value).replace(str(folder), "")

    return change


def test_packed_images_with_missing_rows_raise(changed):
    message = "/00000.mindrecord holds 6 of 7 images: remove it and 00000.mindrecord.db and run pack again"
    assert changed("DELETE FROM INDEXES WHERE ROW_ID = 3") == message


@pytest.mark.parametrize("label", [-1, 3])
def test_packed_images_with_label_out_of_range_raise(changed, label):
    message = changed(f"UPDATE INDEXES SET label_0 = {label} WHERE ROW_ID = 3")
    assert re.fullmatch(
        rf"/00000.mindrecord \(class0/.*\): got label {label}, wanted 0 to 2: remove the file .*", message
    )


def test_packed_images_with_duplicate_class_name_raise(changed):
    message = changed(class_names=["class0", "class1", "class1"])
    assert message == "/pack.json: several classes are called class1: give each a name of its own"


@pytest.mark.parametrize("values", [
    {"images": "21"}, {"shards": 0}, {"class_names": [1, 2, 3]}, {"class_names": None},
    {"images": 21.0}, {"shards": True}, {"class_names": "abc"}, {"class_names": []}, {"images": [21]},
])  # fmt: skip
def test_packed_images_with_damaged_manifest_raise(changed, values):
    assert changed(**values) == "/pack.json is damaged: remove the folder and run pack again"


@pytest.mark.parametrize(
    "damage", [lambda d: d[:20], lambda d: b"", lambda d: b"[1]", lambda d: b"[" * 100_000, lambda d: d[::-1]]
)
def test_packed_images_with_a_manifest_that_is_not_json_raise(damage, packed, tmp_path):
    shutil.copytree(packed / "val", tmp_path / "val")
    manifest = tmp_path / "val/pack.json"
    manifest.write_bytes(damage(manifest.read_bytes()))
    with pytest.raises(ValueError, match=r"pack.json is damaged: remove the folder and run pack again"):
        open_source("mindrecord", str(tmp_path), "val")


def test_packed_images_with_any_number_of_files_in_the_manifest_raise_at_once(packed, tmp_path):
    shutil.copytree(packed / "val", tmp_path / "val")
    manifest = tmp_path / "val/pack.json"
    values = json.loads(manifest.read_text()) | {"images": 10**12, "shards": 10**12}
    manifest.write_text(json.dumps(values))
    with pytest.raises(FileNotFoundError, match="999999999997 of 1000000000000 files are missing"):
        open_source("mindrecord", str(tmp_path), "val")


def test_open_source_of_a_folder_that_is_not_packed_raises(root):
    with pytest.raises(FileNotFoundError, match=r"no pack.json in .*: python -m mindcv.data pack writes"):
        open_source("mindrecord", str(root), "train")


def test_pack_of_names_that_look_escaped_has_the_digest_of_the_folder(tmp_path):
    for name in (b"\\xe9.png", b"\\x5c.png", b"\xe9.png", b"\\x5cxe9.png"):
        path = tmp_path / "images/train/cat/below" / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4)).save(path)
    source = open_source("folder", str(tmp_path / "images"), "train")
    packed = pack(source, tmp_path / "packed/train", 1)
    assert list(packed.names()) == list(source.names()) and list_digest(packed) == list_digest(source)
