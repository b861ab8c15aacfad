"""Exported files, run by MindSpore and ONNX Runtime."""

import functools
import json
from importlib.util import find_spec

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

import mindcv
from mindcv.deploy import ExportError, export_model, exporting, mindir, onnx_graph
from mindcv.deploy.export_spec import ExportSpec
from tests.golden import rule

PREPARATION = {"mean": (100.0, 110.0, 120.0), "std": (50.0, 60.0, 70.0), "crop_pct": 0.8, "interpolation": "bicubic"}
needs_onnx = pytest.mark.skipif(
    not (find_spec("onnx") and find_spec("onnxruntime")), reason="onnx and onnxruntime are not installed"
)
FORMATS = ["mindir", pytest.param("onnx", marks=needs_onnx)]
OLD = "\n\x031.1\x12\x09MindSpore, an older export"
RUN = {"mindir": mindir.run, "onnx": onnx_graph.run}


def outputs(model, images):
    return model(Tensor(images)).asnumpy()


def relative(found, wanted):
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


@pytest.fixture
def images():
    return np.random.default_rng(5).standard_normal((5, 3, 32, 24)).astype(np.float32)


@pytest.fixture(scope="module")
def exported(small_model, tmp_path_factory):
    """A function that exports a small model with a dynamic batch, once; it returns the model and the path."""

    @functools.cache
    def export(kind, attn_impl="separable", act="gelu"):
        model = small_model(act=act, attn_impl=attn_impl, qkv_bias=act == "gelu")
        path = tmp_path_factory.mktemp("exported") / f"a.{kind}"
        return model, export_model(model, path, dynamic_batch=True, **PREPARATION)

    return export


@pytest.mark.parametrize(("attn_impl", "act"), [("separable", "gelu"), ("plain", "gelu_tanh")])
@pytest.mark.parametrize("kind", FORMATS)
def test_export_model_dynamic_batch_computes_the_model(kind, act, attn_impl, exported, images):
    model, path = exported(kind, attn_impl, act)
    for found, batch in zip(RUN[kind](path, [images, images[:2]]), (images, images[:2]), strict=True):
        assert relative(found, outputs(model, batch)) < 1e-5


@pytest.mark.parametrize("kind", FORMATS)
def test_export_model_logits_near_zero_are_verified_by_absolute_error(kind, small_model, tmp_path):
    model = small_model(num_classes=2).set_train(False)
    [logits] = outputs(model, ExportSpec.of_model(model, False, False, None).random_images(1))
    model.classifier.bias.set_data(model.classifier.bias - Tensor(logits))
    export_model(model, tmp_path / f"a.{kind}", **PREPARATION)
    assert json.loads((tmp_path / f"a.{kind}.json").read_text())["verified"]["relative_error"] <= 1e-5


@pytest.mark.parametrize("kind", FORMATS)
def test_export_model_static_batch_takes_one_image(kind, small_model, images, tmp_path):
    model = small_model(0, use_pos_embed=False).set_train()
    path = export_model(model, tmp_path / f"a.{kind}", **PREPARATION)
    assert model.training
    model.set_train(False)
    [found] = RUN[kind](path, [images[:1]])
    assert relative(found, outputs(model, images[:1])) < 1e-5
    assert json.loads((tmp_path / f"a.{kind}.json").read_text())["output"] == {"name": "features", "shape": [1, 32]}
    with pytest.raises(Exception, match=r"(?i)dimension|shape"):
        RUN[kind](path, [images])


@pytest.mark.parametrize("kind", FORMATS)
def test_export_model_with_preprocess_takes_pixels(kind, small_model, tmp_path):
    model = small_model()
    path = export_model(model, tmp_path / f"a.{kind}", True, with_preprocess=True, **PREPARATION)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 32, 24, 3), np.uint8)
    wanted = ((pixels - np.array(PREPARATION["mean"])) / PREPARATION["std"]).transpose(0, 3, 1, 2).astype(np.float32)
    [found] = RUN[kind](path, [pixels])
    assert relative(found, outputs(model, wanted)) < 1e-5


@pytest.mark.parametrize("kind", FORMATS)
def test_export_model_fp16_halves_linear_weights(kind, exported, images, tmp_path):
    model, full = exported(kind)
    half = export_model(model, tmp_path / f"half.{kind}", True, fp16=True, **PREPARATION)
    [found] = RUN[kind](half, [images])
    assert found.dtype == np.float32
    assert 1e-6 < relative(found, outputs(model, images)) < 1e-2
    linear = sum(cell.weight.size for _, cell in model.cells_and_names() if isinstance(cell, nn.Dense))
    assert full.stat().st_size - half.stat().st_size == pytest.approx(2 * linear, rel=0.25)
    assert all(parameter.dtype == ms.float32 for parameter in model.get_parameters()), "the model is as it was"


@needs_onnx
def test_export_model_onnx_has_named_inputs_and_outputs(exported):
    import onnx

    _model, path = exported("onnx")
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 17)]
    [images], [logits] = model.graph.input, model.graph.output
    for value, name, shape in ((images, "images", ["batch", 3, 32, 24]), (logits, "logits", ["batch", 7])):
        assert value.name == name
        assert [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim] == shape


def test_export_model_writes_sidecar(small_model, tmp_path):
    names = ["n02123045", "x", "y"]
    export_model(
        small_model(), tmp_path / "a.mindir", with_preprocess=True, class_names=names, model_name="m", **PREPARATION
    )
    about = json.loads((tmp_path / "a.mindir.json").read_text())
    assert about["model"] == "m"
    assert about["format"] == f"MindIR of MindSpore {ms.__version__}"
    given = about["input"]
    assert (given["shape"], given["type"], given["layout"]) == ([1, 32, 24, 3], "uint8", "NHWC")
    assert {name: about["prepare"][name] for name in PREPARATION} == {
        **PREPARATION, "mean": list(PREPARATION["mean"]), "std": list(PREPARATION["std"]),
    }  # fmt: skip
    assert "40 x 30 pixels" in about["prepare"]["resize"]
    assert about["labels"] == ["tabby", "x", "y", "class 3", "class 4", "class 5", "class 6"]
    assert 0 <= about["verified"]["relative_error"] <= 1e-5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mindir", "a.mindir.json"]


@pytest.mark.parametrize("wrong", ["another weight", "NaN"])
def test_export_model_with_wrong_output_keeps_the_old_file(wrong, small_model, tmp_path, monkeypatch):
    (tmp_path / "a.mindir").write_text(OLD)
    write = mindir.write

    def write_another(path, model, spec):
        other = small_model()
        head = other.classifier.bias.asnumpy()
        head[3] += 1e-3 if wrong == "another weight" else np.nan
        other.classifier.bias.set_data(Tensor(head))
        write(path, other, spec)

    monkeypatch.setattr(mindir, "write", write_another)
    with pytest.raises(ExportError, match=r"a.mindir was not written: .* more than 1e-05"):
        export_model(small_model(), tmp_path / "a.mindir", **PREPARATION)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.mindir", OLD)]


@pytest.mark.parametrize("name", ["a.mindir", "a.mindir.json"])
def test_export_model_refuses_to_replace_other_files_before_writing(name, small_model, tmp_path, monkeypatch):
    (tmp_path / name).write_text('{"labels": ["mine"]}')
    monkeypatch.setattr(mindir, "write", None)
    with pytest.raises(FileExistsError, match=rf"{name} exists and is not"):
        export_model(small_model(), tmp_path / "a.mindir", **PREPARATION)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("version", "stays"), [("ONNX opset 17", True), (f"MindIR of MindSpore {ms.__version__}", False)]
)
def test_export_model_removes_only_its_formats_old_sidecar(version, stays, small_model, tmp_path, monkeypatch):
    monkeypatch.setattr(mindir, "write", lambda path, model, spec: path.write_text(OLD))
    monkeypatch.setattr(exporting, "verify", lambda *_: 0.0)
    old = dict.fromkeys(("input", "prepare", "output", "verified"), "")
    (tmp_path / "a.json").write_text(json.dumps({**old, "format": version}))
    for _ in range(2):
        export_model(small_model(0), tmp_path / "a.mindir", **PREPARATION)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json"] * stays + ["a.mindir", "a.mindir.json"]


def test_export_model_missing_packages_are_named(small_model, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"needs onnx and onnxruntime .*pip install onnx onnxruntime"):
        export_model(small_model(), tmp_path / "a.onnx", **PREPARATION)
    assert not list(tmp_path.iterdir())


def test_export_model_wrong_arguments_are_refused(small_model, tmp_path):
    with pytest.raises(ValueError, match=r"got .*a.pb'; .* ends in .mindir or .onnx"):
        export_model(small_model(), tmp_path / "a.pb", **PREPARATION)
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere"):
        export_model(small_model(), tmp_path / "nowhere" / "a.mindir", **PREPARATION)
    with pytest.raises(ValueError, match="images of 3 channels, but mean and std have 1 values"):
        export_model(
            small_model(), tmp_path / "a.mindir", with_preprocess=True, **{**PREPARATION, "mean": [1], "std": [1]}
        )


@needs_onnx
def test_write_onnx_of_another_model_is_refused(tmp_path):
    with pytest.raises(TypeError, match="got a Dense, which has no ONNX graph: export it as mindir"):
        onnx_graph.write(tmp_path / "a.onnx", nn.Dense(2, 2), None)


def golden_cases():
    for name in mindcv.list_models("convit*"):
        for kind in ("mindir", "onnx"):
            for attn_impl in ("separable", "plain"):
                marks = [needs_onnx] * (kind == "onnx")
                marks += [pytest.mark.slow] * ((name, kind, attn_impl) != ("convit_tiny", "onnx", "separable"))
                yield pytest.param(name, kind, attn_impl, marks=marks, id=f"{name}-{kind}-{attn_impl}")


@pytest.mark.parametrize(("name", "kind", "attn_impl"), golden_cases())
def test_export_model_gives_golden_logits(name, kind, attn_impl, golden, tmp_path):
    """Against the logits of the authors' own code in float64."""
    facts = golden.facts("manifest")[name]
    model = mindcv.create_model(name, attn_impl=attn_impl)
    arrays = rule.mindcv_weights(facts)
    for parameter in model.get_parameters():
        parameter.set_data(Tensor(arrays[parameter.name]))
    path = export_model(model, tmp_path / f"a.{kind}", dynamic_batch=True, **PREPARATION)
    images, _ = rule.inputs(facts["salt"])
    [found] = RUN[kind](path, [images])
    path.unlink()
    assert relative(found, golden.array(name)["logits"]) < 2e-6
