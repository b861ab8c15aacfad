import pytest

from mindcv.deploy.labels import imagenet_names, label, read_names


def test_imagenet():
    names = imagenet_names()
    assert len(names) == len(set(names.values())) == 1000
    assert list(names) == sorted(names)
    order = list(names.values())
    # classes that every ImageNet model's users know by number
    known = {0: "tench", 1: "goldfish", 207: "golden retriever", 281: "tabby", 388: "giant panda", 817: "sports car"}
    assert {number: order[number] for number in known} == known
    assert names["n02123045"] == "tabby"


def test_what_a_class_is_called():
    assert label(281, 1000, None) == "tabby"
    assert label(1, 2, ["n01440764", "n02123045"]) == "tabby"
    assert label(1, 2, ["a", "b"]) == "b"
    assert label(2, 3, ["a", "b"]) == "class 2"
    assert label(2, 3, None) == "class 2"


def test_a_file_of_names(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("\ufeffcat\nsmall dog \r\nvache normande\n\n")
    assert read_names(path) == ["cat", "small dog", "vache normande"]


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "line 1"), (b"a\n\nb\n", "no name in line 2"), (b"\xff\xfe\x00", "no text in UTF-8")]
)
def test_a_file_of_no_names(content, said, tmp_path):
    (tmp_path / "names.txt").write_bytes(content)
    with pytest.raises(ValueError, match=said):
        read_names(tmp_path / "names.txt")
    with pytest.raises(FileNotFoundError, match="class_names"):
        read_names(tmp_path / "nowhere.txt")
