"""export.py, run as the script runs it."""

import json
from importlib.util import find_spec

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

import mindcv
from mindcv import weights
from mindcv.cli.scripts import FAILURE, USER_ERROR, run_script
from mindcv.deploy import mindir
from mindcv.weights.classes import CLASS_NAMES

pytestmark = pytest.mark.usefixtures("shallow_tiny", "pynative")

OPTIONS = ["--device_target", "CPU", "--image_resize", "32", "16", "--patch_size", "8", "--model", "convit_tiny"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "a.ckpt"
    model = mindcv.create_model("convit_tiny", num_classes=2, image_size=(32, 16), patch_size=8)
    arrays = {parameter.name: parameter.asnumpy() for parameter in model.get_parameters()}
    averages = {f"ema.{name}": 1.5 * array for name, array in arrays.items()}
    weights.write(path, {**arrays, **averages, CLASS_NAMES: np.array(json.dumps(["ant", "bee"]))})
    return path


def test_export_writes_verified_mindir_of_averages(checkpoint, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = [*OPTIONS, "--ckpt_path", str(checkpoint), "--dynamic_batch", "--use_ema"]
    assert run_script("export", "Export.", options) == 0
    assert "convit_tiny.mindir: verified" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["convit_tiny.mindir", "convit_tiny.mindir.json"]
    ms.set_context(mode=ms.PYNATIVE_MODE)
    model = mindcv.create_model(
        "convit_tiny", num_classes=2, image_size=(32, 16), patch_size=8, checkpoint_path=str(checkpoint), ema=True
    )
    images = np.random.default_rng(0).standard_normal((3, 3, 32, 16)).astype(np.float32)
    wanted = model(Tensor(images)).asnumpy()
    [found] = mindir.run(tmp_path / "convit_tiny.mindir", [images])
    assert np.linalg.norm(found - wanted) / np.linalg.norm(wanted) < 1e-5
    assert json.loads((tmp_path / "convit_tiny.mindir.json").read_text())["labels"] == ["ant", "bee"]


@pytest.mark.skipif(
    not (find_spec("onnx") and find_spec("onnxruntime")), reason="onnx and onnxruntime are not installed"
)
def test_export_onnx_writes_model_and_sidecar(checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_script("export", "Export.", [*OPTIONS, "--ckpt_path", str(checkpoint), "--format", "onnx"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["convit_tiny.onnx", "convit_tiny.onnx.json"]


def test_export_fp16_with_preprocess_is_described_and_smaller(checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert (
        run_script("export", "Export.", [*OPTIONS, "--ckpt_path", str(checkpoint), "--fp16", "--with_preprocess"]) == 0
    )
    about = json.loads((tmp_path / "convit_tiny.mindir.json").read_text())
    assert about["precision"] == "float16 in linear layers"
    assert (about["input"]["type"], about["input"]["layout"], about["input"]["colours"]) == ("uint8", "NHWC", "RGB")
    assert (tmp_path / "convit_tiny.mindir").stat().st_size < 0.6 * checkpoint.stat().st_size / 2  # it has averages too


def test_export_mistakes_leave_no_file(checkpoint, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = [*OPTIONS, "--ckpt_path", str(checkpoint)]
    assert run_script("export", "Export.", [*options, "--output", "a.onnx"]) == USER_ERROR
    assert "output: got 'a.onnx', wanted a file that ends in .mindir" in capsys.readouterr().err
    monkeypatch.setattr(mindir, "write", lambda path, *_: path.touch())
    monkeypatch.setattr(mindir, "run", lambda path, batches: [np.zeros((len(images), 2)) for images in batches])
    assert run_script("export", "Export.", options) == FAILURE
    assert "convit_tiny.mindir was not written" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
