import pytest

from mindcv.io.files import archive_foreign, next_archive, require_replaceable


def is_ours(path):
    return path.is_file() and path.read_text().startswith("ours")


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("text", [None, "", "ours, from before"])
def test_require_replaceable_missing_empty_or_own_file_passes(text, tmp_path):
    path = tmp_path / "new folder" / "a.json"
    if text is not None:
        path.parent.mkdir()
        path.write_text(text)
    require_replaceable(path, "results", is_ours)


@pytest.mark.parametrize("make", [lambda path: path.write_text("mine"), lambda path: path.mkdir()])
def test_require_replaceable_foreign_file_raises(make, tmp_path):
    make(tmp_path / "a.json")
    with pytest.raises(FileExistsError, match=r"a\.json exists and is not results: name another file, or move it away"):
        require_replaceable(tmp_path / "a.json", "results", is_ours)


def test_require_replaceable_below_a_file_raises(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match=r"cannot write to .*file/folder: .*file is not a folder"):
        require_replaceable(tmp_path / "file/folder/a.json", "results", is_ours)


def test_next_archive_passes_over_a_link_without_a_target(tmp_path):
    (tmp_path / "earlier-1").symlink_to(tmp_path / "gone")
    assert next_archive(tmp_path) == tmp_path / "earlier-2"


def test_archive_foreign_moves_foreign_files_and_never_overwrites(tmp_path, caplog):
    for text in ("first", "second"):
        (tmp_path / "a").write_text(text)
        (tmp_path / "b").write_text("ours")
        archive_foreign({tmp_path / name: is_ours for name in "abc"})
    assert names(tmp_path) == ["b", "earlier-1/a", "earlier-2/a"]
    assert [(tmp_path / f"earlier-{n}/a").read_text() for n in (1, 2)] == ["first", "second"]
    assert (
        caplog.messages[0]
        == f"{tmp_path}/a was not written by this program, or was edited: it is {tmp_path}/earlier-1/a now"
    )
