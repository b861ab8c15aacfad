"""Logits by ONNX Runtime against MindSpore's, and the cache of verified graphs."""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from mindcv.deploy import ExportError, engines, export_spec, exporting, onnx_graph, predict
from mindcv.deploy.engines import create_engine, onnx_engine
from mindcv.device import usable_cores
from mindcv.models import set_precision

needs_onnx = pytest.mark.skipif(
    not (find_spec("onnx") and find_spec("onnxruntime")), reason="onnx and onnxruntime are not installed"
)


@pytest.fixture(autouse=True)
def graphs(tmp_path, monkeypatch):
    """The folder of the cached graphs, empty."""
    monkeypatch.setenv("MINDCV_HOME", str(tmp_path))
    return tmp_path / "graphs"


@pytest.fixture
def verified(monkeypatch):
    """A list with an entry for each verification of a graph."""
    calls = []

    def verify(*arguments):
        calls.append(arguments)
        return exporting.verify(*arguments)

    monkeypatch.setattr(engines, "verify", verify)
    return calls


@pytest.fixture
def images():
    return np.random.default_rng(5).standard_normal((3, 3, 32, 24)).astype(np.float32)


def restarted(model):
    """Return the engine of a model as a new process gets it, with nothing but the cache on the disk."""
    engines._loaded.clear()
    return onnx_engine(model)


def with_weights_of(model, other):
    """Return `other` with the weights of `model`."""
    for target, source in zip(other.get_parameters(), model.get_parameters(), strict=True):
        target.set_data(Tensor(source.asnumpy()))
    return other


@needs_onnx
@pytest.mark.parametrize(("attn_impl", "act"), [("separable", "gelu"), ("plain", "gelu_tanh")])
def test_onnx_engine_logits_equal_mindspores(attn_impl, act, small_model, images):
    model = small_model(attn_impl=attn_impl, act=act).set_train()
    wanted, found = (create_engine(name, model, 4)(images) for name in ("mindspore", "onnxruntime"))
    assert found.dtype == np.float32 and found.shape == (3, 7)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)
    assert model.training


@needs_onnx
def test_predict_by_onnxruntime_equals_mindspore(small_model, photos):
    model, paths = small_model(), sorted(photos.iterdir())
    wanted, found = (predict(model, paths, 3, batch_size=2, engine=name) for name in ("mindspore", "onnxruntime"))
    assert [[(p.name, p.number) for p in row] for row in found] == [[(p.name, p.number) for p in row] for row in wanted]
    probabilities = [[[p.probability for p in row] for row in rows] for rows in (found, wanted)]
    np.testing.assert_allclose(*probabilities, rtol=1e-5)


@needs_onnx
def test_onnx_engine_graph_is_verified_once_and_kept(small_model, graphs, verified):
    model = small_model()
    compute = onnx_engine(model)
    [path] = graphs.iterdir()
    assert path.suffix == ".onnx"
    assert onnx_engine(model) is compute
    assert restarted(model) is not compute
    restarted(with_weights_of(model, small_model()))
    assert len(verified) == 1 and list(graphs.iterdir()) == [path]


@needs_onnx
@pytest.mark.parametrize("damage", ["cut", "changed", "empty"])
def test_onnx_engine_damaged_graph_is_written_anew(damage, small_model, graphs, verified, images):
    model = small_model()
    wanted = onnx_engine(model)(images)
    [path] = graphs.iterdir()
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[:-9], "changed": whole[:-9] + b"?" + whole[-8:], "empty": b""}[damage])
    np.testing.assert_array_equal(restarted(model)(images), wanted)
    assert path.read_bytes() == whole and len(verified) == 2


@needs_onnx
def test_onnx_engine_follows_weights_changed_in_place(small_model, graphs, images):
    model = small_model()
    before = onnx_engine(model)(images)
    bias = model.classifier.bias
    ms.ops.assign(bias, bias + Tensor(np.arange(7), ms.float32))
    np.testing.assert_allclose(onnx_engine(model)(images), before + np.arange(7), atol=1e-5)
    assert len(list(graphs.iterdir())) == 2


@needs_onnx
@pytest.mark.parametrize("argument", [{"norm_eps": 1e-3}, {"attn_impl": "plain"}, {"act": "gelu_tanh"}])
def test_onnx_engine_other_arguments_of_equal_weights_are_another_graph(argument, small_model, graphs):
    model = small_model()
    onnx_engine(model)
    onnx_engine(with_weights_of(model, small_model(**argument)))
    assert len(list(graphs.iterdir())) == 2


@needs_onnx
def test_onnx_engine_subclass_is_verified_itself(small_model, graphs):
    model = small_model()
    onnx_engine(model)

    class Doubled(type(model)):
        def construct(self, images):
            return 2 * super().construct(images)

    model.__class__ = Doubled
    with pytest.raises(ExportError, match=r"^the graph for ONNX Runtime was not written: its output differs .* by "):
        restarted(model)
    assert len(list(graphs.iterdir())) == 1


@needs_onnx
def test_cache_written_by_several_at_once_is_always_complete(graphs):
    graph, path = os.urandom(1 << 20), graphs / "a.onnx"
    graphs.mkdir()
    with ThreadPoolExecutor(6) as pool:
        writing = [pool.submit(engines._keep, path, graph) for _ in range(6)]
        while not all(one.done() for one in writing):
            assert not path.exists() or path.read_bytes() == graph
    assert all(one.result() is None for one in writing)
    assert [one.name for one in graphs.iterdir()] == ["a.onnx"] and path.read_bytes() == graph


@needs_onnx
def test_onnx_engine_without_a_folder_for_graphs_warns(small_model, graphs, images, caplog):
    graphs.write_text("a file")
    assert onnx_engine(small_model())(images).shape == (3, 7)
    [message] = caplog.messages
    assert re.fullmatch(r"cannot write to .*graphs: .*: the graph for ONNX Runtime will be verified again", message)


@needs_onnx
def test_onnx_engine_half_precision_is_refused(small_model, graphs):
    model = small_model()
    set_precision(model, "O2")
    with pytest.raises(ValueError, match=r"^engine onnxruntime computes in float32, the model in half precision: use"):
        onnx_engine(model)
    set_precision(model, "O0")
    onnx_engine(model)


@needs_onnx
def test_onnx_engine_family_without_a_graph_is_refused():
    with pytest.raises(TypeError, match=r"^got a Dense, which has no ONNX graph: use engine mindspore$"):
        onnx_engine(nn.Dense(2, 2))


def test_engine_without_its_package_names_the_extra(small_model, photos, monkeypatch):
    monkeypatch.setattr(exporting, "find_spec", lambda name: None if name == "onnxruntime" else find_spec(name))
    message = "^engine onnxruntime needs onnxruntime, which the extra onnx installs: pip install onnxruntime$"
    with pytest.raises(ValueError, match=message):
        predict(small_model(), photos / "a.jpg", engine="onnxruntime")


def test_engine_unknown_is_refused(small_model, photos):
    with pytest.raises(ValueError, match=r"^engine is 'tvm'; it can be mindspore or onnxruntime$"):
        predict(small_model(), photos / "a.jpg", engine="tvm")


@needs_onnx
def test_graph_runs_on_the_usable_cores(small_model, monkeypatch):
    import onnxruntime

    seen = []

    class Session(onnxruntime.InferenceSession):
        def __init__(self, graph, options, **given):
            seen.append(options.intra_op_num_threads)
            super().__init__(graph, options, **given)

    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    monkeypatch.setattr(onnx_graph, "usable_cores", lambda: 3)
    spec = export_spec.ExportSpec.of_model(model := small_model(), True, False, None)
    onnx_graph.load(onnx_graph.build(model, spec).SerializeToString())
    assert seen == [3]


@pytest.mark.parametrize(
    ("asked", "affinity", "physical", "wanted"),
    [("3", 8, 4, 3), ("", 8, 4, 4), ("", 2, 4, 2), ("0", 2, None, 2), ("2,1", 1, 4, 1)],
)
def test_usable_cores_follow_omp_num_threads_affinity_and_physical_cores(
    asked, affinity, physical, wanted, monkeypatch
):
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(affinity)), raising=False)
    monkeypatch.setattr("psutil.cpu_count", lambda logical: physical)
    assert usable_cores() == wanted
