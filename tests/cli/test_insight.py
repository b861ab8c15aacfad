"""The command `mindcv insight`."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mindcv
from mindcv import weights
from mindcv.cli import insight
from mindcv.config import resolve

pytest.importorskip("matplotlib")
pytestmark = pytest.mark.usefixtures("shallow_tiny")
SMALL = ["--device_target", "CPU", "--image_resize", "16", "--patch_size", "8", "--num_classes", "3"]


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """The folder of a run, with a checkpoint, options and metrics, and an image in it."""
    folder = tmp_path_factory.mktemp("run")
    model = mindcv.create_model("convit_tiny", num_classes=3, image_size=16, patch_size=8)
    weights.write(folder / "best.ckpt", {p.name: p.asnumpy() for p in model.get_parameters()})
    resolve(SMALL).save(folder / "config.yaml")
    rng = np.random.default_rng(0)
    records = [
        {"epoch": e, "top_1": None, "gates": rng.random((1, 4)).tolist(), "non_locality": rng.random((2, 4)).tolist()}
        for e in (1, 2)
    ]
    (folder / "metrics.jsonl").write_text(
        "".join(json.dumps(record) + "\n" for record in [{"epoch": 0, "top_1": None}, *records])
    )
    Image.fromarray(rng.integers(0, 256, (20, 30, 3), np.uint8)).save(folder / "image.png")
    return folder


def draw(folder, out, *words):
    words = [folder / "best.ckpt", "--image", folder / "image.png", "--out", out, *words]
    return insight.main([str(word) for word in words])


def test_insight_writes_the_pictures_and_prints_their_paths(run_folder, tmp_path, capsys):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/gates.png").write_text("mine")
    assert draw(run_folder, tmp_path / "pictures", "--patch", "2", "1") == 0
    names = ["attention.png", "gates.png", "kernels.png", "non_locality.png"]
    written = sorted((tmp_path / "pictures").glob("*.png"))
    assert (tmp_path / "pictures/earlier-1/gates.png").read_text() == "mine"
    assert [path.name for path in written] == names
    assert sorted(capsys.readouterr().out.split()) == [str(path) for path in written], "it prints their paths"
    for path in written:
        with Image.open(path) as picture:
            assert min(picture.size) >= 480, path
            assert len(picture.convert("L").getcolors()) > 20, "something is drawn"


def test_first_image_is_the_first_of_the_validation_split(tmp_path):
    digits = insight._first_image(resolve(["--dataset", "digits"]))
    with np.load(Path(mindcv.__file__).parent / "data/datasets/digits.npz") as arrays:
        first = arrays["images"][arrays["held_out"]][0]
    assert (digits[..., 0] == np.round(first * (255 / 16))).all()
    for split in ("train", "val"):
        (tmp_path / split / "a").mkdir(parents=True)
        Image.new("RGB", (9, 9)).save(tmp_path / split / "a" / "x.png")
    assert insight._first_image(resolve(["--data_dir", str(tmp_path)])) == str(tmp_path / "val/a/x.png")


def test_read_gate_history_returns_arrays_by_epoch(run_folder, tmp_path):
    history = insight.read_gate_history(run_folder / "metrics.jsonl")
    assert {name: values.shape for name, values in history.items()} == {"gates": (2, 1, 4), "non_locality": (2, 2, 4)}
    first = json.loads((run_folder / "metrics.jsonl").read_text().splitlines()[1])
    assert history["gates"][0].tolist() == first["gates"]
    assert insight.read_gate_history(tmp_path / "metrics.jsonl") == {}


MISTAKES = {
    "patch": (["--patch", "3", "1"], "patch: got 3 1, wanted a row from 1 to 2 and a column from 1 to 2"),
    "image": (["--image", "nowhere.png"], "no image nowhere.png: check the path"),
    "no image": (["--image", "README.md"], "cannot read image README.md"),
    "option": (["--use_emma"], "unknown option 'use_emma'; did you mean use_ema"),
    "recipe": (["-c", "nowhere.yaml"], "config: no file 'nowhere.yaml'"),
    "form": (["--patch_size", "4"], "patch_embed.proj.weight"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistake_is_one_line_and_writes_nothing(case, run_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    words, message = MISTAKES[case]
    assert draw(run_folder, tmp_path / "pictures", *words) == 2
    error = capsys.readouterr().err
    assert error.startswith("mindcv insight: ")
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "pictures").exists()


def test_insight_without_matplotlib_names_what_to_install(run_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(insight, "find_spec", lambda name: None)
    assert draw(run_folder, tmp_path) == 2
    assert capsys.readouterr().err == "mindcv insight: pictures need matplotlib: pip install matplotlib\n"


WRONG_SHAPES = {
    "one number": [0.5],
    "another depth": [[[0.5], [0.5]], [[0.5]]],
    "words": [[["open"]]],
}


@pytest.mark.parametrize("case", WRONG_SHAPES)
def test_read_gate_history_with_another_shape_names_the_file(case, tmp_path):
    records = [{"epoch": n, "top_1": None, "gates": gates} for n, gates in enumerate(WRONG_SHAPES[case], 1)]
    (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, records)))
    with pytest.raises(ValueError, match=r"metrics\.jsonl: gates is not one number for each layer and head"):
        insight.read_gate_history(tmp_path / "metrics.jsonl")


def test_read_gate_history_ignores_an_incomplete_last_line(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 1, "top_1": null, "gates": [[0.5]]}\n{"epoch": 2, "ga')
    assert insight.read_gate_history(tmp_path / "metrics.jsonl")["gates"].tolist() == [[[0.5]]]
