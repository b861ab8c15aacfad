"""Every variant, loaded from every layout, against the logits of the authors' own code in float64."""

import numpy as np
import pytest
from mindspore import Tensor

import mindcv
from mindcv import weights
from mindcv.cli.weights import main
from tests.golden import rule
from tests.weights.conftest import VARIANTS


def as_mindcv(arrays, path):
    weights.write(path / "a.ckpt", weights.to_mindcv(arrays))
    return path / "a.ckpt", {}


def as_training_state(arrays, path):
    """The averages are the golden weights; the weights themselves and the other parts are not."""
    averages = weights.to_mindcv(arrays)
    contents = {**{name: array + 1 for name, array in averages.items()}, "run.step": np.array(9)}
    contents |= {f"ema.{name}": array for name, array in averages.items()}
    contents |= {f"optimizer.exp_avg.{name}": np.zeros_like(array) for name, array in averages.items()}
    weights.write(path / "a.ckpt", contents)
    return path / "a.ckpt", {"ema": True}


def as_pytorch(arrays, path):
    weights.write(path / "a.safetensors", arrays)
    return path / "a.safetensors", {}


def as_wrapped(arrays, path):
    weights.write(path / "a.safetensors", {f"state_dict.module.{name}": array for name, array in arrays.items()})
    return path / "a.safetensors", {}


def as_converted(arrays, path):
    weights.write(path / "a.safetensors", arrays)
    assert main(["convert", str(path / "a.safetensors"), str(path / "b.safetensors"), "--to", "mindcv"]) == 0
    return path / "b.safetensors", {}


def as_pth(arrays, path):
    torch = pytest.importorskip("torch")
    torch.save({"model": {name: torch.from_numpy(array) for name, array in arrays.items()}}, path / "a.pth")
    return path / "a.pth", {}


LAYOUTS = [as_mindcv, as_training_state, as_pytorch, as_wrapped, as_converted, as_pth]


FAST = {"convit_tiny": [as_training_state, as_pytorch, as_pth], "convit_small": [as_pytorch]}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_load_every_layout_gives_golden_parameters(
    layout, pytorch_weights, mindcv_weights, values, assert_same, tmp_path
):
    path, options = layout(pytorch_weights("convit_tiny"), tmp_path)
    model = mindcv.create_model("convit_tiny", checkpoint_path=str(path), **options)
    assert_same(values(model), mindcv_weights("convit_tiny"))


def cases():
    for name in VARIANTS:
        for layout in LAYOUTS:
            fast = layout in FAST.get(name, [])
            yield pytest.param(name, layout, marks=[] if fast else pytest.mark.slow, id=f"{name}-{layout.__name__}")


@pytest.mark.parametrize(("name", "layout"), cases())
def test_load_every_layout_gives_golden_logits(name, layout, golden, pytorch_weights, tmp_path):
    path, options = layout(pytorch_weights(name), tmp_path)
    model = mindcv.create_model(name, checkpoint_path=str(path), **options)
    for file in tmp_path.iterdir():
        file.unlink()  # up to 2.4 GB
    images, _ = rule.inputs(golden.facts("manifest")[name]["salt"])
    reference = golden.array(name)["logits"]
    logits = model(Tensor(images)).asnumpy()
    assert np.linalg.norm(logits - reference) / np.linalg.norm(reference) < 2e-6
