"""The command `mindcv explore`."""

from mindcv.cli import explore


def run(run_folder, out, *words):
    return explore.main(
        [str(w) for w in [run_folder / "best.ckpt", "--image", run_folder / "image.png", *words, "--out", out]]
    )


def test_explore_writes_a_page_and_replaces_its_own_only(run_folder, tmp_path, capsys):
    page = tmp_path / "page.html"
    page.write_text("mine")
    assert run(run_folder, page) == 2
    assert "exists and is not a page of mindcv explore" in capsys.readouterr().err
    assert page.read_text() == "mine"
    page.unlink()
    for _ in range(2):
        assert run(run_folder, page) == 0
    assert capsys.readouterr().out.startswith(f"{page}: ")
    text = page.read_text(encoding="utf-8")
    assert "convit_tiny, best.ckpt" in text
    assert "image.png" in text
    assert "http" not in text


def test_explore_of_a_missing_image_is_one_line(run_folder, tmp_path, capsys):
    assert run(run_folder, tmp_path / "page.html", "nowhere.png") == 2
    error = capsys.readouterr().err
    assert error.startswith("mindcv explore: image: no image at nowhere.png")
    assert error.count("\n") == 1
    assert not (tmp_path / "page.html").exists()
