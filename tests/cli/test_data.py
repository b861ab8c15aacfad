"""The commands `mindcv data check` and `mindcv data pack`."""

import pytest
from PIL import Image

from mindcv.cli.data import main


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    monkeypatch.setenv("MINDCV_HOME", str(tmp_path / "home"))
    for split in ("train", "val"):
        folder = tmp_path / "data" / split / "a"
        folder.mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (4, 3), (i, 0, 0)).save(folder / f"{i}.png")
    return tmp_path / "data"


def test_check_of_an_unreadable_image_lists_it_with_exit_code_2(dataset, capsys):
    assert main(["check", str(dataset)]) == 0
    assert capsys.readouterr().out == ""
    (dataset / "val/a/1.png").write_bytes(b"text")
    listed = dataset.parent / "bad.txt"
    assert main(["check", str(dataset), "--split", "train", "val", "--output", str(listed)]) == 2
    printed = capsys.readouterr()
    assert printed.out == f"{dataset}/val/a/1.png: not an image, or it ends inside its header\n"
    assert listed.read_text() == f"# unreadable images, listed by mindcv\n{printed.out}"
    assert printed.err.endswith("6 images, 1 unreadable\n")


def test_check_refuses_to_overwrite_another_file(dataset, capsys):
    notes = dataset / "notes.txt"
    notes.write_text("beach.png: blurred, ask Anna\n")
    for mine in (dataset / "train/a/0.png", notes):
        before = mine.read_bytes()
        assert main(["check", str(dataset), "--output", str(mine)]) == 2
        assert capsys.readouterr().err == (
            f"mindcv data: {mine} exists and is not a list of unreadable images: name another file, or move it away\n"
        )
        assert mine.read_bytes() == before


def test_check_overwrites_its_own_list(dataset):
    (dataset / "val/a/1.png").write_bytes(b"text")
    listed = dataset.parent / "bad.txt"
    for expected in (1, 0):
        assert main(["check", str(dataset), "--split", "val", "--output", str(listed)]) == 2 * expected
        assert len(listed.read_text().splitlines()) == 1 + expected  # a heading and the images
        (dataset / "val/a/1.png").write_bytes((dataset / "val/a/0.png").read_bytes())


def test_pack_refuses_a_folder_with_other_files(dataset, capsys):
    for out, other in ((dataset, "a"), (dataset.parent / "out", "00000.mindrecord")):
        if out != dataset:
            (out / "train").mkdir(parents=True)
            (out / "train" / other).write_text("mine")
        assert main(["pack", str(dataset), str(out)]) == 2
        assert f"{out}/train holds other files, such as {other}: give another folder" in capsys.readouterr().err
        assert [path.name for path in (out / "train").iterdir()] == [other]


def test_check_of_a_missing_split_is_one_line(dataset, capsys):
    assert main(["check", str(dataset), "--split", "test"]) == 2
    assert capsys.readouterr().err == f"mindcv data: no split 'test' in {dataset}; it has train, val\n"


@pytest.mark.parametrize("command", ["check", "pack"])
def test_command_counts_files_that_are_not_read(command, dataset, caplog):
    (dataset / "train/a/b").mkdir()
    (dataset / "train/a/b/x.heix").touch()
    assert main([command, str(dataset), *[str(dataset.parent / "out")] * (command == "pack")]) == 0
    assert caplog.messages == [f"{dataset}/train: 1 file of a kind that is not read: 1 .heix"]


def test_check_refuses_images_above_max_image_pixels(dataset, capsys, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    assert main(["check", str(dataset), "--max_image_pixels", "11"]) == 2
    first, *_ = capsys.readouterr().out.splitlines()
    assert first == f"{dataset}/train/a/0.png: it has more than 11 pixels: raise max_image_pixels to read it"
    assert main(["check", str(dataset), "--max_image_pixels", "12"]) == 0
