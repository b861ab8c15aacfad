"""Read tiny files in the format described at https://www.cs.toronto.edu/~kriz/cifar.html."""

import io
import tarfile

import numpy as np
import pytest

from mindcv.data import open_source
from mindcv.data.datasets import cifar


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (10, 32, 32, 3), dtype=np.uint8)


def records(images, *label_columns):
    planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    return np.concatenate([*(np.array(c, np.uint8)[:, None] for c in label_columns), planes], axis=1).tobytes()


def write_cifar10(folder, images):
    folder.mkdir()
    (folder / "batches.meta.txt").write_text("\n".join(f"class{i}" for i in range(10)) + "\n\n")
    for batch in range(5):
        part = images[2 * batch : 2 * batch + 2]
        (folder / f"data_batch_{batch + 1}.bin").write_bytes(records(part, [2 * batch, 2 * batch + 1]))
    (folder / "test_batch.bin").write_bytes(records(images[:3], [7, 8, 9]))


def test_cifar10_reads_images_and_labels(tmp_path, images):
    write_cifar10(tmp_path / "cifar-10-batches-bin", images)
    for root in (tmp_path, tmp_path / "cifar-10-batches-bin"):
        train = open_source("cifar10", str(root), "train")
        assert len(train) == 10 and not train.encoded and train.splits == ["train", "test"]
        assert train.class_names == [f"class{i}" for i in range(10)]
        for i in range(10):
            image, label = train[i]
            assert label == i and label.dtype == np.int32
            np.testing.assert_array_equal(image, images[i])
    assert [int(open_source("cifar10", str(tmp_path), "test")[i][1]) for i in range(3)] == [7, 8, 9]


def test_cifar100_reads_the_fine_label(tmp_path, images):
    (tmp_path / "fine_label_names.txt").write_text("\n".join(f"fine{i}" for i in range(100)))
    (tmp_path / "train.bin").write_bytes(records(images[:2], [3, 4], [98, 99]))
    train = open_source("cifar100", str(tmp_path), "train")
    assert [int(train[i][1]) for i in range(2)] == [98, 99] and len(train.class_names) == 100
    np.testing.assert_array_equal(train[1][0], images[1])


def test_cifar10_with_missing_files_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no test_batch.bin and batches.meta.txt in .*download=True"):
        open_source("cifar10", str(tmp_path), "test")


def test_cifar10_val_split_raises(tmp_path):
    with pytest.raises(ValueError, match="no split 'val' in cifar-10-batches-bin; it has train, test"):
        open_source("cifar10", str(tmp_path), "val")


def test_cifar10_truncated_file_raises(tmp_path, images):
    write_cifar10(tmp_path / "cifar-10-batches-bin", images)
    path = tmp_path / "cifar-10-batches-bin" / "data_batch_3.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"data_batch_3.bin: 6145 bytes are not a multiple of the 3073-byte"):
        open_source("cifar10", str(tmp_path), "train")


def test_cifar10_label_out_of_range_raises(tmp_path, images):
    write_cifar10(tmp_path / "c", images)
    (tmp_path / "c" / "data_batch_4.bin").write_bytes(records(images[6:8], [6, 10]))
    with pytest.raises(ValueError, match=r"image 7 of the train split in .*/c: got label 10, wanted 0 to 9: correct"):
        open_source("cifar10", str(tmp_path / "c"), "train")


def test_cifar10_duplicate_class_name_raises(tmp_path, images):
    write_cifar10(tmp_path / "c", images)
    (tmp_path / "c" / "batches.meta.txt").write_text("\n".join("abcdefghia"))
    with pytest.raises(ValueError, match=r"the train split in .*/c: several classes are called a: give each a name"):
        open_source("cifar10", str(tmp_path / "c"), "train")


def test_cifar10_download_unpacks_the_archive(tmp_path, images, monkeypatch):
    write_cifar10(tmp_path / "cifar-10-batches-bin", images)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(tmp_path / "cifar-10-batches-bin", "cifar-10-batches-bin")

    def fetch(url, path, md5):
        assert url == "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz" and len(md5) == 32
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(packed.getvalue())
        return path

    monkeypatch.setattr(cifar, "fetch", fetch)
    monkeypatch.setenv("MINDCV_HOME", str(tmp_path / "home"))
    assert len(open_source("cifar10", None, "train", download=True)) == 10
    assert (tmp_path / "home" / "datasets" / "cifar10" / "cifar-10-batches-bin" / "test_batch.bin").is_file()
