"""Check that unusual images are read, and damaged ones are found, named and excluded."""

import io
import threading
import time

import numpy as np
import pytest
from PIL import Image

from mindcv.data import (
    UnreadableImage,
    check,
    create_dataset,
    create_loader,
    create_transforms,
    exclude_images,
    find_unreadable,
    unreadable_images,
)
from mindcv.data.datasets import open_source


def jpeg(size=(40, 30), mode="RGB"):
    out = io.BytesIO()
    Image.effect_noise(size, 50).convert(mode).save(out, "JPEG")
    return out.getvalue()


def png(image):
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def without_huffman_table(data):
    start = data.find(b"\xff\xc4") + 5
    return data[:start] + b"\xff" * 16 + data[start + 16 :]


GREY = Image.effect_noise((40, 30), 50)
GOOD = {
    "plain.jpg": jpeg(),
    "pixel.jpg": jpeg((1, 1)),
    "wide.jpg": jpeg((20000, 10)),
    "grey.jpg": jpeg(mode="L"),
    "cmyk.jpg": jpeg(mode="CMYK"),
    "palette.png": png(GREY.convert("RGB").convert("P")),
    "alpha.png": png(Image.merge("RGBA", [GREY] * 4)),
    "sixteen.png": png(Image.fromarray(np.arange(1200, dtype=np.uint16).reshape(30, 40) * 50)),
}
BAD = {
    "text.jpg": b"hello, I am text\n" * 50,
    "empty.jpg": b"",
    "header.jpg": jpeg()[:100],
    "body.jpg": jpeg((400, 300))[:5000],
    "damaged.jpg": without_huffman_table(jpeg()),
}


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A hundred plain images in class "plain", and the unusual and damaged ones in class "mixed"."""
    monkeypatch.setenv("MINDCV_HOME", str(tmp_path / "home"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    for name in ("mixed", "plain"):
        (tmp_path / "train" / name).mkdir(parents=True)
    for i in range(100):
        (tmp_path / "train/plain" / f"{i:03}.jpg").write_bytes(GOOD["plain.jpg"])
    for name, data in {**GOOD, **BAD}.items():
        (tmp_path / "train/mixed" / name).write_bytes(data)
    (tmp_path / "train/mixed/gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "train/mixed/folder.jpg").mkdir()
    yield tmp_path
    assert not list(work.iterdir()), "a file was left in the working folder"


def test_find_unreadable_names_damaged_files_only(root):
    source = open_source("folder", str(root), "train")
    found = {source.path(bad.index).name: bad.line for bad in find_unreadable(source)}
    assert found.keys() == {*BAD, "gone.jpg"}
    for name, line in found.items():
        assert line.startswith(f"{root}/train/mixed/{name}: ") and "\n" not in line
    assert "No such file" in found["gone.jpg"] and "not an image" in found["text.jpg"]


def test_exclude_images_leaves_images_that_the_pipeline_reads(root):
    source = open_source("folder", str(root), "train")
    kept = exclude_images(source, unreadable_images(source))
    assert len(kept) == 108 and len(kept.excluded) == 6
    loader = create_loader(create_dataset(kept), 27, transform=create_transforms("folder", 16, is_training=True))
    batches = list(loader.create_tuple_iterator(num_epochs=1, output_numpy=True))
    labels = np.concatenate([label for _, label in batches])
    assert len(batches) == loader.get_dataset_size() == 4
    np.testing.assert_array_equal(np.bincount(labels), [8, 100])
    assert all(np.isfinite(image).all() for image, _ in batches)


def test_unreadable_images_decodes_unchanged_files_once(root, monkeypatch):
    def found():
        return [bad.index for bad in unreadable_images(open_source("folder", str(root), "train"))]

    first = found()
    assert len(first) == 6
    monkeypatch.setattr(check, "find_unreadable", lambda *_: pytest.fail("decoded again"))
    assert found() == first
    monkeypatch.undo()
    monkeypatch.setenv("MINDCV_HOME", str(root / "home"))
    monkeypatch.chdir(root / "work")
    (root / "train/mixed/text.jpg").write_bytes(GOOD["plain.jpg"])  # repaired
    assert len(found()) == 5
    (root / "train/plain/new.jpg").write_bytes(b"")
    assert len(found()) == 6
    (root / "train/plain/new.jpg").chmod(0o400)
    monkeypatch.setattr(check, "find_unreadable", lambda *_: [])
    assert found() == [], "an image with new permissions is decoded again"


@pytest.mark.parametrize("damage", ["", "[[1,", "{}", "[1]", "[[1]]", '[[99999, "a"]]', "[" * 100_000])
def test_unreadable_images_with_a_damaged_record_decodes_again(damage, root):
    source = open_source("folder", str(root), "train")
    record = check.record_path(source)
    record.parent.mkdir(parents=True)
    record.write_text(damage)
    with pytest.raises(TimeoutError):
        unreadable_images(source, wait=0)
    assert len(unreadable_images(source)) == 6
    assert unreadable_images(source, wait=0) == unreadable_images(source)


def test_record_path_changes_with_what_is_readable(root, monkeypatch):
    source = open_source("folder", str(root), "train")
    before = check.record_path(source)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5)
    assert check.record_path(source) != before


def test_require_readable_names_the_first_unreadable_image_of_a_small_source(root, monkeypatch):
    source = open_source("folder", str(root), "train")
    message = rf"^cannot read image {root}/train/mixed/body.jpg: image file is truncated .* \(and 5 more\)$"
    for _ in range(2):
        with pytest.raises(UnreadableImage, match=message):
            check.require_readable(source)
    check.require_readable(exclude_images(source, unreadable_images(source)))
    (root / "home/checked").rename(root / "aside")
    (root / "home/checked").write_text("no folder")
    with pytest.raises(UnreadableImage, match=message):
        check.require_readable(source)
    monkeypatch.setattr(check, "MAX_CHECKED_AT_START", 113)
    check.require_readable(source)


def test_name_undecodable_names_what_pillow_or_mindspore_cannot_decode(root, monkeypatch):
    source = open_source("folder", str(root), "train")
    bad = unreadable_images(source)
    good = [(source, i) for i in range(len(source)) if i not in {image.index for image in bad}]
    assert check.name_undecodable(good) is None
    assert check.name_undecodable([*good[:5], (source, bad[0].index), *good]) == f"cannot read image {bad[0].line}"

    class Decoder:
        def __call__(self, data):
            raise RuntimeError("Decode failed")

    monkeypatch.setattr(check.vision, "Decode", Decoder)
    assert check.name_undecodable(good[-1:]) == (
        f"cannot read image {root}/train/plain/099.jpg: MindSpore cannot decode it"
    )


def test_unreadable_images_with_wait_waits_for_another_process(root):
    source = open_source("folder", str(root), "train")
    with pytest.raises(TimeoutError, match=r"waited 0 s for the process that checks the images to write .*\.json"):
        unreadable_images(source, wait=0)
    results = []
    other = threading.Thread(target=lambda: results.append(unreadable_images(source, wait=30)))
    other.start()
    time.sleep(0.3)
    assert not results
    assert len(unreadable_images(source)) == 6
    other.join(30)
    assert results == [unreadable_images(source)]


def test_unreadable_images_of_arrays_is_empty():
    digits = open_source("digits", None, "val")
    assert unreadable_images(digits) == [] and exclude_images(digits, []) is digits


def test_exclude_images_of_too_many_or_a_class_raises(root):
    source = open_source("folder", str(root), "train")
    bad = [check.BadImage(i, "x.jpg: broken") for i in range(20, 32)]
    with pytest.raises(ValueError, match=r"^12 of 114 images cannot be read, too many .* x.jpg: broken$"):
        exclude_images(source, bad)
    assert len(exclude_images(source, bad[:11])) == 103
    with pytest.raises(ValueError, match="no image of class mixed can be read, such as x"):
        exclude_images(source, [check.BadImage(i, "x.jpg: broken") for i in range(14)])
