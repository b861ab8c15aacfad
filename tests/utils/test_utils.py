"""The rest of MindCV's names, one by one."""

import argparse
import gzip
import hashlib
import logging
import random
import subprocess
import sys
import zipfile

import mindspore as ms
import numpy as np
import pytest
import yaml
from mindspore import Tensor, nn

import mindcv
from mindcv import utils
from mindcv.config import ConfigError, resolve
from mindcv.models import ConViT, create_model
from mindcv.models.features import FeatureExtractWrapper
from mindcv.models.helpers import build_model_with_cfg, load_pretrained
from mindcv.utils.download import DownLoad


@pytest.mark.parametrize("name", utils.__all__)
def test_every_name_of_utils_can_be_imported(name):
    assert getattr(utils, name) is not None


def test_a_name_that_is_not_here_says_what_to_use():
    with pytest.raises(ImportError, match=r"mindcv\.utils\.GradientAccumulation here: use TrainStep\(…, gradient_acc"):
        from mindcv.utils import GradientAccumulation  # noqa: F401
    with pytest.raises(ImportError, match=r"Cifar10Download here: use create_dataset\('cifar10', download=True\)"):
        from mindcv.data import Cifar10Download  # noqa: F401


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("mindcv.models.model_factory", "create_model"),
        ("mindcv.models.registry", "_model_pretrained_cfgs"),
        ("mindcv.data.dataset_factory", "create_dataset"),
        ("mindcv.data.transforms_factory", "create_transforms"),
        ("mindcv.data.dataset_download", "get_dataset_download_root"),
        ("mindcv.loss.loss_factory", "create_loss"),
        ("mindcv.loss.cross_entropy_smooth", "CrossEntropySmooth"),
        ("mindcv.loss.binary_cross_entropy_smooth", "BinaryCrossEntropySmooth"),
        ("mindcv.optim.optim_factory", "create_optimizer"),
        ("mindcv.optim.adamw", "AdamW"),
        ("mindcv.scheduler.scheduler_factory", "create_scheduler"),
        ("mindcv.scheduler.dynamic_lr", "cosine_decay_lr"),
        ("mindcv.utils.trainer_factory", "create_trainer"),
        ("mindcv.utils.callbacks", "StateMonitor"),
        ("mindcv.utils.checkpoint_manager", "CheckpointManager"),
        ("mindcv.utils.random", "set_seed"),
        ("mindcv.utils.train_step", "TrainStep"),
    ],
)
def test_module_of_mindcv_has_its_name(path, name):
    assert hasattr(__import__(path, fromlist=[name]), name)


def test_importing_mindcv_loads_neither_mindspore_nor_utils():
    code = "import sys, mindcv, mindcv.utils; assert not {'mindspore', 'mindcv.utils.training'} & sys.modules.keys()"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_top_level_names_are_those_of_the_folders():
    assert mindcv.ConViT is ConViT
    assert mindcv.convit_tiny is mindcv.model_entrypoint("convit_tiny")
    assert mindcv.insight.attention_maps and mindcv.utils.set_seed and mindcv.engine.train


def test_create_model_takes_none_for_the_number_of_classes_and_ema_without_a_checkpoint():
    with pytest.warns(UserWarning, match="no checkpoint_path is given"):
        model = create_model("convit_tiny", num_classes=None, in_channels=None, ema=True)
    assert model.num_classes == 1000


# config


def test_parse_args_returns_a_namespace_that_scripts_may_change(tmp_path, monkeypatch):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("model: convit_small\nlr: 7e-4\n")
    args = utils.parse_args(["-c", str(recipe), "--dataset", "cifar10", "--pretrained"])
    assert isinstance(args, argparse.Namespace)
    assert (args.model, args.lr, args.val_split, args.pretrained) == ("convit_small", 7e-4, "test", True)
    args.mode = 1
    utils.save_args(args, str(tmp_path / "run" / "saved.yaml"))
    again = resolve(["-c", str(tmp_path / "run" / "saved.yaml")])
    assert (again.mode, again.model, again.lr) == (1, "convit_small", 7e-4)
    utils.save_args(args, str(tmp_path / "other.yaml"), rank=1)
    assert not (tmp_path / "other.yaml").exists()


def test_create_parser_reads_options_beside_those_of_a_script():
    of_config, parser = utils.create_parser()
    parser.add_argument("--mine", type=int, default=3)
    found, rest = of_config.parse_known_args(["-c", "x.yaml", "--scale", "0.1", "0.9", "--distribute"])
    parser.set_defaults(**yaml.safe_load("lr: 0.1\nmodel: convit_base"))
    args = parser.parse_args(rest)
    assert found.config == "x.yaml"
    assert (args.scale, args.distribute, args.lr, args.model, args.mine) == ((0.1, 0.9), True, 0.1, "convit_base", 3)
    with pytest.raises(SystemExit):
        parser.parse_args(["--lr", "fast"])


def test_save_args_refuses_contradicting_options(tmp_path):
    args = utils.parse_args([])
    args.min_lr = 1.0
    with pytest.raises(ConfigError, match=r"min_lr 1\.0 is above lr"):
        utils.save_args(args, str(tmp_path / "saved.yaml"))


# files


def test_download_unpacks_archives_and_single_files(tmp_path):
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        archive.writestr("data/a.txt", "hello")
    (tmp_path / "b.bin.gz").write_bytes(gzip.compress(b"bytes"))
    md5 = hashlib.md5((tmp_path / "data.zip").read_bytes()).hexdigest()
    DownLoad().download_and_extract_archive((tmp_path / "data.zip").as_uri(), str(tmp_path / "to"), md5=md5)
    assert (tmp_path / "to" / "data" / "a.txt").read_text() == "hello"
    assert DownLoad().check_md5(str(tmp_path / "to" / "data.zip"), md5)
    DownLoad().download_and_extract_archive(
        (tmp_path / "b.bin.gz").as_uri(), str(tmp_path / "to"), remove_finished=True
    )
    assert (tmp_path / "to" / "b.bin").read_bytes() == b"bytes" and not (tmp_path / "to" / "b.bin.gz").exists()


def test_set_default_download_root_moves_data_sets_too(tmp_path, monkeypatch):
    monkeypatch.setenv("MINDCV_HOME", "before")
    utils.set_default_download_root(str(tmp_path))
    assert utils.get_default_download_root() == str(tmp_path)
    assert mindcv.get_dataset_download_root() == str(tmp_path / "datasets")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.tar.gz", (".tar.gz", ".tar", ".gz")),
        ("a.tgz", (".tgz", ".tar", ".gz")),
        ("a.zip", (".zip", ".zip", None)),
        ("a.b.gz", (".gz", None, ".gz")),
    ],
)
def test_detect_file_type_reads_the_end_of_a_name(name, kind):
    assert utils.detect_file_type(name) == kind


def test_checkpoint_manager_keeps_the_newest_or_the_best(tmp_path):
    network, scores = nn.Dense(2, 2), [0.3, 0.1, 0.2]
    kept = {"latest_k": ["2", "3"], "top_k": ["1", "3"], None: ["1", "2", "3"]}
    for policy, expected in kept.items():
        folder = tmp_path / str(policy)
        manager = utils.CheckpointManager(ckpt_save_policy=policy)
        for i, score in enumerate(scores, 1):
            files = manager.save_ckpoint(network, num_ckpt=2, metric=Tensor(score), save_path=str(folder / f"{i}.ckpt"))
        assert sorted(path.stem for path in folder.iterdir()) == expected
        assert len(manager.ckpoint_filelist) == (2 if policy else 0) and (files is None) is (policy is None)
    assert ms.load_checkpoint(str(tmp_path / "top_k" / "1.ckpt"), nn.Dense(2, 2)).keys() == {"weight", "bias"}
    manager = utils.CheckpointManager("top_k")
    with pytest.raises(ValueError, match="pass a metric"):
        manager.save_ckpoint(network, save_path=str(tmp_path / "x.ckpt"))
    assert manager.ckpoint_filelist == [] and not (tmp_path / "x.ckpt").exists()
    for metric in (0.9, 0.1):  # the same path twice
        manager.save_ckpoint(network, num_ckpt=1, metric=metric, save_path=str(tmp_path / "same.ckpt"))
    assert (tmp_path / "same.ckpt").exists()


# the rest


def test_set_seed_repeats_the_draws_of_python_and_numpy():
    draws = []
    for _ in range(2):
        utils.set_seed(3, rank=None)
        draws.append((random.random(), np.random.rand(), ms.get_seed()))
    assert draws[0] == draws[1] and draws[0][2] == 3


def test_set_logger_writes_to_the_terminal_and_to_the_workers_file(tmp_path, capsys):
    logger = utils.set_logger("moved", str(tmp_path), rank=None, color=False)
    assert utils.set_logger("moved") is logger and len(logger.handlers) == 2
    logging.getLogger("moved.train").info("hello")
    assert capsys.readouterr().out.endswith("moved.train INFO - hello\n")
    assert (tmp_path / "rank0.log").read_text().endswith("moved.train INFO - hello\n")
    assert len(utils.set_logger("moved worker", str(tmp_path), rank=1).handlers) == 1


@pytest.mark.parametrize("cast_list", [None, "[nn.Dense]"])
def test_auto_mixed_precision_changes_a_model_in_place(cast_list):
    model = ConViT(image_size=16, patch_size=8, embed_dim=32, depth=2, num_heads=2, local_up_to_layer=1, num_classes=2)
    utils.auto_mixed_precision(model, "O1", cast_list)
    assert model.classifier.policy.compute == ms.float16
    with pytest.raises(ValueError, match="needs amp_level O1 and a model of this package"):
        utils.auto_mixed_precision(model, "O2", "[nn.LayerNorm]")


class Stages(nn.Cell):
    def __init__(self, num_classes=1000, in_channels=3):
        super().__init__()
        self.layers = nn.SequentialCell(nn.Dense(in_channels, 4), nn.ReLU(), nn.Dense(4, num_classes))
        self.feature_info = [
            {"chs": 4, "reduction": 1, "name": "layers.0"},
            {"chs": 2, "reduction": 1, "name": "layers.2"},
        ]
        self.flatten_sequential = True

    def construct(self, x):
        return self.layers(x)


def test_feature_extract_wrapper_returns_the_outputs_of_the_named_parts():
    net, x = Stages(num_classes=2), Tensor(np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32))
    backbone = build_model_with_cfg(Stages, False, {}, features_only=True, out_indices=[0, 1], num_classes=2)
    assert backbone.out_channels == [4, 2]
    first, last = FeatureExtractWrapper(net, [0, 1])(x)
    np.testing.assert_array_equal(first.asnumpy(), net.layers[0](x).asnumpy())
    np.testing.assert_array_equal(last.asnumpy(), net(x).asnumpy())
    assert len(FeatureExtractWrapper(net, [0])(x)) == 1
    with pytest.raises(ValueError, match="Dense has no feature_info"):
        FeatureExtractWrapper(nn.Dense(2, 2))


def test_build_model_with_cfg_loads_published_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("MINDCV_HOME", str(tmp_path / "home"))
    source = Stages(num_classes=2)
    utils.CheckpointManager().save_ckpoint(source, save_path=str(tmp_path / "stages.ckpt"))
    cfg = {"url": (tmp_path / "stages.ckpt").as_uri()}
    model = build_model_with_cfg(Stages, True, cfg, num_classes=2)
    np.testing.assert_array_equal(model.layers[0].weight.asnumpy(), source.layers[0].weight.asnumpy())
    other = Stages(num_classes=2)
    load_pretrained(other, cfg, filter_fn=lambda parameters: {"layers.2.bias": parameters["layers.2.bias"]})
    np.testing.assert_array_equal(other.layers[2].bias.asnumpy(), source.layers[2].bias.asnumpy())
    assert not np.array_equal(other.layers[0].weight.asnumpy(), source.layers[0].weight.asnumpy())
