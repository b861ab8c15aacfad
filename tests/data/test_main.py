import pytest
from PIL import Image

from mindcv.data.__main__ import main


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("MINDCV_HOME", str(tmp_path / "home"))
    for split in ("train", "val"):
        folder = tmp_path / "data" / split / "a"
        folder.mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (4, 3), (i, 0, 0)).save(folder / f"{i}.png")
    return tmp_path / "data"


def test_check_lists_the_unreadable_and_says_so_by_its_exit_code(root, capsys):
    assert main(["check", str(root)]) == 0
    assert capsys.readouterr().out == ""
    (root / "val/a/1.png").write_bytes(b"text")
    listed = root.parent / "bad.txt"
    assert main(["check", str(root), "--split", "train", "val", "--output", str(listed)]) == 1
    said = capsys.readouterr()
    assert said.out == listed.read_text() == f"{root}/val/a/1.png: it is no image, or ends before its header does\n"
    assert said.err.endswith("6 images, 1 unreadable\n")


def test_a_users_mistake_is_one_line(root, capsys):
    assert main(["check", str(root), "--split", "test"]) == 2
    assert capsys.readouterr().err == f"python -m mindcv.data: no split 'test' in {root}; it has train, val\n"
