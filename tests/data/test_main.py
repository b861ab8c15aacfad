import pytest
from PIL import Image

from mindcv.cli.data import main


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("MINDCV_HOME", str(tmp_path / "home"))
    for split in ("train", "val"):
        folder = tmp_path / "data" / split / "a"
        folder.mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (4, 3), (i, 0, 0)).save(folder / f"{i}.png")
    return tmp_path / "data"


def test_check_with_unreadable_images_lists_them_and_returns_1(root, capsys):
    assert main(["check", str(root)]) == 0
    assert capsys.readouterr().out == ""
    (root / "val/a/1.png").write_bytes(b"text")
    listed = root.parent / "bad.txt"
    assert main(["check", str(root), "--split", "train", "val", "--output", str(listed)]) == 1
    captured = capsys.readouterr()
    assert captured.out == listed.read_text() == f"{root}/val/a/1.png: not an image, or it ends inside its header\n"
    assert captured.err.endswith("6 images, 1 unreadable\n")


def test_check_with_output_of_another_kind_returns_2(root, capsys):
    existing = root / "train/a/0.png"
    before = existing.read_bytes()
    assert main(["check", str(root), "--output", str(existing)]) == 2
    assert capsys.readouterr().err == (
        f"python -m mindcv.data: {existing} exists and is not a list of unreadable images: name another file, or "
        "move it away\n"
    )
    assert existing.read_bytes() == before


def test_check_with_output_of_an_older_list_replaces_it(root):
    (root / "val/a/1.png").write_bytes(b"text")
    listed = root.parent / "bad.txt"
    for expected in (1, 0):
        assert main(["check", str(root), "--split", "val", "--output", str(listed)]) == expected
        assert len(listed.read_text().splitlines()) == expected
        (root / "val/a/1.png").write_bytes((root / "val/a/0.png").read_bytes())


def test_pack_into_a_folder_with_other_files_returns_2(root, capsys):
    for out, other in ((root, "a"), (root.parent / "out", "00000.mindrecord")):
        if out != root:
            (out / "train").mkdir(parents=True)
            (out / "train" / other).write_text("mine")
        assert main(["pack", str(root), str(out)]) == 2
        assert f"{out}/train holds other files, such as {other}: give another folder" in capsys.readouterr().err
        assert [path.name for path in (out / "train").iterdir()] == [other]


def test_check_of_a_missing_split_prints_one_line(root, capsys):
    assert main(["check", str(root), "--split", "test"]) == 2
    assert capsys.readouterr().err == f"python -m mindcv.data: no split 'test' in {root}; it has train, val\n"
