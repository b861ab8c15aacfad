"""The contract of a family: what the package asks of a model, and who may name one."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

import mindcv
from mindcv import insight
from mindcv.deploy import export_model
from mindcv.models import Features, count_flops, freeze, registry, set_precision
from mindcv.models.family import MODULES, families, family_of

PACKAGE = Path(mindcv.__file__).parent
OF_A_FAMILY = re.compile("convit|gpsa|deit|local_up_to_layer", re.I)
# Files that may: a family's own, the public names, those with help texts, and the doctor, which has golden logits.
OWN = tuple(family.module.removeprefix("mindcv.").replace(".", "/") for family in families())
MAY_NAME_ONE = (
    *OWN,
    "__init__.py",
    "models/api.py",
    "config/options.py",
    "__main__.py",
    "cli/recipe.py",
    "cli/doctor/",
)
SOURCES = [
    path for path in sorted(PACKAGE.rglob("*.py")) if not str(path.relative_to(PACKAGE)).startswith(MAY_NAME_ONE)
]


def words_of(tree):
    """Yield identifiers and strings of a module, docstrings apart."""
    docstrings = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node):
            docstrings.add(node.body[0].value)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings:
            yield node.value
        yield from (
            str(value) for field, value in ast.iter_fields(node) if field in ("id", "attr", "name", "arg", "module")
        )


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module_outside_a_family_names_none(path):
    named = {word for word in words_of(ast.parse(path.read_text(encoding="utf-8"))) if OF_A_FAMILY.search(word)}
    assert named <= {module for module in MODULES if path.name == "family.py"}


def test_families_list_the_models_that_are_registered():
    for family in families():
        assert list(family.models) == [name for name in family.models if mindcv.is_model(name)]
        assert mindcv.list_models(module=family.module.rpartition(".")[2]) == sorted(family.models)
    assert sorted(name for family in families() for name in family.models) == mindcv.list_models()


@pytest.fixture
def cnn(pynative):
    """A small convolutional network, without any attribute of the contract."""
    return nn.SequentialCell(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dense(4, 5))


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (count_flops, "which has no count of FLOPs"),
        (mindcv.summary, "which has no summary"),
        (
            Features,
            "which has no hidden_states and .* and no reset_classifier: there are no feature maps",
        ),
        (lambda model: insight.attention_maps(model, np.zeros((1, 3, 8, 8))), "no attention to look into"),
        (insight.gates, "no attention to look into"),
        (lambda model: set_precision(model, "O2"), "none of the layers of mindcv.models.layers"),
        (lambda model: freeze(model, "stem"), "got 'stem', wanted backbone: a model without a group_matcher"),
    ],
)
def test_what_a_model_lacks_is_refused_in_one_line(ask, message, cnn):
    assert family_of(cnn).name == "SequentialCell"
    with pytest.raises((TypeError, ValueError), match=message) as found:
        ask(cnn)
    assert "\n" not in str(found.value)


def test_export_onnx_of_a_family_without_a_graph_is_refused(cnn, tmp_path):
    cnn.num_classes, cnn.in_channels, cnn.image_size = 5, 3, (8, 8)
    words = {"mean": (0,) * 3, "std": (1,) * 3, "crop_pct": 1.0, "interpolation": "bilinear"}
    with pytest.raises(TypeError, match="has no ONNX graph: export it as mindir"):
        export_model(cnn, tmp_path / "a.onnx", **words)
    assert not list(tmp_path.iterdir())


MY_NETS = '''"""A small convolutional network of one's own."""

from mindspore import nn, ops

from mindcv.models import register_model


class TinyCNN(nn.Cell):
    def __init__(self, num_classes, in_channels):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 8, 3, stride=2, pad_mode="pad", padding=1)
        self.norm1 = nn.BatchNorm2d(8)
        self.classifier = nn.Dense(8, num_classes)

    def construct(self, images):
        x = ops.relu(self.norm1(self.conv1(images)))
        return self.classifier(x.mean((2, 3)))


@register_model
def tiny_cnn(pretrained=False, num_classes=1000, in_channels=3):
    return TinyCNN(num_classes, in_channels)
'''


@pytest.fixture
def my_nets(tmp_path, monkeypatch):
    """The path of a user's file; its model is registered during the test only."""
    monkeypatch.setattr(registry, "_entrypoints", dict(registry._registered()))
    monkeypatch.setattr(registry, "_cfgs", dict(registry._cfgs))
    (tmp_path / "my_nets.py").write_text(MY_NETS)
    return tmp_path / "my_nets.py"


def test_load_model_module_registers_and_create_model_fills_in_the_facts(my_nets, pynative):
    registry.load_model_module(my_nets)
    registry.load_model_module(my_nets)
    assert mindcv.list_modules() == ["convit", "my_nets", "vit"]
    model = mindcv.create_model("tiny_cnn", num_classes=4, in_channels=1)
    assert (model.num_classes, model.in_channels) == (4, 1)
    assert model(Tensor(np.zeros((2, 1, 8, 8), np.float32))).shape == (2, 4)
    assert not registry.takes_argument("tiny_cnn", "image_size")
    assert registry.takes_argument("convit_tiny", "image_size")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f(:", "cannot be run: SyntaxError"),
        ("import no_such_package", "cannot be run: ModuleNotFoundError: No module named 'no_such_package'"),
        ("from .other import x", "cannot be run: ImportError: attempted relative import with no known parent package"),
        ("raise ValueError('one\\ntwo')", "cannot be run: ValueError: one two"),
        ("import sys; sys.exit(3)", "cannot be run: SystemExit: 3"),
        ("x = 1", "registers no model: put @register_model before a function in it"),
    ],
)
def test_load_model_module_that_is_wrong_is_refused_in_one_line(text, message, my_nets):
    my_nets.write_text(text)
    with pytest.raises(ValueError, match=message) as found:
        registry.load_model_module(my_nets)
    assert "\n" not in str(found.value)
    with pytest.raises(FileNotFoundError, match="model_module: no file"):
        registry.load_model_module(my_nets.with_name("other.py"))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            "def odd(pretrained, num_classes, in_channels, width): ...",
            "missing a required argument: 'width'; --model_args",
        ),
        ("def odd(): ...", "too many positional arguments"),
        (
            "def odd(pretrained, num_classes, in_channels): ...",
            "odd returned None; it must return the model, an nn.Cell",
        ),
    ],
)
def test_create_model_of_a_function_that_cannot_be_used_is_refused_in_one_line(function, message, my_nets):
    my_nets.write_text(f"from mindcv.models import register_model\n@register_model\n{function}\n")
    registry.load_model_module(my_nets)
    with pytest.raises(TypeError, match=message) as found:
        mindcv.create_model("odd")
    assert "\n" not in str(found.value)


def test_load_model_module_that_replaces_a_model_warns(my_nets):
    my_nets.write_text(MY_NETS.replace("def tiny_cnn", "def convit_tiny"))
    with pytest.warns(UserWarning, match="convit_tiny of mindcv.models.convit is replaced by that of .*my_nets"):
        registry.load_model_module(my_nets)


def test_model_of_ones_own_trains_resumes_validates_infers_and_exports(my_nets, tmp_path, run_in_process, photos):
    """Resumed in the middle, the run ends with the same weights; what the model lacks ends no run."""
    shape = ["--model_module", my_nets, "--model", "tiny_cnn", "--device_target", "CPU", "--mode", 1]
    shape += ["--image_resize", 8, "--in_channels", 1, "--mean", 0, "--std", 16, "--num_parallel_workers", 1]
    training = [*shape, "--dataset", "digits", "--num_samples", 64, "--batch_size", 32, "--epoch_size", 2, "--lr", 0.1]
    training += ["--warmup_epochs", 0, "--val_while_train"]
    assert run_in_process("train", *training, "--dry_run").returncode == 0
    whole = run_in_process("train", *training, "--ckpt_save_dir", tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    assert "log_gates: tiny_cnn has no attention maps" in whole.stderr
    parts = [*training, "--ckpt_save_dir", tmp_path / "parts"]
    assert run_in_process("train", *parts, "--steps", 1).returncode == 0
    del registry._entrypoints["tiny_cnn"], sys.modules["mindcv_model_module.my_nets"]  # as a new process begins
    resumed = run_in_process("train", "--resume", "--ckpt_save_dir", tmp_path / "parts")
    assert resumed.returncode == 0, resumed.stderr
    one, other = (mindcv.weights.read(tmp_path / run / "tiny_cnn-2_2.ckpt") for run in ("whole", "parts"))
    for name, array in one.items():
        if not name.startswith("run.options"):
            np.testing.assert_array_equal(array, other[name], err_msg=name)
    checkpoint = ["--ckpt_path", tmp_path / "whole/tiny_cnn-2_2.ckpt"]
    done = run_in_process("validate", *shape, "--dataset", "digits", *checkpoint)
    assert "Top_1_Accuracy" in done.stdout, done.stderr
    done = run_in_process("infer", *shape, *checkpoint, "--image", photos)
    assert done.returncode == 0, done.stderr
    done = run_in_process("export", *shape, *checkpoint, "--output", tmp_path / "tiny_cnn.mindir")
    assert "verified" in done.stdout, done.stderr
    for words, line in (
        (["--drop_rate", 0.1], "drop_rate is 0.1, but tiny_cnn takes no drop_rate: leave it out"),
        (["--patch_size", 4], "patch_size is 4, but tiny_cnn takes no patch_size: leave it out"),
    ):
        done = run_in_process("validate", *shape, "--dataset", "digits", *checkpoint, *words)
        assert (done.returncode, done.stderr) == (2, f"validate.py: {line}\n")
    ms.set_context(mode=ms.PYNATIVE_MODE)


@pytest.mark.parametrize("mode", [1, pytest.param(0, marks=pytest.mark.slow)])
def test_train_of_a_model_with_other_outputs_than_classes_is_refused_in_one_line(mode, my_nets, tmp_path):
    """In a process of its own: after a graph that failed to compile, PyNative mode refuses integers as indices."""
    my_nets.write_text(MY_NETS.replace("nn.Dense(8, num_classes)", "nn.Dense(8, 7)"))
    words = f"train.py --model_module {my_nets} --model tiny_cnn --device_target CPU --mode {mode} --image_resize 8"
    words += " --in_channels 1 --mean 0 --std 16 --num_parallel_workers 1 --dataset digits --num_samples 64"
    words += f" --batch_size 32 --epoch_size 1 --warmup_epochs 0 --ckpt_save_dir {tmp_path / 'run'}"
    done = subprocess.run([sys.executable, *words.split()], cwd=PACKAGE.parent, capture_output=True, text=True)
    wanted = "the model returned a tensor of shape (32, 7), wanted logits (B, 10): its last layer must have num_classes"
    assert (done.returncode, wanted in done.stderr.splitlines()[-1]) == (2, True), done.stderr
