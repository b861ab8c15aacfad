"""`predict` against validation's own pipeline and a softmax in float64."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor
from PIL import Image

import mindcv
from mindcv.data import UnreadableImage
from mindcv.deploy import predict
from mindcv.deploy.prediction import crop_batches
from mindcv.deploy.preprocess import Preprocessor

ROOT = Path(__file__).parents[2]
KINDS = ["mean", "bicubic", "square"]
OPTIONS = {
    "mean": ((32, 24), {"mean": (10.0, 20.0, 30.0), "std": (50.0, 60.0, 70.0)}),
    "bicubic": ((32, 24), {"interpolation": "bicubic", "crop_pct": 0.7}),
    "square": ((32, 32), {"interpolation": "bilinear", "crop_pct": 1.0}),
}


def as_validated(folder, size, options):
    """Return every file of `folder`, sorted by name, as validation's loader gives it."""

    class Source:
        encoded, class_names, splits = True, ["a"], []
        paths = sorted(folder.iterdir())
        labels = np.zeros(len(paths), np.int32)

        def __len__(self):
            return len(self.paths)

        def __getitem__(self, i):
            return mindcv.data.read_encoded(self.paths[i]), self.labels[i]

    dataset = mindcv.create_dataset(Source(), shuffle=False)
    transforms = mindcv.create_transforms("imagenet", size, **options)
    [(images, _)] = mindcv.create_loader(dataset, 5, transform=transforms).create_tuple_iterator(output_numpy=True)
    return images


@pytest.mark.parametrize("kind", KINDS)
def test_preprocessor_file_equals_validation(kind, photos):
    size, options = OPTIONS[kind]
    preprocessor = Preprocessor(size, **options)
    found = preprocessor.batch([preprocessor.crop(path) for path in sorted(photos.iterdir())])
    wanted = as_validated(photos, size, options)
    assert wanted.std() > 0.1
    np.testing.assert_array_equal(found, wanted, strict=True)


def test_preprocessor_pixels_and_pil_images_equal_files(photos):
    preprocessor = Preprocessor((32, 24), crop_pct=0.7)
    for path in sorted(photos.iterdir()):
        if path.suffix == ".jpg" and path.name != "e.jpg":
            continue  # Pillow decodes a plain JPEG slightly differently from MindSpore
        with Image.open(path) as image:
            crop = preprocessor.crop(image)
            np.testing.assert_array_equal(crop, preprocessor.crop(path))
            if image.mode in ("RGB", "L") and path.suffix != ".jpg":
                np.testing.assert_array_equal(crop, preprocessor.crop(np.asarray(image)))


def softmax(logits):
    logits = np.asarray(logits, np.float64)
    return np.exp(logits) / np.exp(logits).sum()


def test_predict_mixed_images_in_batches_equal_softmax(small_model, photos, monkeypatch):
    model = small_model()
    names = list("abcdefg")
    paths = sorted(photos.iterdir())
    with Image.open(paths[1]) as image:
        mixed = [paths[0], str(paths[3]), image.copy(), np.asarray(image)]
    preprocessor = Preprocessor((32, 24), interpolation="bicubic")
    batch = Tensor(preprocessor.batch([preprocessor.crop(image) for image in mixed]))
    rows = [softmax(row) for row in model(batch).asnumpy()]
    for batch_size in (3, 20):
        found = predict(model, mixed, 3, names, batch_size=batch_size, interpolation="bicubic")
        assert len(found) == 4
        for predictions, row in zip(found, rows, strict=True):
            assert [prediction.number for prediction in predictions] == np.argsort(-row)[:3].tolist()
            assert [prediction.name for prediction in predictions] == [
                names[prediction.number] for prediction in predictions
            ]
            np.testing.assert_allclose(
                [prediction.probability for prediction in predictions], np.sort(row)[::-1][:3], rtol=1e-4
            )


def test_deploy_is_imported_lazily():
    code = "import sys, mindcv; assert 'mindspore' not in sys.modules; print(mindcv.deploy.predict.__name__)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "predict"


def test_crop_batches_crops_the_next_batch_while_one_is_worked_on():
    cropped = []
    with ThreadPoolExecutor(1) as pool:
        for batch, crops in crop_batches(pool, lambda image: cropped.append(image) or -image, range(1, 8), 3):
            assert crops == [-image for image in batch]
            deadline = time.monotonic() + 5
            while len(cropped) < min(batch[-1] + 3, 7) and time.monotonic() < deadline:
                time.sleep(0.001)
            assert len(cropped) == min(batch[-1] + 3, 7), "the next batch, and no more"
    assert cropped == [*range(1, 8)]


def test_predict_single_image_gives_one_list(small_model, photos):
    model = small_model()
    path = photos / "b.png"
    with Image.open(path) as image:
        found = [predict(model, one)[0] for one in (path, str(path), image, np.asarray(image))]
    assert found[0] == found[1] == found[2] == found[3]
    assert len(found[0]) == 5
    assert len(predict(model, path, topk=100)[0]) == 7
    assert predict(model, []) == []


def test_predict_while_training_equals_evaluation(small_model, photos):
    model = small_model(drop_rate=0.5, drop_path_rate=0.5)
    evaluated = predict(model, photos / "a.jpg")
    model.set_train()
    assert predict(model, photos / "a.jpg") == evaluated
    assert model.training


def test_predict_defaults_to_preprocessing_of_published_weights(small_model, photos):
    model = small_model()
    wanted = predict(model, photos / "a.jpg", mean=(9, 9, 9), std=(70, 70, 70), crop_pct=0.6, interpolation="bicubic")
    assert predict(model, photos / "a.jpg") != wanted
    model.pretrained_cfg = {
        "mean": (9, 9, 9), "std": (70, 70, 70), "crop_pct": 0.6, "interpolation": "bicubic", "file": "x",
    }  # fmt: skip
    assert predict(model, photos / "a.jpg") == wanted
    assert predict(model, photos / "a.jpg", crop_pct=0.9) != wanted


def test_predict_names_classes(small_model, photos):
    [[prediction, *_]] = predict(small_model(1000), photos / "a.jpg")
    assert prediction.name == list(mindcv.deploy.imagenet_names().values())[prediction.number]
    [predictions] = predict(small_model(3), photos / "a.jpg", class_names=["cat", "dog"])
    assert {prediction.number: prediction.name for prediction in predictions} == {0: "cat", 1: "dog", 2: "class 2"}


UNUSABLE = {
    "a missing file": ("nowhere.jpg", FileNotFoundError, "no image nowhere.jpg"),
    "floats": (np.zeros((4, 4, 3), np.float32), ValueError, r"float32 \(4, 4, 3\); give uint8"),
    "five channels": (np.zeros((4, 4, 5), np.uint8), ValueError, "5 channels"),
    "a number": ([3], TypeError, "of type int"),
    "an empty array": (np.zeros((0, 4, 3), np.uint8), ValueError, r"\(0, 4, 3\)"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_predict_unusable_image_raises(case, small_model):
    image, error, message = UNUSABLE[case]
    with pytest.raises(error, match=message):
        predict(small_model(), image)


def test_predict_torn_file_is_named(small_model, photos, tmp_path):
    (tmp_path / "torn.jpg").write_bytes((photos / "a.jpg").read_bytes()[:400])
    with pytest.raises(UnreadableImage, match=r"cannot read image .*torn.jpg"):
        predict(small_model(), [photos / "a.jpg", tmp_path / "torn.jpg"])


def test_predict_nonfinite_logits_raise(small_model, photos):
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


def test_predict_without_classifier_raises(small_model, photos):
    with pytest.raises(ValueError, match="no classifier"):
        predict(small_model(0), photos / "a.jpg")


def test_predict_last_batch_compiles_no_second_graph(small_model, photos):
    ms.set_context(mode=ms.GRAPH_MODE)
    model = small_model()
    found = predict(model, sorted(photos.iterdir()), batch_size=3)
    assert len(found) == 5
    assert len(model.compile_cache) == 1


def test_predict_mean_and_std_of_other_channels_are_refused(small_model, photos):
    with pytest.raises(ValueError, match="takes images of 1 channels, but mean and std have 3 values"):
        predict(small_model(in_channels=1), photos / "a.jpg")


def test_predict_mean_and_std_of_pixels_from_0_to_1_are_refused(small_model, photos):
    with pytest.raises(ValueError, match=r"mean 123\.675 116\.28 103\.53, std 58\.395 57\.12 57\.375"):
        predict(small_model(), photos / "a.jpg", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


@pytest.mark.parametrize("argument", ["topk", "batch_size"])
def test_predict_count_below_1_is_refused(argument, small_model):
    with pytest.raises(ValueError, match=f"^{argument} is 0; it must be at least 1$"):
        predict(small_model(), [], **{argument: 0})


@pytest.mark.parametrize(
    ("name", "module"), [("Guess", "deploy.prediction"), ("infer", "cli.infer"), ("export", "cli.export")]
)
def test_deploy_old_name_warns(name, module):
    with pytest.warns(DeprecationWarning, match=f"mindcv.deploy.{name} is now mindcv."):
        assert getattr(mindcv.deploy, name).__module__ == f"mindcv.{module}"
