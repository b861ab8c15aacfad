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
def test_the_lists_that_people_have(root, name):
    source = open_source("imagenet", str(root), "val", class_names=CLASSES, listing=listing(root, LISTS[name], name))
    assert source.labels.tolist() == GIVEN and source.class_names == CLASSES and source.encoded
    assert [source.path(i).name for i in range(4)] == NAMES and source[0][1] == 2
    assert source[0][0].tobytes() == source.packed(0) == (root / "val" / NAMES[0]).read_bytes()


def test_without_the_training_classes(root):
    assert (
        open_source("folder", str(root), "val", listing=listing(root, LISTS["synset_labels.txt"])).class_names
        == CLASSES
    )
    assert open_source("folder", str(root), "val", listing=listing(root, LISTS["val.txt"])).class_names == [
        "0",
        "1",
        "2",
    ]


@pytest.mark.parametrize("lines, said", [
    (LISTS["val.txt"][1:], r"list.txt does not list ILSVRC2012_val_00000004.JPEG$"),
    (CLASSES, "has 3 lines for 4 images: one for each is wanted"),
    (["490", "361", "171", "822"], "numbers alone, and the ImageNet devkit counts classes in an order of its own"),
    ([*CLASSES, "n09999999"], "n09999999 not among the 3 known classes"),
    ([f"{name} 3" for name in NAMES], "class 3, but there are 3, from 0 on"),
])  # fmt: skip
def test_lists_that_do_not_fit(root, lines, said):
    with pytest.raises(ValueError, match=said):
        open_source("imagenet", str(root), "val", class_names=CLASSES, listing=listing(root, lines))


def test_what_is_missing(root):
    with pytest.raises(FileNotFoundError, match=r"no images in .*train itself, which val_list .* is a list of"):
        open_source("imagenet", str(root), "train", listing=listing(root, CLASSES))
    with pytest.raises(FileNotFoundError, match=r"nowhere.txt"):
        open_source("imagenet", str(root), "val", listing=str(root / "nowhere.txt"))
    with pytest.raises(ValueError, match="a list of images goes with a folder of them, not with dataset 'digits'"):
        open_source("digits", None, "val", listing="x")
