"""The commands `mindcv inspect` and `mindcv convert`."""

import json
import subprocess
import sys

import mindspore as ms
import numpy as np
import pytest

import mindcv
from mindcv import weights
from mindcv.cli.weights import main
from mindcv.models.family import families
from tests.golden import rule

GAMMA = np.linspace(-1, 1, 5, dtype=np.float32)


@pytest.fixture
def tiny_weights(golden):
    """The golden weights of convit_tiny under MindCV's names."""
    return rule.mindcv_weights(golden.facts("manifest")["convit_tiny"])


def small_model(**arguments):
    shape = {"patch_size": 8, "embed_dim": 16, "depth": 2, "local_up_to_layer": 1}
    return mindcv.create_model("convit_tiny", **shape, **arguments)


def assert_same(found, wanted):
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name, strict=True)


def run(*arguments):
    command = [sys.executable, "-m", "mindcv.weights", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def printed(capsys):
    return {line.split()[0]: line.split(maxsplit=1)[1] for line in capsys.readouterr().out.splitlines()}


def test_convert_there_and_back_restores_every_array(tiny_weights, tmp_path):
    start = tmp_path / "start.ckpt"
    weights.write(start, tiny_weights)
    for there, back in (("a.safetensors", "b.ckpt"), ("c.ckpt", "d.safetensors")):
        assert main(["convert", str(start), str(tmp_path / there), "--to", "pytorch"]) == 0
        assert main(["convert", str(tmp_path / there), str(tmp_path / back), "--to", "mindcv"]) == 0
        assert_same(weights.read(tmp_path / back), tiny_weights)
    pytorch = weights.read(tmp_path / "a.safetensors")
    assert pytorch["blocks.0.attn.qk.weight"].shape == (384, 192)
    assert pytorch["blocks.11.attn.qkv.weight"].shape == (576, 192)
    assert "head.weight" in pytorch


def test_convert_with_ema_writes_the_averages_without_state(tmp_path, capsys):
    contents = {"norm.gamma": GAMMA, "ema.norm.gamma": GAMMA + 1, "run.step": np.array(1)}
    weights.write(tmp_path / "a.ckpt", contents)
    assert main(["convert", str(tmp_path / "a.ckpt"), str(tmp_path / "b.ckpt"), "--to", "pytorch", "--ema"]) == 0
    assert_same(weights.read(tmp_path / "b.ckpt"), {"norm.weight": GAMMA + 1})
    assert "1 tensors under pytorch names; 2 tensors" in capsys.readouterr().out


def test_convert_to_ckpt_keeps_class_names_and_grid(tmp_path, capsys):
    described = {"run.class_names": np.array('["cat", "dog"]'), "run.grid": np.array([4, 2], np.int32)}
    weights.write(tmp_path / "a.ckpt", {"norm.gamma": GAMMA, **described, "run.step": np.array(1)})
    for _ in range(2):  # its own file is replaced
        assert main(["convert", str(tmp_path / "a.ckpt"), str(tmp_path / "b.ckpt"), "--to", "pytorch"]) == 0
        assert_same(weights.read(tmp_path / "b.ckpt"), {"norm.weight": GAMMA, **described})
    printed = capsys.readouterr().out
    assert "names; class names were kept; rows and columns of patches were kept; 1 tensors of averages" in printed


def test_convert_to_ckpt_keeps_the_model_args_that_validate_reads(tmp_path, capsys):
    options = {"model": "convit_tiny", "model_args": {"depth": 2}, "lr": 0.1}
    contents = {"norm.gamma": GAMMA, "run.options": np.array(json.dumps(options)), "run.step": np.array(1)}
    weights.write(tmp_path / "a.ckpt", contents)
    for _ in range(2):  # its own file is replaced
        assert main(["convert", str(tmp_path / "a.ckpt"), str(tmp_path / "b.ckpt"), "--to", "pytorch"]) == 0
    assert weights.options_in(tmp_path / "b.ckpt") == {"model": "convit_tiny", "model_args": {"depth": 2}}
    assert "; arguments of the model were kept; 1 tensors of averages" in capsys.readouterr().out


def test_convert_to_safetensors_says_that_class_names_and_grid_are_left_out(tmp_path, capsys):
    described = {"run.class_names": np.array('["cat", "dog"]'), "run.grid": np.array([4, 2], np.int32)}
    weights.write(tmp_path / "a.ckpt", {"norm.gamma": GAMMA, **described})
    assert main(["convert", str(tmp_path / "a.ckpt"), str(tmp_path / "b.safetensors"), "--to", "pytorch"]) == 0
    assert_same(weights.read(tmp_path / "b.safetensors"), {"norm.weight": GAMMA})
    printed = capsys.readouterr().out
    for what in ("class names", "rows and columns of patches"):
        assert f"; {what} were left out, which a .ckpt keeps" in printed


def test_convert_overwrites_only_its_own_files(tmp_path, capsys):
    trained, converted, foreign = (tmp_path / name for name in ("trained.ckpt", "converted.ckpt", "foreign.ckpt"))
    weights.write(trained, {"norm.gamma": GAMMA, "run.step": np.array(1)})
    weights.write(converted, {"norm.gamma": GAMMA + 1})
    ms.save_checkpoint([{"name": "norm.gamma", "data": ms.Tensor(GAMMA)}], str(foreign))
    before = {path: path.read_bytes() for path in (trained, foreign)}
    for target in before:
        assert main(["convert", str(trained), str(target), "--to", "mindcv"]) == 2
        assert f"{target} exists and is not a file of weights alone from convert" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before
    assert main(["convert", str(trained), str(converted), "--to", "mindcv"]) == 0
    assert_same(weights.read(converted), {"norm.gamma": GAMMA})


def test_inspect_describes_a_training_checkpoint(tiny_weights, tmp_path, capsys):
    training = {
        **tiny_weights,
        **{f"ema.{name}": array for name, array in tiny_weights.items()},
        "run.step": np.array(1),
    }
    weights.write(tmp_path / "a.ckpt", training)
    assert main(["inspect", str(tmp_path / "a.ckpt")]) == 0
    found = printed(capsys)
    assert found["model"] == "convit_tiny"
    assert found["format"] == "MindSpore"
    assert found["layout"] == "MindCV's names"
    assert found["parameters"] == "5,710,512 in 194 tensors, float32"
    assert found["classes"] == "1000"
    assert found["image"] == "224x224, 196 patches of 16x16, 3 channels"
    assert found["beside"] == "moving averages (194 tensors), run state (1 tensors)"
    assert found["sha256"] == subprocess.check_output(["sha256sum", tmp_path / "a.ckpt"], text=True).split()[0]
    assert found["digest"].endswith("(of the contents, verified)")


def test_inspect_describes_other_shapes_and_formats(tmp_path, capsys):
    model = small_model(num_classes=0, image_size=(32, 24), in_channels=1)
    arrays = {parameter.name: parameter.asnumpy() for parameter in model.get_parameters()}
    weights.write(tmp_path / "a.safetensors", weights.to_pytorch(arrays))
    main(["inspect", str(tmp_path / "a.safetensors")])
    found = printed(capsys)
    assert found["model"] == "a ConViT of width 16 with depth=2, local_up_to_layer=1"
    assert found["format"] == "safetensors"
    assert found["layout"] == "PyTorch's names"
    assert found["classes"] == "0"
    assert found["image"] == "12 patches of 8x8, 1 channels"

    weights.write(tmp_path / "a.ckpt", {**arrays, "run.grid": np.array([4, 3], np.int32)})
    main(["inspect", str(tmp_path / "a.ckpt")])
    assert printed(capsys)["image"] == "32x24, 12 patches of 8x8, 1 channels"

    ms.save_checkpoint(small_model(num_classes=3, image_size=32), str(tmp_path / "b.ckpt"))
    main(["inspect", str(tmp_path / "b.ckpt")])
    found = printed(capsys)
    assert found["digest"] == "carries none"
    assert found["image"] == "32x32, 16 patches of 8x8, 3 channels"

    weights.write(tmp_path / "c.ckpt", {"conv1.weight": np.ones((2, 2), np.float32)})
    main(["inspect", str(tmp_path / "c.ckpt")])
    assert printed(capsys)["model"] == "of no known family"


def test_inspect_identifies_each_variant_by_its_width(golden, tmp_path):
    manifest = golden.facts("manifest")
    [family] = [family for family in families() if family.name == "ConViT"]
    for name in family.models:
        shapes = weights.to_mindcv({key: np.empty(shape, bool) for key, shape in manifest[name]["shapes"].items()})
        assert [format.checkpoints.identify(shapes, None) for format in families()].count(name) == 1


def test_inspect_of_a_position_for_the_class_token_names_no_convit(tiny_weights, tmp_path, capsys):
    positional = ("gating_param", "pos_proj.weight", "pos_proj.bias")
    arrays = {name: array for name, array in tiny_weights.items() if not name.endswith(positional)}
    for positions, named in ((196, True), (197, False)):
        weights.write(tmp_path / "a.ckpt", {**arrays, "pos_embed": np.zeros((1, positions, 192), np.float32)})
        main(["inspect", str(tmp_path / "a.ckpt")])
        assert (printed(capsys)["model"] == "convit_tiny with depth=12, local_up_to_layer=0") == named


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["inspect", "nowhere.ckpt"], "no checkpoint nowhere.ckpt"),
        (["inspect", __file__], "test_weights.py"),
        (["convert", "good.ckpt", "out.pth", "--to", "mindcv"], ".ckpt or .safetensors"),
        (["convert", "good.ckpt", "nowhere/out.ckpt", "--to", "mindcv"], "no folder nowhere"),
        (["convert", "good.ckpt", "out.ckpt", "--to", "mindcv", "--ema"], "no moving averages"),
        (["convert", "odd.ckpt", "out.ckpt", "--to", "pytorch"], "no blocks.0.attn.k.weight"),
    ],
)
def test_mistake_is_one_line_and_exit_code_2(arguments, message, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    weights.write("good.ckpt", {"norm.gamma": np.ones(2, np.float32)})
    weights.write("odd.ckpt", {"norm.gamma": np.ones(2, np.float32), "blocks.0.attn.q.weight": np.ones((2, 2))})
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out.ckpt").exists()


def test_module_form_runs_without_importing_mindspore_or_torch(tmp_path):
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
