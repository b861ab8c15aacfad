"""predict, held to validation's own pipeline and to a softmax in float64."""

import subprocess
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor
from PIL import Image

import mindcv
from mindcv.data import UnreadableImage
from mindcv.deploy import predict
from mindcv.deploy.preprocess import Preprocessor

ROOT = Path(__file__).parents[2]
KINDS = ["mean", "bicubic", "square"]
OPTIONS = {
    "mean": ((32, 24), {"mean": (10.0, 20.0, 30.0), "std": (50.0, 60.0, 70.0)}),
    "bicubic": ((32, 24), {"interpolation": "bicubic", "crop_pct": 0.7}),
    "square": ((32, 32), {"interpolation": "bilinear", "crop_pct": 1.0}),
}


def as_validated(folder, size, options):
    """Every file of `folder`, in the order of names, through validation's loader."""

    class Source:
        encoded, class_names, splits = True, ["a"], []
        paths = sorted(folder.iterdir())
        labels = np.zeros(len(paths), np.int32)

        def __len__(self):
            return len(self.paths)

        def __getitem__(self, i):
            return mindcv.data.as_viewed(self.paths[i]), self.labels[i]

    dataset = mindcv.create_dataset(Source(), shuffle=False)
    transforms = mindcv.create_transforms("imagenet", size, **options)
    [(images, _)] = mindcv.create_loader(dataset, 5, transform=transforms).create_tuple_iterator(output_numpy=True)
    return images


@pytest.mark.parametrize("kind", KINDS)
def test_files_are_seen_as_in_validation_bit_for_bit(kind, photos):
    size, options = OPTIONS[kind]
    views = Preprocessor(size, **options)
    found = views.batch([views.view(path) for path in sorted(photos.iterdir())])
    wanted = as_validated(photos, size, options)
    assert wanted.std() > 0.1
    np.testing.assert_array_equal(found, wanted, strict=True)


def test_pixels_and_pil_images_are_seen_as_files(photos):
    views = Preprocessor((32, 24), crop_pct=0.7)
    for path in sorted(photos.iterdir()):
        if path.suffix == ".jpg" and path.name != "e.jpg":
            continue  # Pillow decodes a plain JPEG a little otherwise than MindSpore
        with Image.open(path) as image:
            view = views.view(image)
            np.testing.assert_array_equal(view, views.view(path))
            if image.mode in ("RGB", "L") and path.suffix != ".jpg":
                np.testing.assert_array_equal(view, views.view(np.asarray(image)))


def softmax(logits):
    logits = np.asarray(logits, np.float64)
    return np.exp(logits) / np.exp(logits).sum()


def test_every_kind_of_image_in_batches(small_model, photos, monkeypatch):
    model = small_model()
    names = list("abcdefg")
    paths = sorted(photos.iterdir())
    with Image.open(paths[1]) as image:
        mixed = [paths[0], str(paths[3]), image.copy(), np.asarray(image)]
    views = Preprocessor((32, 24), interpolation="bicubic")
    batch = Tensor(views.batch([views.view(image) for image in mixed]))
    rows = [softmax(row) for row in model(batch).asnumpy()]
    for batch_size in (3, 20):
        found = predict(model, mixed, 3, names, batch_size=batch_size, interpolation="bicubic")
        assert len(found) == 4
        for guesses, row in zip(found, rows, strict=True):
            assert [guess.number for guess in guesses] == np.argsort(-row)[:3].tolist()
            assert [guess.name for guess in guesses] == [names[guess.number] for guess in guesses]
            np.testing.assert_allclose([guess.probability for guess in guesses], np.sort(row)[::-1][:3], rtol=1e-4)


def test_the_room_is_there_without_an_import_of_its_own():
    code = "import sys, mindcv; assert 'mindspore' not in sys.modules; print(mindcv.deploy.predict.__name__)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "predict"


def test_one_image_needs_no_list(small_model, photos):
    model = small_model()
    path = photos / "b.png"
    with Image.open(path) as image:
        found = [predict(model, one)[0] for one in (path, str(path), image, np.asarray(image))]
    assert found[0] == found[1] == found[2] == found[3]
    assert len(found[0]) == 5
    assert len(predict(model, path, topk=100)[0]) == 7
    assert predict(model, []) == []


def test_prediction_is_that_of_validation_in_any_phase(small_model, photos):
    model = small_model(drop_rate=0.5, drop_path_rate=0.5)
    calm = predict(model, photos / "a.jpg")
    model.set_train()
    assert predict(model, photos / "a.jpg") == calm
    assert model.training


def test_published_weights_say_how_images_are_prepared(small_model, photos):
    model = small_model()
    wanted = predict(model, photos / "a.jpg", mean=(9, 9, 9), std=(70, 70, 70), crop_pct=0.6, interpolation="bicubic")
    assert predict(model, photos / "a.jpg") != wanted
    model.pretrained_cfg = {
        "mean": (9, 9, 9), "std": (70, 70, 70), "crop_pct": 0.6, "interpolation": "bicubic", "file": "x",
    }  # fmt: skip
    assert predict(model, photos / "a.jpg") == wanted
    assert predict(model, photos / "a.jpg", crop_pct=0.9) != wanted


def test_names(small_model, photos):
    [[guess, *_]] = predict(small_model(1000), photos / "a.jpg")
    assert guess.name == list(mindcv.deploy.imagenet_names().values())[guess.number]
    [guesses] = predict(small_model(3), photos / "a.jpg", class_names=["cat", "dog"])
    assert {guess.number: guess.name for guess in guesses} == {0: "cat", 1: "dog", 2: "class 2"}


BAD = {
    "a missing file": ("nowhere.jpg", FileNotFoundError, "no image nowhere.jpg"),
    "floats": (np.zeros((4, 4, 3), np.float32), ValueError, r"float32 \(4, 4, 3\); give uint8"),
    "five channels": (np.zeros((4, 4, 5), np.uint8), ValueError, "5 channels"),
    "no image": ([3], TypeError, "of type int"),
    "no pixels": (np.zeros((0, 4, 3), np.uint8), ValueError, r"\(0, 4, 3\)"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_image(case, small_model):
    image, kind, said = BAD[case]
    with pytest.raises(kind, match=said):
        predict(small_model(), image)


def test_a_torn_file_is_named(small_model, photos, tmp_path):
    (tmp_path / "torn.jpg").write_bytes((photos / "a.jpg").read_bytes()[:400])
    with pytest.raises(UnreadableImage, match=r"cannot read image .*torn.jpg"):
        predict(small_model(), [photos / "a.jpg", tmp_path / "torn.jpg"])


def test_logits_that_are_not_finite_are_refused(small_model, photos):
    model = small_model()
    bias = model.classifier.bias
    bias.set_data(Tensor(np.where(np.arange(7) == 3, np.inf, 0).astype(np.float32)))
    with pytest.raises(
        FloatingPointError, match=r"^the logits are not finite: classifier.bias holds NaN or infinite values: "
    ):
        predict(model, photos / "a.jpg")
    bias.set_data(Tensor(np.zeros(7, np.float32)))
    model.classifier.weight.set_data(Tensor(np.full(model.classifier.weight.shape, 3e38, np.float32)))
    with pytest.raises(FloatingPointError, match="not finite, though the weights are: the computation overflows; "):
        predict(model, photos / "a.jpg")


def test_without_a_classifier(small_model, photos):
    with pytest.raises(ValueError, match="no classifier"):
        predict(small_model(0), photos / "a.jpg")


def test_in_graph_mode_the_last_batch_compiles_nothing_new(small_model, photos):
    ms.set_context(mode=ms.GRAPH_MODE)
    model = small_model()
    found = predict(model, sorted(photos.iterdir()), batch_size=3)
    assert len(found) == 5
    assert len(model.compile_cache) == 1


def test_mean_and_std_of_other_channels_are_refused(small_model, photos):
    with pytest.raises(ValueError, match="takes images of 1 channels, but mean and std have 3 values"):
        predict(small_model(in_channels=1), photos / "a.jpg")


def test_predict_mean_and_std_of_pixels_from_0_to_1_are_refused(small_model, photos):
    with pytest.raises(ValueError, match=r"mean 123\.675 116\.28 103\.53, std 58\.395 57\.12 57\.375"):
        predict(small_model(), photos / "a.jpg", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
