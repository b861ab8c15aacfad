"""infer.py, run as the script runs it."""

import csv
import functools
import json
import os
import re
from importlib.util import find_spec

import numpy as np
import pytest

import mindcv
from mindcv import weights
from mindcv.cli import infer as command
from mindcv.cli.infer import find_images
from mindcv.cli.scripts import FAILURE, USER_ERROR, run_script
from mindcv.deploy.prediction import classify
from mindcv.weights.classes import CLASS_NAMES

needs_onnx = pytest.mark.skipif(
    not (find_spec("onnx") and find_spec("onnxruntime")), reason="onnx and onnxruntime are not installed"
)
pytestmark = pytest.mark.usefixtures("shallow_tiny", "pynative")

NAMES = ["ant", "bee", "cow, brown", "dog"]
# The model that the options describe: convit_tiny on 2 by 1 patches.
MODEL = {"image_size": (32, 16), "patch_size": 16}
OPTIONS = ["--device_target", "CPU", "--mode", "1", "--image_resize", "32", "16", "--patch_size", "16"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """The path of a convit_tiny with four named classes, whose moving averages differ from its weights."""
    path = tmp_path_factory.mktemp("run") / "a.ckpt"
    model = mindcv.create_model("convit_tiny", num_classes=4, **MODEL)
    rng = np.random.default_rng(0)
    arrays = {
        p.name: p.asnumpy() + 0.1 * rng.standard_normal(p.shape).astype(np.float32) for p in model.get_parameters()
    }
    averages = {f"ema.{name}": array + 0.1 * rng.standard_normal(array.shape) for name, array in arrays.items()}
    averages = {name: array.astype(np.float32) for name, array in averages.items()}
    weights.write(path, {**arrays, **averages, CLASS_NAMES: np.array(json.dumps(NAMES))})
    return path


@pytest.fixture
def infer(checkpoint, capsys):
    """A function that runs infer.py with options and returns exit code, standard output and standard error."""

    def run(*options, path=checkpoint):
        code = run_script("infer", "Infer.", [*OPTIONS, "--ckpt_path", str(path), *map(str, options)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture(scope="module")
def expected(checkpoint):
    """A function that returns the predictions of `mindcv.deploy.predict` for the checkpoint."""

    @functools.cache
    def model(ema):
        return mindcv.create_model("convit_tiny", num_classes=4, checkpoint_path=str(checkpoint), ema=ema, **MODEL)

    return lambda paths, topk, ema=False: mindcv.deploy.predict(model(ema), paths, topk, NAMES)


def test_infer_folder_prints_table_and_writes_json(infer, expected, photos, tmp_path):
    code, out, _ = infer("--image", photos, "--topk", 2, "--batch_size", 3, "--output", tmp_path / "r.json")
    assert code == 0
    paths = sorted(photos.iterdir())
    record = json.loads((tmp_path / "r.json").read_text())
    assert record["unreadable"] == []
    assert [entry["image"] for entry in record["images"]] == [str(path) for path in paths]
    lines = out.splitlines()
    for entry, predictions in zip(record["images"], expected(paths, 2), strict=True):
        assert [one["name"] for one in entry["classes"]] == [prediction.name for prediction in predictions]
        assert [one["number"] for one in entry["classes"]] == [prediction.number for prediction in predictions]
        found = [one["probability"] for one in entry["classes"]]
        np.testing.assert_allclose(found, [prediction.probability for prediction in predictions], rtol=1e-5)
        first = lines.index(entry["image"]) + 1
        for line, prediction in zip(lines[first : first + 2], predictions, strict=True):
            assert line.split("%") == [f"  {100 * prediction.probability:6.2f} ", f"  {prediction.name}"]
    assert len(lines) == 3 * len(paths)


@needs_onnx
def test_infer_by_onnxruntime_writes_what_mindspore_does(infer, photos, tmp_path, monkeypatch):
    monkeypatch.setenv("MINDCV_HOME", str(tmp_path / "home"))
    (tmp_path / "torn.jpg").write_bytes((photos / "a.jpg").read_bytes()[:400])
    records = {}
    for engine in ("mindspore", "onnxruntime"):
        for suffix in (".json", ".csv"):
            output = tmp_path / f"{engine}{suffix}"
            words = ["--image", photos, tmp_path / "torn.jpg", "--batch_size", 2, "--output", output]
            code, *_ = infer(*words, "--engine", engine)
            assert code == USER_ERROR, "for the torn image"
        with open(output, newline="") as file:
            records[engine] = list(csv.DictReader(file)), json.loads(output.with_suffix(".json").read_text())
    found, wanted = records["onnxruntime"], records["mindspore"]
    numbers = [pop_probabilities(record) for record in (found, wanted)]
    np.testing.assert_allclose(*numbers, rtol=1e-5)
    assert found == wanted


def pop_probabilities(record):
    """Remove the probabilities from a CSV and a JSON record of predictions, and return them."""
    rows, images = record
    classes = [one for entry in images["images"] for one in entry["classes"]]
    return [float(one.pop("probability") or -1) for one in [*rows, *classes]]


def test_infer_engine_with_half_precision_is_refused(infer, photos, capsys):
    with pytest.raises(SystemExit) as stopped:
        infer("--image", photos, "--engine", "onnxruntime", "--val_amp_level", "O2")
    assert stopped.value.code == USER_ERROR
    message = "engine onnxruntime computes in float32: pass --val_amp_level O0, or --engine mindspore\n"
    assert capsys.readouterr().err.endswith(message)


def test_infer_use_ema_predicts_with_averages(infer, expected, photos, tmp_path):
    infer("--image", photos / "a.jpg", "--use_ema", "--output", tmp_path / "r.json")
    [entry] = json.loads((tmp_path / "r.json").read_text())["images"]
    raw, averaged = (expected([photos / "a.jpg"], 4, ema)[0] for ema in (False, True))
    found = {one["name"]: one["probability"] for one in entry["classes"]}
    assert found == pytest.approx({prediction.name: prediction.probability for prediction in averaged}, rel=1e-5)
    assert found != pytest.approx({prediction.name: prediction.probability for prediction in raw}, rel=1e-3)


def test_infer_unreadable_images_are_named_and_others_written_as_csv(infer, photos, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "good.jpg").symlink_to(photos / "a.jpg")
    (tmp_path / "in" / "torn.jpg").write_bytes((photos / "a.jpg").read_bytes()[:500])
    (tmp_path / "in" / "text.png").write_text("no image")
    code, out, err = infer("--image", tmp_path / "in", "--output", tmp_path / "r.csv")
    assert code == USER_ERROR
    for name in ("torn.jpg", "text.png"):
        assert f"cannot read image {tmp_path / 'in' / name}: " in out + err
    assert "infer.py: 2 of 3 images could not be read; the others are classified" in err
    with open(tmp_path / "r.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    good = [row for row in rows if row["image"].endswith("good.jpg")]
    assert [row["rank"] for row in good] == ["1", "2", "3", "4"]
    assert {row["name"] for row in good} == set(NAMES)
    assert sum(float(row["probability"]) for row in good) == pytest.approx(1)
    assert [row["name"] for row in rows if row not in good] == ["", ""]


def test_infer_survives_a_jpeg_that_crashes_mindspores_decoder(infer, photos, tmp_path):
    (tmp_path / "in").mkdir()
    data = (photos / "a.jpg").read_bytes()
    table = data.find(b"\xff\xc4") + 5
    (tmp_path / "in/a.jpg").write_bytes(data[:table] + b"\xff" * 16 + data[table + 16 :])
    (tmp_path / "in/b.jpg").write_bytes(data)
    code, out, err = infer("--image", tmp_path / "in", "--topk", 1)
    assert code == USER_ERROR and "1 of 2 images could not be read" in err
    assert out.startswith(f"{tmp_path}/in/b.jpg\n") and f"cannot read image {tmp_path}/in/a.jpg: " in out + err


def test_infer_writes_the_predictions_made_before_an_error(infer, photos, tmp_path, monkeypatch):
    calls = []

    def fail_at_the_second_call(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise MemoryError("no memory left")
        return classify(*arguments)

    monkeypatch.setattr(command, "classify", fail_at_the_second_call)
    code, out, err = infer("--image", photos, "--batch_size", 2, "--topk", 1, "--output", tmp_path / "r.json")
    assert code == FAILURE and err.endswith("infer.py: no memory left (--debug shows where)\n")
    record = json.loads((tmp_path / "r.json").read_text())
    assert [entry["image"] for entry in record["images"]] == [f"{photos}/a.jpg", f"{photos}/b.png"]
    assert out.count("\n") == 4


def test_infer_writes_names_that_are_not_utf8_escaped(infer, photos, tmp_path):
    (tmp_path / "in").mkdir()
    for name in (b"caf\xe9.jpg", b"a\x1b[2J\n.jpg"):
        (tmp_path / "in" / os.fsdecode(name)).symlink_to(photos / "a.jpg")
    (tmp_path / "in" / os.fsdecode(b"\xff.jpg")).write_bytes(b"text")
    code, out, err = infer("--image", tmp_path / "in", "--topk", 1, "--output", tmp_path / "r.json")
    assert code == USER_ERROR
    assert rf"{tmp_path}/in/caf\xe9.jpg" in out and rf"{tmp_path}/in/a\x1b[2J\n.jpg" in out
    assert rf"cannot read image {tmp_path}/in/\xff.jpg" in out + err and "\x1b" not in out + err
    record = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    paths = [entry["image"] for entry in record["images"] + record["unreadable"]]
    assert sorted(map(os.fsencode, paths)) == sorted(map(os.fsencode, (tmp_path / "in").iterdir()))
    infer("--image", tmp_path / "in", "--topk", 1, "--output", tmp_path / "r.csv")
    with open(tmp_path / "r.csv", newline="", encoding="utf-8") as file:
        assert {row["image"] for row in csv.DictReader(file)} == {
            rf"{tmp_path}/in/{name}" for name in (r"caf\xe9.jpg", r"a\x1b[2J\n.jpg", r"\xff.jpg")
        }


def test_infer_class_names_come_from_file_or_are_numbered(infer, checkpoint, photos, tmp_path):
    (tmp_path / "names.txt").write_text("w\nx\ny\nz\n")
    _, out, _ = infer("--image", photos / "a.jpg", "--class_names", tmp_path / "names.txt")
    assert {line.split()[-1] for line in out.splitlines()[1:]} == set("wxyz")
    bare = {name: array for name, array in weights.read(checkpoint).items() if not name.startswith("run.")}
    weights.write(tmp_path / "bare.ckpt", bare)
    _, out, _ = infer("--image", photos / "a.jpg", path=tmp_path / "bare.ckpt")
    assert {line.split("  ")[-1] for line in out.splitlines()[1:]} == {f"class {i}" for i in range(4)}


def test_find_images_expands_folders_and_patterns(tmp_path, monkeypatch):
    for name in ("x/2.JPG", "x/y/1.png", "x/.hidden/3.png", "x/.4.png", "x/note.txt", "z.webp"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    assert find_images(["x"]) == ["x/2.JPG", "x/y/1.png"]
    assert find_images(["z.webp", "x/note.txt", "z.webp"]) == ["z.webp", "x/note.txt"]
    assert find_images(["*.webp", "x/**/*"]) == ["z.webp", "x/2.JPG", "x/y/1.png"]
    with pytest.raises(FileNotFoundError, match="no image at y: name a file"):
        find_images(["x", "y"])


def test_find_images_counts_what_is_not_read(tmp_path, monkeypatch, caplog):
    (tmp_path / "x/y").mkdir(parents=True)
    for name in ("a.jfif", "x/b.jpe", "x/c.heix", "x/y/d.heix", "x/y/e.txt", "f.txt", "x/Thumbs.db"):
        (tmp_path / name).touch()
    os.mkfifo(tmp_path / "x/pipe.png")
    (tmp_path / "x/y/up").symlink_to(tmp_path / "x")
    (tmp_path / "x/gone.png").symlink_to("nowhere")
    monkeypatch.chdir(tmp_path)
    assert find_images(["*", "x"]) == ["a.jfif", "x/b.jpe", "x/gone.png"]
    assert caplog.messages == [
        "*: 1 file of a kind that is not read: 1 .txt",
        "x: 5 files of kinds that are not read: 2 .heix, 1 .txt, 1 link to a folder above it, 1 special file",
    ]


MISTAKES = {
    "no image": ([], r"image: nothing to classify; pass --image"),
    "nowhere": (["--image", "nowhere/*.jpg"], r"no image at nowhere/\*.jpg"),
    "another suffix": (["--image", "a.jpg", "--output", "r.txt"], r"output: got 'r.txt'.*.json or .csv"),
    "other classes": (["--image", "a.jpg", "--num_classes", "5"], r"num_classes is 4 in the file and 5 in the model"),
    "no names": (["--image", "a.jpg", "--class_names", "no.txt"], r"class_names: no file no.txt"),
    "many names": (
        ["--image", "a.jpg", "--class_names", "names.txt"],
        r"names.txt names 5 classes.* has 4",
    ),
    "another model": (["--image", "a.jpg", "--model", "convit_small"], r"of another shape"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_infer_mistake_gives_one_line_and_writes_nothing(case, infer, photos, tmp_path, monkeypatch):
    options, message = MISTAKES[case]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jpg").symlink_to(photos / "a.jpg")
    (tmp_path / "names.txt").write_text("1\n2\n3\n4\n5\n")
    code, out, err = infer(*options)
    assert code == USER_ERROR
    assert out == ""
    [line] = [line for line in err.splitlines() if line.startswith("infer.py: ")]
    assert re.search(message, line), line
    assert "Traceback" not in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jpg", "names.txt"]


@pytest.mark.parametrize(
    ("name", "text"), [("r.json", '{"images": [], "annotations": []}'), ("r.csv", "image,label\na.jpg,1\n")]
)
def test_infer_output_that_is_another_file_is_refused(name, text, infer, photos, tmp_path):
    (tmp_path / name).write_text(text)
    code, out, err = infer("--image", photos, "--output", tmp_path / name)
    assert (code, out) == (USER_ERROR, "")
    assert f"{tmp_path / name} exists and is not predictions of infer.py: name another file, or move it away" in err
    assert (tmp_path / name).read_text() == text


@pytest.mark.parametrize("name", ["r.json", "r.csv"])
def test_infer_output_of_an_earlier_run_is_replaced(name, infer, photos, tmp_path):
    before = None
    for topk in (1, 2):
        assert infer("--image", photos / "a.jpg", "--output", tmp_path / name, "--topk", topk)[0] == 0
        before, now = (tmp_path / name).read_text(), before
        assert before != now


def test_infer_without_checkpoint_is_refused(photos, capsys):
    assert run_script("infer", "Infer.", [*OPTIONS, "--image", str(photos)]) == USER_ERROR
    assert "pass --ckpt_path FILE, or --pretrained" in capsys.readouterr().err


def test_infer_use_ema_without_averages_is_refused(infer, checkpoint, photos, tmp_path):
    bare = {name: array for name, array in weights.read(checkpoint).items() if not name.startswith("ema.")}
    weights.write(tmp_path / "bare.ckpt", bare)
    code, _, err = infer("--image", photos, "--use_ema", path=tmp_path / "bare.ckpt")
    assert code == USER_ERROR
    assert "bare.ckpt: the checkpoint holds no moving averages" in err
