import pytest
from PIL import Image

from mindcv.data import open_source

NAMES = [f"ILSVRC2012_val_{i:08}.JPEG" for i in (1, 2, 3, 4)]
CLASSES = ["n01440764", "n01443537", "n01484850"]
GIVEN = [2, 0, 0, 1]
LISTS = {
    "val.txt": [f"{name} {label}" for name, label in reversed(list(zip(NAMES, GIVEN, strict=True)))],
    "LOC_val_solution.csv": [
        "ImageId,PredictionString",
        *(f"{n[:-5]},{CLASSES[label]} 85 1 499 272" for n, label in zip(NAMES, GIVEN, strict=True)),
    ],
    "synset_labels.txt": [CLASSES[label] for label in GIVEN],
}


@pytest.fixture
def root(tmp_path):
    for path in (*(f"val/{name}" for name in NAMES), *(f"train/{name}/a.JPEG" for name in CLASSES)):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 3)).save(tmp_path / path)
    return tmp_path


def listing(root, lines, name="list.txt"):
    (root / name).write_text("\n".join(lines) + "\n")
    return str(root / name)


@pytest.mark.parametrize("name", LISTS)
def test_listed_source_reads_published_formats(root, name):
    source = open_source("imagenet", str(root), "val", class_names=CLASSES, listing=listing(root, LISTS[name], name))
    assert source.labels.tolist() == GIVEN and source.class_names == CLASSES and source.encoded
    assert [source.path(i).name for i in range(4)] == NAMES and source[0][1] == 2
    assert source[0][0].tobytes() == source.read_bytes(0) == (root / "val" / NAMES[0]).read_bytes()


def test_listed_source_without_class_names_takes_the_lists(root):
    assert (
        open_source("folder", str(root), "val", listing=listing(root, LISTS["synset_labels.txt"])).class_names
        == CLASSES
    )
    assert open_source("folder", str(root), "val", listing=listing(root, LISTS["val.txt"])).class_names == [
        "0",
        "1",
        "2",
    ]


@pytest.mark.parametrize("lines, message", [
    (LISTS["val.txt"][1:], r"list.txt does not list ILSVRC2012_val_00000004.JPEG$"),
    (CLASSES, "has 3 lines for 4 images: one for each is wanted"),
    (["490", "361", "171", "822"], "numbers alone, and the ImageNet devkit counts classes in an order of its own"),
    ([*CLASSES, "n09999999"], "n09999999 not among the 3 known classes"),
    ([f"{name} 3" for name in NAMES],
     r"list.txt, .*1.JPEG: got label 3 \(and 3 more such labels\), wanted 0 to 2: classes count from 0; correct the"),
    ([*LISTS["val.txt"][:3], f"{NAMES[0]} -1"], r"list.txt, .*1.JPEG: got label -1, wanted 0 to 2: "),
    ([*LISTS["val.txt"][:3], f"{NAMES[0]} 99999999999"], "got label 99999999999, wanted 0 to 2: "),
    ([*LISTS["val.txt"], f"{NAMES[0]} 1"], r"list.txt lists ILSVRC2012_val_00000001.JPEG twice: leave one line$"),
    ([*LISTS["val.txt"], f"{NAMES[0][:-5]} 2"], r"lists ILSVRC2012_val_00000001, and there is no such image"),
    ([*LISTS["val.txt"], "other.JPEG 1"], r"lists other.JPEG, and there is no such image: remove the lines$"),
    ([*LISTS["val.txt"][:3], NAMES[0]], "gives no class for ILSVRC2012_val_00000001.JPEG$"),
])  # fmt: skip
def test_listed_source_with_mismatching_list_raises(root, lines, message):
    with pytest.raises(ValueError, match=message):
        open_source("imagenet", str(root), "val", class_names=CLASSES, listing=listing(root, lines))


def test_listed_source_with_missing_parts_raises(root):
    with pytest.raises(FileNotFoundError, match=r"no images in .*train itself, which val_list .* is a list of"):
        open_source("imagenet", str(root), "train", listing=listing(root, CLASSES))
    with pytest.raises(FileNotFoundError, match=r"nowhere.txt"):
        open_source("imagenet", str(root), "val", listing=str(root / "nowhere.txt"))
    with pytest.raises(ValueError, match="a list of images goes with a folder of them, not with dataset 'digits'"):
        open_source("digits", None, "val", listing="x")


def test_listed_source_with_too_large_numbers_raises(root):
    for number in (2_000_000_000, 99_999_999_999):
        lines = [*LISTS["val.txt"][:3], f"{NAMES[0]} {number}"]
        with pytest.raises(ValueError, match=f"1.JPEG: got label {number}, wanted 0 to 999999: classes count from 0"):
            open_source("imagenet", str(root), "val", listing=listing(root, lines))


def test_listed_source_with_numbers_and_names_raises(root):
    lines = [*LISTS["val.txt"][:3], f"{NAMES[0]} n01440764"]
    with pytest.raises(ValueError, match=r"has classes by number \(0\) and by name \(n01440764\): write all one way"):
        open_source("imagenet", str(root), "val", listing=listing(root, lines))


def test_listed_source_with_ambiguous_number_raises(root):
    where = {"root": str(root), "split": "val", "listing": listing(root, LISTS["val.txt"])}
    assert open_source("folder", class_names=["0", "1", "2"], **where).labels.tolist() == GIVEN
    with pytest.raises(ValueError, match="class 0 may be the one of that name or number 0, which is called 2: give"):
        open_source("folder", class_names=["2", "1", "0"], **where)


def test_listed_source_with_duplicate_class_name_raises(root):
    where = {"root": str(root), "split": "val", "listing": listing(root, LISTS["synset_labels.txt"])}
    with pytest.raises(ValueError, match=r"list.txt: several classes are called n01440764: give each a name"):
        open_source("folder", class_names=[*CLASSES, CLASSES[0]], **where)


@pytest.fixture
def twins(root):
    """Images whose names differ only in their extension."""
    for name in ("a.jpg", "a.png", "b.c.jpg"):
        (root / "twins").mkdir(exist_ok=True)
        Image.new("RGB", (4, 3)).save(root / "twins" / name)
    return root


def test_listed_source_distinguishes_files_by_extension(twins):
    lines = ["a.png 1", "a.jpg 0", "b.c 2"]
    source = open_source("folder", str(twins), "twins", class_names=CLASSES, listing=listing(twins, lines))
    labels = {source.path(i).name: int(source.labels[i]) for i in range(3)}
    assert labels == {"a.jpg": 0, "a.png": 1, "b.c.jpg": 2}


def test_listed_source_with_ambiguous_file_name_raises(twins):
    with pytest.raises(ValueError, match=r"a may be a.jpg, a.png: write the extension"):
        open_source("folder", str(twins), "twins", class_names=CLASSES, listing=listing(twins, ["a 0", "b.c.jpg 2"]))


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", "a.jpg 0".encode("utf-16"), "a.jpg 0".encode("utf-16-le")])
def test_listed_source_with_binary_list_raises(data, root):
    (root / "list.txt").write_bytes(data)
    with pytest.raises(ValueError, match=r"list.txt is not a text in UTF-8; wanted lines such as 'image.jpg 65'"):
        open_source("imagenet", str(root), "val", listing=str(root / "list.txt"))


def test_listed_source_ignores_a_byte_order_mark(root):
    (root / "list.txt").write_text("\n".join(LISTS["val.txt"]), encoding="utf-8-sig")
    source = open_source("imagenet", str(root), "val", class_names=CLASSES, listing=str(root / "list.txt"))
    assert source.labels.tolist() == GIVEN


@pytest.mark.parametrize("class_names", [["New Jersey", "New York", "tiger cat"], None])
def test_listed_source_with_spaces_in_names_reads_comma_lines(twins, class_names):
    (twins / "twins/a.png").rename(twins / "twins/a b.png")
    lines = ["a.jpg,New York", "a b.png, tiger cat", "b.c.jpg,New Jersey"]
    source = open_source("folder", str(twins), "twins", class_names=class_names, listing=listing(twins, lines))
    found = {source.path(i).name: source.class_names[source.labels[i]] for i in range(3)}
    assert found == {"a.jpg": "New York", "a b.png": "tiger cat", "b.c.jpg": "New Jersey"}


def test_listed_source_with_several_boxes_reads_the_class(root):
    boxes = "85 1 499 272"
    lines = [
        f"{name[:-5]},{CLASSES[label]} {boxes} {CLASSES[label]} {boxes} "
        for name, label in zip(NAMES, GIVEN, strict=True)
    ]
    source = open_source("imagenet", str(root), "val", listing=listing(root, ["ImageId,PredictionString", *lines]))
    assert source.class_names == CLASSES and source.labels.tolist() == GIVEN


@pytest.mark.parametrize("line", ["a.jpg 1 0", "a.jpg,1 0", "a.jpg,1,0", "a.jpg,1 0 0 0 0", "a b.jpg 1"])
def test_listed_source_with_further_words_raises(twins, line):
    with pytest.raises(ValueError, match=rf"list.txt line 2: got '{line}', wanted a file's name and one class, with"):
        open_source("folder", str(twins), "twins", listing=listing(twins, ["a.png 0", line, "b.c.jpg 1"]))


def test_listed_source_with_a_label_of_thousands_of_digits_names_the_list(twins):
    lines = ["a.png 0", "a.jpg " + "9" * 5000, "b.c.jpg 1"]
    with pytest.raises(ValueError, match=r"list.txt, a.jpg: got a label of 5000 digits: correct the list$"):
        open_source("folder", str(twins), "twins", listing=listing(twins, lines))
