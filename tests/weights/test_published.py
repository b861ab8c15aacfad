"""Published weights, from a local server."""

import hashlib
import http.server
import os
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from mindspore import Tensor

import mindcv
from mindcv import weights
from mindcv.io.download import DownloadError
from mindcv.models import convit
from mindcv.models.factory import build_pretrained
from tests.weights.conftest import TINY

ARGUMENTS = {"num_classes": 3, "num_heads": 4, **TINY}


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `server.files`; `server.faults` lists what to do to the first answers."""

    def do_GET(self):
        self.server.requested.append(self.path)
        body = self.server.files.get(self.path)
        fault = self.server.faults.pop(0) if self.server.faults else ""
        if body is None:
            return self.send_error(404)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault == "cut":
            body = body[:1000]
        elif fault == "wrong":
            body = bytes(len(body))
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    for name in [n for n in os.environ if n.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MINDCV_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.requested, server.faults = {}, [], []
    server.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def published(tiny, values):
    """Arrays under MindCV's names that differ from a new model's."""
    return {name: np.random.default_rng(5).random(array.shape).astype("f4") for name, array in values(tiny()).items()}


@pytest.fixture
def cfg(server, published, tmp_path):
    """Two sources of weights for a tiny ConViT: under MindCV's names, and under the authors'."""
    sources = {}
    for name, file, arrays in (
        ("mindcv", "tiny.ckpt", published),
        ("fb", "tiny.safetensors", weights.to_pytorch(published)),
    ):
        weights.write(tmp_path / file, arrays)
        body = (tmp_path / file).read_bytes()
        server.files[f"/models/{file}"] = body
        sources[name] = {
            "publisher": f"Publisher of {name}",
            "licence": f"Licence of {name}",
            "file": file,
            "url": f"{server.url}/models/{file}",
            "sha256": hashlib.sha256(body).hexdigest()[:8],
            "grid": (4, 2),
        }
    sources["mindcv"] |= {"act": "gelu_tanh", "norm_eps": 1e-7}
    sources["fb"] |= {"act": "gelu", "norm_eps": 1e-6}
    return {"sources": sources}


def build(cfg, pretrained, **arguments):
    return build_pretrained(convit.ConViT, cfg, pretrained, **{**ARGUMENTS, **arguments})


@pytest.mark.parametrize("pretrained", [True, "mindcv", "fb"])
def test_pretrained_downloads_once_and_logs_the_licence(
    pretrained, cfg, server, published, values, assert_same, caplog, tmp_path
):
    name = "mindcv" if pretrained is True else pretrained
    assert_same(values(build(cfg, pretrained)), published)
    assert f"fetching weights of Publisher of {name}, licence: Licence of {name}" in caplog.text
    path = tmp_path / "home" / "weights" / cfg["sources"][name]["file"]
    assert path.read_bytes() == server.files[server.requested[0]]
    caplog.clear()
    assert_same(values(build(cfg, pretrained)), published)
    assert len(server.requested) == 1
    assert not caplog.text


def test_pretrained_sets_activation_and_epsilon_of_its_source(cfg):
    def made_with(pretrained, **arguments):
        def spy(**arguments):
            created.append((arguments["act"], arguments["norm_eps"]))
            return convit.ConViT(**arguments)

        created = []
        build_pretrained(spy, cfg, pretrained, **ARGUMENTS, **arguments)
        return created[0]

    assert made_with("mindcv") == ("gelu_tanh", 1e-7)
    assert made_with("fb") == ("gelu", 1e-6)
    assert made_with("mindcv", act="gelu") == ("gelu", 1e-7)
    assert made_with("mindcv", norm_eps=1e-5) == ("gelu_tanh", 1e-5)


def test_pretrained_weights_are_adapted(cfg, published, values, caplog):
    model = build(cfg, True, num_classes=7, in_channels=1, image_size=(16, 32), local_up_to_layer=0)
    for argument in (*weights.ARGUMENTS, "local_up_to_layer"):
        assert f"tiny.ckpt: {argument} is " in caplog.text
    np.testing.assert_array_equal(values(model)["blocks.0.attn.q.weight"], published["blocks.0.attn.q.weight"])
    assert not np.array_equal(
        values(model)["pos_embed"], published["pos_embed"]
    )  # 4x2 to 2x4: as many positions, in other places


@pytest.mark.parametrize("faults", [["cut"], ["wrong"], ["wrong", "cut", "wrong"]])
def test_pretrained_over_a_bad_connection_is_downloaded(faults, cfg, server, published, values, assert_same):
    server.faults = list(faults)
    assert_same(values(build(cfg, True)), published)
    assert not server.faults


def test_pretrained_download_with_another_digest_is_refused(cfg, server, tmp_path):
    server.files["/models/tiny.ckpt"] = bytes(server.files["/models/tiny.ckpt"][:-1]) + b"\1"
    with pytest.raises(DownloadError, match=r"tiny.ckpt.*sha256.*was expected.*put the file at .*weights/tiny.ckpt"):
        build(cfg, True)
    assert not (tmp_path / "home" / "weights" / "tiny.ckpt").exists()


def test_pretrained_wrong_file_in_the_folder_is_refused(cfg, tmp_path):
    path = tmp_path / "home" / "weights" / "tiny.ckpt"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"something else")
    with pytest.raises(DownloadError, match=r"tiny.ckpt is not the file published at .*delete it"):
        build(cfg, True)


def test_pretrained_without_network_takes_a_file_put_there(cfg, server, published, values, assert_same, tmp_path):
    """The error names the address and the path; a file put there by hand is taken."""
    body = server.files["/models/tiny.ckpt"]
    server.shutdown()
    server.server_close()
    path = tmp_path / "home" / "weights" / "tiny.ckpt"
    with pytest.raises(DownloadError) as error:
        build(cfg, True)
    assert cfg["sources"]["mindcv"]["url"] in str(error.value)
    assert f"put the file at {path}" in str(error.value)
    assert "\n" not in str(error.value)
    path.write_bytes(body)
    assert_same(values(build(cfg, True)), published)


def test_pretrained_mirror_is_tried_first(cfg, server, published, values, assert_same, monkeypatch):
    monkeypatch.setenv("MINDCV_MIRROR", f"{server.url}/mirror/")
    server.files["/mirror/models/tiny.ckpt"] = server.files["/models/tiny.ckpt"]
    assert_same(values(build(cfg, True)), published)
    assert server.requested == ["/mirror/models/tiny.ckpt"]
    build(cfg, "fb")
    assert server.requested[1:] == ["/mirror/models/tiny.safetensors", "/models/tiny.safetensors"]


@pytest.fixture
def on_hub(cfg):
    source = cfg["sources"]["fb"]
    del source["url"], source["sha256"]
    source["hub"] = "timm/tiny.fb_in1k/model.safetensors"
    return cfg


@pytest.fixture
def hub(server, monkeypatch):
    """A fake of the two functions of huggingface_hub that are used."""
    body = server.files["/models/tiny.safetensors"]

    def hf_hub_url(repo_id, filename):
        assert (repo_id, filename) == ("timm/tiny.fb_in1k", "model.safetensors")
        return f"{server.url}/models/tiny.safetensors"

    hub = SimpleNamespace(hf_hub_url=hf_hub_url)
    hub.get_hf_file_metadata = lambda url: SimpleNamespace(etag=hashlib.sha256(body).hexdigest())
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    return hub


def test_pretrained_from_the_hub(on_hub, hub, server, published, values, assert_same, caplog, tmp_path):
    server.faults = ["wrong"]
    assert_same(values(build(on_hub, "fb")), published)
    assert not server.faults
    assert "licence: Licence of fb" in caplog.text
    assert (tmp_path / "home" / "weights" / "tiny.safetensors").is_file()
    del hub.hf_hub_url  # not called the second time
    assert_same(values(build(on_hub, "fb")), published)


def test_pretrained_hub_out_of_reach_names_the_path(on_hub, hub, tmp_path):
    def fail(url):
        raise RuntimeError("no route\nand a long story")

    hub.get_hf_file_metadata = fail
    with pytest.raises(DownloadError) as error:
        build(on_hub, "fb")
    place = tmp_path / "home" / "weights" / "tiny.safetensors"
    assert str(error.value).endswith(f"no route; to go on without a network, put the file at {place}")


def test_pretrained_without_the_hubs_client_says_what_to_install(on_hub, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ValueError, match=r"pip install huggingface_hub.*put the file at .*tiny.safetensors"):
        build(on_hub, "fb")


def test_pretrained_unknown_source_is_refused(cfg):
    with pytest.raises(ValueError, match="called 'mindvc'; did you mean 'mindcv'"):
        build(cfg, "mindvc")
    with pytest.raises(ValueError, match="called 'fb'; choose from mindcv"):
        mindcv.create_model("convit_tiny_plus", pretrained="fb")
    with pytest.raises(ValueError, match="called True; this model has none"):
        build({}, True)


def test_create_model_pretrained_loads_published_weights(
    server, mindcv_weights, values, assert_same, monkeypatch, tmp_path
):
    """With the real table, except for the address."""
    expected = mindcv_weights("convit_tiny")
    weights.write(tmp_path / "a.ckpt", expected)
    body = (tmp_path / "a.ckpt").read_bytes()
    source = convit.default_cfgs["convit_tiny"]["sources"]["mindcv"]
    monkeypatch.setitem(source, "url", f"{server.url}/a.ckpt")
    monkeypatch.setitem(source, "sha256", hashlib.sha256(body).hexdigest()[:8])
    server.files["/a.ckpt"] = body
    model = mindcv.create_model("convit_tiny", pretrained=True)
    assert_same(values(model), expected)
    assert (tmp_path / "home" / "weights" / "convit_tiny-e31023f2.ckpt").is_file()


def test_create_model_pretrained_with_checkpoint_downloads_nothing(published, tmp_path):
    """The recipe that trained a checkpoint also validates it: same activation and epsilon, nothing downloaded."""
    weights.write(tmp_path / "a.ckpt", published)

    def logits(**arguments):
        model = mindcv.create_model("convit_tiny", 3, checkpoint_path=str(tmp_path / "a.ckpt"), **TINY, **arguments)
        return model(Tensor(np.random.default_rng(0).random((2, 3, 32, 16)).astype("f4"))).asnumpy()

    own = logits()
    np.testing.assert_array_equal(logits(pretrained="fb"), own)
    of_mindcv = logits(act="gelu_tanh", norm_eps=1e-7)
    assert not np.array_equal(of_mindcv, own)
    for pretrained in (True, "mindcv"):
        np.testing.assert_array_equal(logits(pretrained=pretrained), of_mindcv)
    np.testing.assert_array_equal(logits(pretrained=True, act="gelu", norm_eps=1e-6), own)


def test_default_cfgs_list_every_published_file():
    cfgs = convit.default_cfgs
    assert {name for name, cfg in cfgs.items() if "fb" in cfg["sources"]} == {
        "convit_tiny",
        "convit_small",
        "convit_base",
    }
    assert "mindcv-910v2" in cfgs["convit_tiny"]["sources"]
    files = [source["file"] for cfg in cfgs.values() for source in cfg["sources"].values()]
    assert len(set(files)) == len(files) == 13
    for name, cfg in cfgs.items():
        assert cfg["url"] == cfg["sources"]["mindcv"]["url"]
        for kind, source in cfg["sources"].items():
            assert source["licence"]
            assert (source["act"], source["norm_eps"]) == (
                ("gelu_tanh", 1e-7) if kind.startswith("mindcv") else ("gelu", 1e-6)
            )
            if kind == "timm":
                assert source["hub"] == f"timm/{name}.fb_in1k/model.safetensors"
            else:
                assert source["url"].endswith(source["file"])
            if kind.startswith("mindcv"):
                assert source["file"].startswith(f"{name}-{source['sha256']}")
                assert len(source["sha256"]) == 8
