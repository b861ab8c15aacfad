"""Pictures of every odd kind are read, damaged ones are found, named and left out."""

import io
import threading
import time

import numpy as np
import pytest
from PIL import Image

from mindcv.data import check, checked, create_dataset, create_loader, create_transforms, find_unreadable, leave_out
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
    """A hundred plain images and the odd ones, in two classes."""
    monkeypatch.setenv("MINDCV_HOME", str(tmp_path / "home"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    for name in ("odd", "plain"):
        (tmp_path / "train" / name).mkdir(parents=True)
    for i in range(100):
        (tmp_path / "train/plain" / f"{i:03}.jpg").write_bytes(GOOD["plain.jpg"])
    for name, data in {**GOOD, **BAD}.items():
        (tmp_path / "train/odd" / name).write_bytes(data)
    (tmp_path / "train/odd/gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "train/odd/folder.jpg").mkdir()
    yield tmp_path
    assert not list(work.iterdir()), "something was dropped into the working folder"


def test_the_unreadable_are_found_and_named_and_the_odd_are_not(root):
    source = open_source("folder", str(root), "train")
    found = {source.path(bad.index).name: bad.line for bad in find_unreadable(source)}
    assert found.keys() == {*BAD, "gone.jpg"}
    for name, line in found.items():
        assert line.startswith(f"{root}/train/odd/{name}: ") and "\n" not in line
    assert "No such file" in found["gone.jpg"] and "no image" in found["text.jpg"]


def test_what_is_left_goes_through_the_whole_pipeline(root):
    source = open_source("folder", str(root), "train")
    kept = leave_out(source, checked(source))
    assert len(kept) == 108 and len(kept.left_out) == 6
    loader = create_loader(create_dataset(kept), 27, transform=create_transforms("folder", 16, is_training=True))
    batches = list(loader.create_tuple_iterator(num_epochs=1, output_numpy=True))
    labels = np.concatenate([label for _, label in batches])
    assert len(batches) == loader.get_dataset_size() == 4
    np.testing.assert_array_equal(np.bincount(labels), [8, 100])
    assert all(np.isfinite(image).all() for image, _ in batches)


def test_files_are_decoded_once(root, monkeypatch):
    def found():
        return [bad.index for bad in checked(open_source("folder", str(root), "train"))]

    first = found()
    assert len(first) == 6
    monkeypatch.setattr(check, "find_unreadable", lambda *_: pytest.fail("decoded again"))
    assert found() == first
    monkeypatch.undo()
    monkeypatch.setenv("MINDCV_HOME", str(root / "home"))
    monkeypatch.chdir(root / "work")
    (root / "train/odd/text.jpg").write_bytes(GOOD["plain.jpg"])  # mended
    assert len(found()) == 5
    (root / "train/plain/new.jpg").write_bytes(b"")
    assert len(found()) == 6
    (root / "train/plain/new.jpg").chmod(0o400)
    monkeypatch.setattr(check, "find_unreadable", lambda *_: [])
    assert found() == [], "an image that was opened to this user is looked at again"


def test_one_process_checks_and_the_others_wait(root):
    source = open_source("folder", str(root), "train")
    with pytest.raises(TimeoutError, match=r"waited 0 s for the process that checks the images to write .*\.json"):
        checked(source, wait=0)
    seen = []
    other = threading.Thread(target=lambda: seen.append(checked(source, wait=30)))
    other.start()
    time.sleep(0.3)
    assert not seen
    assert len(checked(source)) == 6
    other.join(30)
    assert seen == [checked(source)]


def test_pixels_need_no_check():
    digits = open_source("digits", None, "val")
    assert checked(digits) == [] and leave_out(digits, []) is digits


def test_too_many(root):
    source = open_source("folder", str(root), "train")
    some = [check.BadImage(i, "x.jpg: broken") for i in range(20, 32)]
    with pytest.raises(ValueError, match=r"^12 of 114 images cannot be read, too many .* x.jpg: broken$"):
        leave_out(source, some)
    assert len(leave_out(source, some[:11])) == 103
    with pytest.raises(ValueError, match="no image of class odd can be read, such as x"):
        leave_out(source, [check.BadImage(i, "x.jpg: broken") for i in range(14)])
