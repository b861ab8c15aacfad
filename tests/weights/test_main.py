"""The command line, as a user drives it."""

import subprocess
import sys

import mindspore as ms
import numpy as np
import pytest

import mindcv
from mindcv import weights
from mindcv.cli.weights import main
from mindcv.weights.describe import _VARIANTS


def run(*arguments):
    command = [sys.executable, "-m", "mindcv.weights", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def said(capsys):
    return {line.split()[0]: line.split(maxsplit=1)[1] for line in capsys.readouterr().out.splitlines()}


def test_round_trips(mindcv_weights, assert_same, tmp_path):
    ours = mindcv_weights("convit_tiny")
    start = tmp_path / "start.ckpt"
    weights.write(start, ours)
    for there, back in (("a.safetensors", "b.ckpt"), ("c.ckpt", "d.safetensors")):
        assert main(["convert", str(start), str(tmp_path / there), "--to", "pytorch"]) == 0
        assert main(["convert", str(tmp_path / there), str(tmp_path / back), "--to", "mindcv"]) == 0
        assert_same(weights.read(tmp_path / back), ours)
    theirs = weights.read(tmp_path / "a.safetensors")
    assert theirs["blocks.0.attn.qk.weight"].shape == (384, 192)
    assert theirs["blocks.11.attn.qkv.weight"].shape == (576, 192)
    assert "head.weight" in theirs


def test_averages_are_taken_and_state_is_left_out(some_arrays, assert_same, tmp_path, capsys):
    ours = {"norm.gamma": some_arrays["norm.gamma"]}
    contents = {**ours, "ema.norm.gamma": ours["norm.gamma"] + 1, "run.step": np.array(1)}
    weights.write(tmp_path / "a.ckpt", contents)
    assert main(["convert", str(tmp_path / "a.ckpt"), str(tmp_path / "b.ckpt"), "--to", "pytorch", "--ema"]) == 0
    assert_same(weights.read(tmp_path / "b.ckpt"), {"norm.weight": ours["norm.gamma"] + 1})
    assert "1 tensors under pytorch names; 2 tensors" in capsys.readouterr().out


def test_convert_replaces_only_weights_alone_that_it_wrote(some_arrays, assert_same, tmp_path, capsys):
    ours = {"norm.gamma": some_arrays["norm.gamma"]}
    trained, converted, foreign = (tmp_path / name for name in ("trained.ckpt", "converted.ckpt", "foreign.ckpt"))
    weights.write(trained, {**ours, "run.step": np.array(1)})
    weights.write(converted, {"norm.gamma": ours["norm.gamma"] + 1})
    ms.save_checkpoint([{"name": "norm.gamma", "data": ms.Tensor(ours["norm.gamma"])}], str(foreign))
    before = {path: path.read_bytes() for path in (trained, foreign)}
    for target in before:
        assert main(["convert", str(trained), str(target), "--to", "mindcv"]) == 2
        assert f"{target} exists and is not a file of weights alone from convert" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before
    assert main(["convert", str(trained), str(converted), "--to", "mindcv"]) == 0
    assert_same(weights.read(converted), ours)


def test_inspect(mindcv_weights, tmp_path, capsys):
    ours = mindcv_weights("convit_tiny")
    training = {**ours, **{f"ema.{name}": array for name, array in ours.items()}, "run.step": np.array(1)}
    weights.write(tmp_path / "a.ckpt", training)
    assert main(["inspect", str(tmp_path / "a.ckpt")]) == 0
    found = said(capsys)
    assert found["model"] == "convit_tiny"
    assert found["format"] == "MindSpore"
    assert found["layout"] == "MindCV's names"
    assert found["parameters"] == "5,710,512 in 194 tensors, float32"
    assert found["classes"] == "1000"
    assert found["image"] == "224x224, 196 patches of 16x16, 3 channels"
    assert found["beside"] == "moving averages (194 tensors), run state (1 tensors)"
    assert found["sha256"] == subprocess.check_output(["sha256sum", tmp_path / "a.ckpt"], text=True).split()[0]
    assert found["digest"].endswith("(of the contents, verified)")


def test_inspect_others(tiny, values, tmp_path, capsys):
    model = tiny(num_classes=0, image_size=(32, 24), in_channels=1)
    weights.write(tmp_path / "a.safetensors", weights.to_pytorch(values(model)))
    main(["inspect", str(tmp_path / "a.safetensors")])
    found = said(capsys)
    assert found["model"] == "a ConViT of width 16 with depth=2, local_up_to_layer=1"
    assert found["format"] == "safetensors"
    assert found["layout"] == "PyTorch's names"
    assert found["classes"] == "0"
    assert found["image"] == "12 patches of 8x8, 1 channels"

    weights.write(tmp_path / "a.ckpt", {**values(model), "run.grid": np.array([4, 3], np.int32)})
    main(["inspect", str(tmp_path / "a.ckpt")])
    assert said(capsys)["image"] == "32x24, 12 patches of 8x8, 1 channels"

    ms.save_checkpoint(tiny(image_size=32), str(tmp_path / "b.ckpt"))
    main(["inspect", str(tmp_path / "b.ckpt")])
    found = said(capsys)
    assert found["digest"] == "carries none"
    assert found["image"] == "32x32, 16 patches of 8x8, 3 channels"

    weights.write(tmp_path / "c.ckpt", {"conv1.weight": np.ones((2, 2), np.float32)})
    main(["inspect", str(tmp_path / "c.ckpt")])
    assert said(capsys)["model"] == "no ConViT"


def test_widths_tell_the_variants_apart(golden):
    manifest = golden.facts("manifest")
    assert {manifest[name]["shapes"]["cls_token"][-1]: name for name in mindcv.list_models()} == _VARIANTS


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["inspect", "nowhere.ckpt"], "no checkpoint nowhere.ckpt"),
        (["inspect", __file__], "test_main.py"),
        (["convert", "good.ckpt", "out.pth", "--to", "mindcv"], ".ckpt or .safetensors"),
        (["convert", "good.ckpt", "nowhere/out.ckpt", "--to", "mindcv"], "no folder nowhere"),
        (["convert", "good.ckpt", "out.ckpt", "--to", "mindcv", "--ema"], "no moving averages"),
        (["convert", "odd.ckpt", "out.ckpt", "--to", "pytorch"], "no blocks.0.attn.k.weight"),
    ],
)
def test_errors_are_one_line(arguments, said, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    weights.write("good.ckpt", {"norm.gamma": np.ones(2, np.float32)})
    weights.write("odd.ckpt", {"norm.gamma": np.ones(2, np.float32), "blocks.0.attn.q.weight": np.ones((2, 2))})
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out.ckpt").exists()


def test_from_a_shell(tmp_path):
    """Without MindSpore or PyTorch being loaded."""
    weights.write(tmp_path / "a.ckpt", {"norm.gamma": np.ones(2, np.float32)})
    code = (
        "import sys; from mindcv.cli.weights import main\n"
        f"main(['convert', {str(tmp_path / 'a.ckpt')!r}, {str(tmp_path / 'b.safetensors')!r}, '--to', 'pytorch'])\n"
        "assert not {'mindspore', 'torch'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert weights.read(tmp_path / "b.safetensors").keys() == {"norm.weight"}
    done = run("inspect", tmp_path / "nowhere")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert run("inspect", tmp_path / "a.ckpt").returncode == 0
    assert "--to" in run("convert", "--help").stdout
    assert run("convert", "a", "b").returncode == 2
