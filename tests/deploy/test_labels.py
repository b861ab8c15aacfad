import pytest

from mindcv.deploy.labels import class_label, imagenet_names, read_class_names


def test_imagenet_names_are_in_the_order_of_wordnet_ids():
    names = imagenet_names()
    assert len(names) == len(set(names.values())) == 1000
    assert list(names) == sorted(names)
    order = list(names.values())
    # classes that every ImageNet model's users know by number
    known = {0: "tench", 1: "goldfish", 207: "golden retriever", 281: "tabby", 388: "giant panda", 817: "sports car"}
    assert {number: order[number] for number in known} == known
    assert names["n02123045"] == "tabby"


def test_class_label_prefers_names_then_imagenet_then_number():
    assert class_label(281, 1000, None) == "tabby"
    assert class_label(1, 2, ["n01440764", "n02123045"]) == "tabby"
    assert class_label(1, 2, ["a", "b"]) == "b"
    assert class_label(2, 3, ["a", "b"]) == "class 2"
    assert class_label(2, 3, None) == "class 2"


def test_read_class_names_strips_lines(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("\ufeffcat\nsmall dog \r\nvache normande\n\n")
    assert read_class_names(path) == ["cat", "small dog", "vache normande"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "line 1"),
        (b"a\n\nb\n", "no name in line 2"),
        (b"\xff\xfe\x00", "not a text in UTF-8"),
        (b"a\0\n\0", "not a text in UTF-8"),
    ],
)
def test_read_class_names_of_unusable_file_raises(content, message, tmp_path):
    (tmp_path / "names.txt").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_class_names(tmp_path / "names.txt")
    with pytest.raises(FileNotFoundError, match="class_names"):
        read_class_names(tmp_path / "nowhere.txt")
