"""Read tiny files in MNIST's IDX format."""

import gzip
import struct

import numpy as np
import pytest

from mindcv.data import open_source
from mindcv.data.datasets import mnist


def idx(array):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def files():
    rng = np.random.default_rng(0)
    return {
        "train-images-idx3-ubyte": rng.integers(0, 256, (5, 28, 28), dtype=np.uint8),
        "train-labels-idx1-ubyte": np.array([5, 0, 4, 1, 9], np.uint8),
        "t10k-images-idx3-ubyte": rng.integers(0, 256, (2, 28, 28), dtype=np.uint8),
        "t10k-labels-idx1-ubyte": np.array([7, 2], np.uint8),
    }


@pytest.mark.parametrize("gzipped", [True, False])
def test_mnist_reads_both_splits(tmp_path, files, gzipped):
    for name, array in files.items():
        data = idx(array)
        (tmp_path / (name + ".gz" * gzipped)).write_bytes(gzip.compress(data) if gzipped else data)
    for split, prefix in (("train", "train"), ("test", "t10k")):
        source = open_source("mnist", str(tmp_path), split)
        images, labels = files[f"{prefix}-images-idx3-ubyte"], files[f"{prefix}-labels-idx1-ubyte"]
        assert len(source) == len(images) and source.splits == ["train", "test"]
        for i in range(len(source)):
            image, label = source[i]
            assert label == labels[i]
            np.testing.assert_array_equal(image, np.stack([images[i]] * 3, axis=2))


def test_mnist_with_missing_files_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no t10k-images-idx3-ubyte\[.gz\] in .*download=True"):
        open_source("mnist", str(tmp_path), "test")


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda d: d[:-1], r"783 values where its header says \(1, 28, 28\)"),
        (lambda d: b"GIF89a" + d, "not an IDX file"),
    ],
)
def test_mnist_damaged_file_raises(tmp_path, files, damage, message):
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(damage(idx(files["t10k-images-idx3-ubyte"][:1])))
    with pytest.raises(ValueError, match=message):
        open_source("mnist", str(tmp_path), "test")


def test_mnist_download_fetches_the_published_files(tmp_path, files, monkeypatch):
    requested = {}

    def fetch(urls, path, md5):
        requested[path.name] = (urls, md5)
        path.write_bytes(gzip.compress(idx(files[path.stem])))
        return path

    monkeypatch.setattr(mnist, "fetch", fetch)
    assert len(open_source("mnist", str(tmp_path), "test", download=True)) == 2
    assert sorted(requested) == ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"]
    assert all(u.endswith(name) for name, (urls, _) in requested.items() for u in urls)


def write(folder, images, labels):
    (folder / "train-images-idx3-ubyte").write_bytes(idx(images))
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(np.array(labels, np.uint8)))


def test_mnist_label_out_of_range_raises(tmp_path, files):
    write(tmp_path, files["train-images-idx3-ubyte"], [5, 0, 200, 1, 10])
    message = r"image 2 of MNIST's train split in .*: got label 200 \(and 1 more such labels\), wanted 0 to 9: correct"
    with pytest.raises(ValueError, match=message):
        open_source("mnist", str(tmp_path), "train")


def test_mnist_with_more_images_than_labels_raises(tmp_path, files):
    write(tmp_path, files["train-images-idx3-ubyte"], [5, 0, 4])
    with pytest.raises(ValueError, match=r"MNIST's train split in .*: 5 images, but labels of shape \(3,\)"):
        open_source("mnist", str(tmp_path), "train")


def test_gzip_cut_anywhere_names_the_file(tmp_path, files):
    whole = gzip.compress(idx(files["t10k-images-idx3-ubyte"]))
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    for length in [*range(12), *range(50, len(whole), 97), *range(len(whole) - 9, len(whole))]:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=rf"^{path}.*; fetch it again$"):
            mnist.read_idx(path, 3)


@pytest.mark.parametrize("damage", [lambda d: d[:50], lambda d: d[:40] + b"\xff" * 20 + d[60:], lambda d: b"no" + d])
def test_damaged_gzip_names_the_file(tmp_path, files, damage):
    whole = gzip.compress(idx(files["t10k-images-idx3-ubyte"]))
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(damage(whole))
    with pytest.raises(ValueError, match=r"t10k-images-idx3-ubyte\.gz is damaged: .*; fetch it again"):
        open_source("mnist", str(tmp_path), "test")
