"""Damaged files of every kind: whatever the bytes, a file is read right, or one line names it."""

import gzip
import io
import re
import shutil
import tarfile
import zipfile
from collections import Counter

import numpy as np
import pytest
import safetensors.numpy
import yaml
from mindspore.dataset import vision
from PIL import Image

from mindcv import weights
from mindcv.cli.scripts import first_line
from mindcv.config import ConfigError
from mindcv.config.parsing import resolve
from mindcv.data import UnreadableImage, open_source, read_encoded
from mindcv.data.datasets.listed import ListedSource
from mindcv.data.datasets.mnist import read_idx
from mindcv.data.pack import pack
from mindcv.deploy.labels import read_class_names
from mindcv.io.download import extract
from mindcv.weights.read import DamagedCheckpoint, read_contents

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

RNG_SEED = 20201


def damaged(rng, data: bytes) -> bytes:
    """Return `data` cut off, with bits changed, or with a piece overwritten, removed, doubled or inserted."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        start = int(rng.integers(0, max(len(changed), 1)))
        length = int(rng.choice([1, 2, 4, 16, 64]))
        kind = rng.integers(0, 7)
        if kind == 0:
            del changed[start:]
        elif kind == 1 and changed:
            changed[start] ^= 1 << int(rng.integers(0, 8))
        elif kind == 2:
            changed[start : start + length] = rng.bytes(len(changed[start : start + length]))
        elif kind == 3:
            changed[start : start + length] = bytes([int(rng.choice([0, 255]))]) * len(changed[start : start + length])
        elif kind == 4:
            del changed[start : start + length]
        elif kind == 5:
            changed[start:start] = changed[start : start + length]
        else:
            changed[start:start] = rng.bytes(length)
    return bytes(changed)


def cases(data: bytes, count: int, kind: str):
    """Yield `count` damaged copies of `data` that differ from it, the same at every run."""
    rng = np.random.default_rng([RNG_SEED, *kind.encode()])
    found = 0
    while found < count:
        if (changed := damaged(rng, data)) != data:
            found += 1
            yield changed


def require_one_line(error: Exception, name: str) -> None:
    """Require that the line that a script prints about an error has `name`, and no control characters."""
    assert name in first_line(error) and not re.search(r"[\x00-\x1f\x7f-\x9f]", first_line(error)), repr(error)


def report(record_property, outcomes: Counter) -> None:
    record_property("outcomes", dict(outcomes))
    print(dict(outcomes))


SMALL = Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)).resize((48, 36), Image.BICUBIC)
TAGS = Image.Exif()
TAGS[0x0112], TAGS[0x010F] = 1, "camera"
IMAGES = {
    "jpg": (SMALL, {"exif": TAGS, "quality": 90}),
    "progressive.jpg": (SMALL, {"progressive": True, "comment": b"a comment"}),
    "grey.jpg": (SMALL.convert("L"), {}),
    "cmyk.jpg": (SMALL.convert("CMYK"), {}),
    "png": (SMALL, {"exif": TAGS}),
    "palette.png": (SMALL.convert("P"), {"transparency": 3}),
    "alpha.png": (SMALL.convert("RGBA"), {}),
    "16.png": (Image.fromarray(np.arange(1728, dtype=np.uint16).reshape(36, 48) * 37), {}),
    "webp": (SMALL, {"lossless": True}),
    "gif": (SMALL.convert("P"), {"save_all": True, "append_images": [SMALL.rotate(180).convert("P")]}),
    "tif": (SMALL, {"exif": TAGS}),
    "lzw.tif": (SMALL, {"compression": "tiff_lzw"}),
    "float.tif": (Image.fromarray(np.linspace(0, 1, 1728, dtype=np.float32).reshape(36, 48)), {}),
    "bmp": (SMALL, {}),
    "ppm": (SMALL, {}),
    "jp2": (SMALL, {}),
    "tga": (SMALL, {}),
    "ico": (SMALL, {"sizes": [(32, 32)]}),
}


@pytest.mark.parametrize("kind", IMAGES)
def test_damaged_image_is_decoded_by_mindspore_or_named(kind, tmp_path, record_property):
    image, options = IMAGES[kind]
    path, outcomes = tmp_path / f"a.{kind}", Counter()
    image.save(path, **options)
    original = vision.Decode()(read_encoded(path))
    for data in cases(path.read_bytes(), 140, kind):
        path.write_bytes(data)
        try:
            encoded = read_encoded(path, verify=True)
        except UnreadableImage as error:
            require_one_line(error, f"cannot read image {path}: ")
            outcomes["named"] += 1
            continue
        pixels = vision.Decode()(encoded)
        assert pixels.dtype == np.uint8 and pixels.shape[2] == 3
        if kind.endswith("png"):
            np.testing.assert_array_equal(pixels, original)
        outcomes["read"] += 1
    report(record_property, outcomes)


def test_damaged_list_labels_every_image_or_is_named(tmp_path, record_property):
    folder, outcomes = tmp_path / "val", Counter()
    folder.mkdir()
    for i in range(6):
        (folder / f"{i}.jpg").touch()
    lists = {
        "numbers": "".join(f"{i}.jpg {i % 3}\n" for i in range(6)),
        "names": "".join(f"{i}.jpg,class {i % 3}\r\n" for i in range(6)),
        "kaggle": "ImageId,PredictionString\n" + "".join(f"{i},n0{i % 3} 1 2 3 4\n" for i in range(6)),
        "lines": "".join(f"n0{i % 3}\n" for i in range(6)),
    }
    for kind, text in lists.items():
        for data in cases(text.encode(), 200, kind):
            (tmp_path / "list.txt").write_bytes(data)
            try:
                source = ListedSource(str(tmp_path), "val", str(tmp_path / "list.txt"))
            except ValueError as error:
                require_one_line(error, "list.txt")
                outcomes["named"] += 1
                continue
            assert len(source) == 6 and source.labels.min() >= 0
            assert source.labels.max() < len(source.class_names)
            outcomes["read"] += 1
    report(record_property, outcomes)


def test_damaged_names_of_classes_are_read_or_named(tmp_path, record_property):
    path, outcomes = tmp_path / "names.txt", Counter()
    for data in cases("cat\ndog\nvélo\n猫\n".encode(), 150, "names"):
        path.write_bytes(data)
        try:
            names = read_class_names(path)
        except ValueError as error:
            require_one_line(error, "names.txt")
            outcomes["named"] += 1
            continue
        assert names and all(names)
        outcomes["read"] += 1
    report(record_property, outcomes)


@pytest.mark.parametrize("part", ["00000.mindrecord", "00000.mindrecord.db", "pack.json"])
def test_damaged_packing_gives_its_images_or_is_named(part, tmp_path, record_property):
    for name in ("cat/0.png", "cat/1.png", "dog/0.png", "dog/1.png"):
        path = tmp_path / "images/train" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((9, 8), 90).save(path)
    source = open_source("folder", str(tmp_path / "images"), "train")
    pack(source, tmp_path / "packed/train", 1)
    intact = [source[i][0].tobytes() for i in range(4)]
    path, outcomes = tmp_path / "packed/train" / part, Counter()
    data = path.read_bytes()
    used = data if part != "00000.mindrecord" else data[: 1 << 12] + data[1 << 20 : (1 << 20) + (1 << 12)]
    for changed in cases(used, 150, part):
        if part == "00000.mindrecord" and len(changed) >= 1 << 12:  # its header and its page have gaps
            changed = changed[: 1 << 12] + bytes((1 << 20) - (1 << 12)) + changed[1 << 12 :]
        path.write_bytes(changed)
        try:
            records = open_source("mindrecord", str(tmp_path / "packed"), "train")
            names = list(records.names())
        except (ValueError, OSError) as error:
            require_one_line(error, str(tmp_path / "packed/train"))
            outcomes["named"] += 1
            continue
        assert len(records) == len(names) == 4
        for i in range(4):
            try:
                assert records[i][0].tobytes() in intact
                outcomes["images read"] += 1
            except UnreadableImage as error:
                require_one_line(error, str(path.parent))
                outcomes["images named"] += 1
    report(record_property, outcomes)


def _archives():
    files = {"a/one.bin": bytes(range(256)) * 8, "a/two.txt": b"two\n" * 100}
    zipped, tarred = io.BytesIO(), {mode: io.BytesIO() for mode in ("w:gz", "w:bz2", "w:xz")}
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    for mode, out in tarred.items():
        with tarfile.open(fileobj=out, mode=mode) as archive:
            for name, data in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return files, {"zip": zipped.getvalue(), **{mode[2:]: out.getvalue() for mode, out in tarred.items()}}


@pytest.mark.parametrize("kind", ["zip", "gz", "bz2", "xz"])
def test_damaged_archive_is_unpacked_right_or_named(kind, tmp_path, record_property):
    files, archives = _archives()
    path, outcomes = tmp_path / f"a.{kind}", Counter()
    for data in cases(archives[kind], 150, kind):
        path.write_bytes(data)
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        try:
            extract(path, tmp_path / "out")
        except (ValueError, OSError) as error:
            require_one_line(error, str(tmp_path))
            outcomes["named"] += 1
            continue
        found = {p.relative_to(tmp_path / "out").as_posix(): p for p in (tmp_path / "out").rglob("*") if p.is_file()}
        for name, content in files.items():
            if name in found:
                assert found[name].read_bytes() == content
        outcomes["unpacked"] += 1
    report(record_property, outcomes)


@pytest.mark.parametrize("gzipped", [False, True])
def test_damaged_idx_file_has_its_shape_or_is_named(gzipped, tmp_path, record_property):
    pixels = np.random.default_rng(1).integers(0, 256, (3, 28, 28), np.uint8)
    data = b"\0\0\x08\x03" + np.array(pixels.shape, ">u4").tobytes() + pixels.tobytes()
    path, outcomes = tmp_path / ("a.gz" if gzipped else "a"), Counter()
    for changed in cases(gzip.compress(data, mtime=0) if gzipped else data, 150, path.name):
        path.write_bytes(changed)
        try:
            found = read_idx(path, 3)
        except ValueError as error:
            require_one_line(error, str(path))
            outcomes["named"] += 1
            continue
        assert found.ndim == 3
        if gzipped:  # its checksum tells
            np.testing.assert_array_equal(found, pixels)
        outcomes["read"] += 1
    report(record_property, outcomes)


def _checkpoints(folder):
    rng = np.random.default_rng(2)
    arrays = {"a.weight": rng.standard_normal((5, 7)).astype(np.float32), "a.bias": np.arange(7, dtype=np.int64)}
    arrays |= {"text": np.array("väl"), "half": rng.standard_normal(9).astype(np.float16)}
    weights.write(folder / "ours.ckpt", arrays)
    weights.write(folder / "ours.safetensors", {name: a for name, a in arrays.items() if name != "text"})
    plain = {name: a for name, a in arrays.items() if name != "text"}
    safetensors.numpy.save_file(plain, folder / "plain.safetensors", metadata={"format": "pt"})
    with zipfile.ZipFile(folder / "torch.pth", "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}q\x00.")
        archive.writestr("a/data/0", bytes(64))
    return arrays


@pytest.mark.parametrize("name", ["ours.ckpt", "ours.safetensors", "plain.safetensors", "torch.pth"])
def test_damaged_checkpoint_is_read_right_or_named(name, tmp_path, record_property):
    arrays, outcomes = _checkpoints(tmp_path), Counter()
    path = tmp_path / name
    for data in cases(path.read_bytes(), 200, name):
        path.write_bytes(data)
        try:
            contents = read_contents(path)
        except DamagedCheckpoint as error:
            require_one_line(error, str(path))
            outcomes["named"] += 1
            continue
        if contents.digest:
            assert all(np.array_equal(array, arrays[key]) for key, array in contents.arrays.items())
        outcomes["read" if contents.digest else "read, without a digest"] += 1
    report(record_property, outcomes)


def test_damaged_recipe_is_read_or_named(tmp_path, record_property):
    options = {"model": "convit_tiny", "lr": 0.001, "scale": [0.1, 1.0], "opt": "adamw", "mixup": 0.8, "seed": 3}
    path, outcomes = tmp_path / "recipe.yaml", Counter()
    for data in cases(yaml.safe_dump(options).encode(), 500, "recipe"):
        path.write_bytes(data)
        try:
            config = resolve(["-c", str(path)])
        except ConfigError as error:
            require_one_line(error, str(path) if "YAML" in str(error) else "")
            assert str(path) in str(error) or any(name in str(error) for name in options)
            outcomes["named"] += 1
            continue
        assert config.batch_size == 128
        outcomes["read"] += 1
    report(record_property, outcomes)
