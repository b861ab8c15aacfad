"""Published weights, from a server on this machine."""

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
    """Serves `server.files`; before that, `server.mischief` holds what to do to the first answers."""

    def do_GET(self):
        self.server.asked.append(self.path)
        body = self.server.files.get(self.path)
        mischief = self.server.mischief.pop(0) if self.server.mischief else ""
        if body is None:
            return self.send_error(404)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if mischief == "cut":
            body = body[:1000]
        elif mischief == "wrong":
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
    server.files, server.asked, server.mischief = {}, [], []
    server.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def theirs(tiny, values):
    """Arrays under MindCV's names that no fresh model has."""
    return {name: np.random.default_rng(5).random(array.shape).astype("f4") for name, array in values(tiny()).items()}


@pytest.fixture
def cfg(server, theirs, tmp_path):
    """Two sources of weights for a tiny ConViT: as MindCV gives them, and as the authors do."""
    sources = {}
    for name, file, arrays in (
        ("mindcv", "tiny.ckpt", theirs),
        ("fb", "tiny.safetensors", weights.to_pytorch(theirs)),
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
def test_fetched_once_and_said(pretrained, cfg, server, theirs, values, assert_same, caplog, tmp_path):
    name = "mindcv" if pretrained is True else pretrained
    assert_same(values(build(cfg, pretrained)), theirs)
    assert f"fetching weights of Publisher of {name}, licence: Licence of {name}" in caplog.text
    path = tmp_path / "home" / "weights" / cfg["sources"][name]["file"]
    assert path.read_bytes() == server.files[server.asked[0]]
    caplog.clear()
    assert_same(values(build(cfg, pretrained)), theirs)
    assert len(server.asked) == 1
    assert not caplog.text


def test_activation_and_epsilon_are_the_source_s(cfg):
    def made_with(pretrained, **arguments):
        def spy(**made):
            seen.append((made["act"], made["norm_eps"]))
            return convit.ConViT(**made)

        seen = []
        build_pretrained(spy, cfg, pretrained, **ARGUMENTS, **arguments)
        return seen[0]

    assert made_with("mindcv") == ("gelu_tanh", 1e-7)
    assert made_with("fb") == ("gelu", 1e-6)
    assert made_with("mindcv", act="gelu") == ("gelu", 1e-7)
    assert made_with("mindcv", norm_eps=1e-5) == ("gelu_tanh", 1e-5)


def test_published_weights_are_adapted(cfg, theirs, values, caplog):
    model = build(cfg, True, num_classes=7, in_channels=1, image_size=(16, 32), local_up_to_layer=0)
    for argument in weights.ARGUMENTS:
        assert f"tiny.ckpt: {argument} is " in caplog.text
    np.testing.assert_array_equal(values(model)["blocks.0.attn.q.weight"], theirs["blocks.0.attn.q.weight"])
    assert not np.array_equal(values(model)["pos_embed"], theirs["pos_embed"])  # 4x2 to 2x4: as many, but elsewhere


@pytest.mark.parametrize("mischief", [["cut"], ["wrong"], ["wrong", "cut", "wrong"]])
def test_a_bad_connection(mischief, cfg, server, theirs, values, assert_same):
    server.mischief = list(mischief)
    assert_same(values(build(cfg, True)), theirs)
    assert not server.mischief


def test_a_file_of_another_digest_is_refused(cfg, server, tmp_path):
    server.files["/models/tiny.ckpt"] = bytes(server.files["/models/tiny.ckpt"][:-1]) + b"\1"
    with pytest.raises(DownloadError, match=r"tiny.ckpt.*sha256.*was expected.*put the file at .*weights/tiny.ckpt"):
        build(cfg, True)
    assert not (tmp_path / "home" / "weights" / "tiny.ckpt").exists()


def test_a_wrong_file_put_there_is_refused(cfg, tmp_path):
    path = tmp_path / "home" / "weights" / "tiny.ckpt"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"something else")
    with pytest.raises(DownloadError, match=r"tiny.ckpt is not the file published at .*delete it"):
        build(cfg, True)


def test_without_a_network(cfg, server, theirs, values, assert_same, tmp_path):
    """The error names the address and the place; a file put there by hand is taken."""
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
    assert_same(values(build(cfg, True)), theirs)


def test_a_mirror_is_asked_first(cfg, server, theirs, values, assert_same, monkeypatch):
    monkeypatch.setenv("MINDCV_MIRROR", f"{server.url}/mirror/")
    server.files["/mirror/models/tiny.ckpt"] = server.files["/models/tiny.ckpt"]
    assert_same(values(build(cfg, True)), theirs)
    assert server.asked == ["/mirror/models/tiny.ckpt"]
    build(cfg, "fb")
    assert server.asked[1:] == ["/mirror/models/tiny.safetensors", "/models/tiny.safetensors"]


@pytest.fixture
def on_hub(cfg):
    source = cfg["sources"]["fb"]
    del source["url"], source["sha256"]
    source["hub"] = "timm/tiny.fb_in1k/model.safetensors"
    return cfg


@pytest.fixture
def hub(server, monkeypatch):
    """A stand-in for huggingface_hub, for the two functions that are used of it."""
    body = server.files["/models/tiny.safetensors"]

    def hf_hub_url(repo_id, filename):
        assert (repo_id, filename) == ("timm/tiny.fb_in1k", "model.safetensors")
        return f"{server.url}/models/tiny.safetensors"

    hub = SimpleNamespace(hf_hub_url=hf_hub_url)
    hub.get_hf_file_metadata = lambda url: SimpleNamespace(etag=hashlib.sha256(body).hexdigest())
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    return hub


def test_the_hub(on_hub, hub, server, theirs, values, assert_same, caplog, tmp_path):
    server.mischief = ["wrong"]
    assert_same(values(build(on_hub, "fb")), theirs)
    assert not server.mischief
    assert "licence: Licence of fb" in caplog.text
    assert (tmp_path / "home" / "weights" / "tiny.safetensors").is_file()
    del hub.hf_hub_url  # the second time it is not asked
    assert_same(values(build(on_hub, "fb")), theirs)


def test_the_hub_out_of_reach(on_hub, hub, tmp_path):
    def fail(url):
        raise RuntimeError("no route\nand a long story")

    hub.get_hf_file_metadata = fail
    with pytest.raises(DownloadError) as error:
        build(on_hub, "fb")
    place = tmp_path / "home" / "weights" / "tiny.safetensors"
    assert str(error.value).endswith(f"no route; to go on without a network, put the file at {place}")


def test_without_the_hub_s_client(on_hub, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ValueError, match=r"pip install huggingface_hub.*put the file at .*tiny.safetensors"):
        build(on_hub, "fb")


def test_unknown_sources(cfg):
    with pytest.raises(ValueError, match="called 'mindvc'; there is 'mindcv'"):
        build(cfg, "mindvc")
    with pytest.raises(ValueError, match="called 'fb'; there is 'mindcv'"):
        mindcv.create_model("convit_tiny_plus", pretrained="fb")
    with pytest.raises(ValueError, match="called True; there are none"):
        build({}, True)


def test_create_model_with_published_weights(server, mindcv_weights, values, assert_same, monkeypatch, tmp_path):
    """The way of a user, by the real table, with only the address another."""
    ours = mindcv_weights("convit_tiny")
    weights.write(tmp_path / "a.ckpt", ours)
    body = (tmp_path / "a.ckpt").read_bytes()
    source = convit.default_cfgs["convit_tiny"]["sources"]["mindcv"]
    monkeypatch.setitem(source, "url", f"{server.url}/a.ckpt")
    monkeypatch.setitem(source, "sha256", hashlib.sha256(body).hexdigest()[:8])
    server.files["/a.ckpt"] = body
    model = mindcv.create_model("convit_tiny", pretrained=True)
    assert_same(values(model), ours)
    assert (tmp_path / "home" / "weights" / "convit_tiny-e31023f2.ckpt").is_file()


def test_a_checkpoint_of_what_began_with_published_weights(theirs, tmp_path):
    """The recipe that trained it serves to validate it: same activation, same epsilon, nothing fetched."""
    weights.write(tmp_path / "a.ckpt", theirs)

    def logits(**made):
        model = mindcv.create_model("convit_tiny", 3, checkpoint_path=str(tmp_path / "a.ckpt"), **TINY, **made)
        return model(Tensor(np.random.default_rng(0).random((2, 3, 32, 16)).astype("f4"))).asnumpy()

    own = logits()
    np.testing.assert_array_equal(logits(pretrained="fb"), own)
    of_mindcv = logits(act="gelu_tanh", norm_eps=1e-7)
    assert not np.array_equal(of_mindcv, own)
    for pretrained in (True, "mindcv"):
        np.testing.assert_array_equal(logits(pretrained=pretrained), of_mindcv)
    np.testing.assert_array_equal(logits(pretrained=True, act="gelu", norm_eps=1e-6), own)


def test_the_table():
    six = convit.default_cfgs
    assert {name for name, cfg in six.items() if "fb" in cfg["sources"]} == {
        "convit_tiny",
        "convit_small",
        "convit_base",
    }
    assert "mindcv-910v2" in six["convit_tiny"]["sources"]
    files = [source["file"] for cfg in six.values() for source in cfg["sources"].values()]
    assert len(set(files)) == len(files) == 13
    for name, cfg in six.items():
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
