"""Building a run: its step, its data and its classes follow the options."""

from functools import cache
from types import SimpleNamespace

import mindspore as ms
import pytest
from PIL import Image

from mindcv.config import resolve
from mindcv.engine import dataloaders
from mindcv.engine.dataloaders import (
    class_count,
    open_training,
    open_validation,
    validation_loader,
    warn_of_unused_outputs,
)
from mindcv.engine.run import build_run

pytestmark = pytest.mark.usefixtures("shallow_tiny")
DIGITS = ["--config", "convit_tiny_digits", "--mode", "1", "--image_resize", "16", "--patch_size", "8"]


def config(words=""):
    """Return the digits recipe for small images, with the options in `words`."""
    return resolve([*DIGITS, *words.split()])


@cache
def step_of(words):
    """Return the training step of the run with the options in `words`."""
    return build_run(config(words)).step


@pytest.mark.parametrize(
    "without, more, read, expected",
    [
        ("--clip_value 0.5", "--clip_grad True", lambda step: step.clip_norm, 0.5),
        ("--clip_grad True --clip_value 0.5", "--clip_mode value", lambda step: step.clip_value, 0.5),
        ("--opt momentum --eps 1e-10", "--use_nesterov True", lambda step: step.optimizer.nesterov, True),
        ("--ema True", "--ema_decay 0.9", lambda step: step.ema.decay, 0.9),
        ("", "--ema True", lambda step: step.ema is not None, True),
        ("", "--amp_level O2", lambda step: step.model.blocks[0].mlp.fc1.policy.compute, ms.float16),
        (
            "--amp_level O2",
            "--amp_dtype bfloat16",
            lambda step: step.model.blocks[0].mlp.fc1.policy.compute,
            ms.bfloat16,
        ),
        ("--amp_level O2", "--amp_cast_list Mlp", lambda step: step.model.blocks[0].attn.q.policy.compute, ms.float32),
        ("", "--attn_impl separable", lambda step: step.model.blocks[0].attn.separable, True),
        ("", "--loss_scale 8", lambda step: step.loss_scale.start, 8),
        ("", "--loss_scale_type dynamic", lambda step: step.loss_scale.dynamic, True),
        ("", "--drop_overflow_update True", lambda step: step.loss_scale.skips_overflow, True),
        ("", "--gradient_accumulation_steps 2", lambda step: step.accumulation, 2),
        ("", "--skip_nonfinite 3", lambda step: step.skip_nonfinite, 3),
    ],
)
def test_build_run_passes_each_option_to_the_step(without, more, read, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read(step_of(without)) != expected
    assert read(step_of(f"{without} {more}")) == expected
    assert not list(tmp_path.iterdir()), "MindSpore's automatic mixed precision would leave a folder rewritten_network"


@pytest.mark.parametrize("mode", [ms.GRAPH_MODE, ms.PYNATIVE_MODE])
def test_build_run_sets_the_mode(mode):
    build_run(config(f"--mode {mode}"))
    assert ms.get_context("mode") == mode


@pytest.mark.parametrize("option", [False, True])
def test_build_run_recomputes_blocks_only_with_recompute(option):
    run = build_run(config(f"--recompute {option}"))
    assert [block._has_config_recompute for block in run.step.model.blocks] == [option] * 2


def labels_of(words):
    """Return the labels of the validation images in the order of the loader."""
    batches = validation_loader(config(words), open_validation(config(words))).create_tuple_iterator(num_epochs=1)
    return ms.ops.cat([labels for _, labels in batches]).asnumpy().tolist()


def test_validation_loader_shuffles_only_with_eval_shuffle():
    in_order, shuffled = labels_of("--batch_size 40"), labels_of("--batch_size 40 --eval_shuffle True")
    assert shuffled != in_order
    assert sorted(shuffled) == sorted(in_order)


def images(root, *paths):
    """Write an image to each of `paths` below `root`."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 3)).save(root / path)


def test_open_validation_without_images_of_a_class_names_it(tmp_path, caplog):
    words = f"--dataset imagenet --data_dir {tmp_path} --val_split val"
    images(tmp_path, "train/cat/a.png", "train/dog/a.png", "train/eel/a.png", "val/cat/a.png", "val/eel/a.png")
    with pytest.raises(ValueError, match="no image of dog in val: add some, or pass --val_partial True to score"):
        open_validation(config(words))
    assert open_validation(config(f"{words} --val_partial True")).labels.tolist() == [0, 2]
    assert caplog.messages == ["no image of dog in val: the scores are of the other classes"]
    images(tmp_path, "val/dog/a.png")
    assert open_validation(config(words)).labels.tolist() == [0, 1, 2]


def test_open_validation_with_a_part_of_the_classes_needs_their_names(tmp_path):
    """A class's label is its place among all classes, which two of three folders do not determine."""
    words = f"--dataset imagenet --data_dir {tmp_path} --val_split val"
    images(tmp_path, "val/cat/a.png", "val/eel/a.png")
    with pytest.raises(ValueError, match="val has 2 of 3 classes, and nothing says which: put the training images'"):
        open_validation(config(f"{words} --num_classes 3"))
    assert open_validation(config(f"{words} --num_classes 2")).labels.tolist() == [0, 1]
    names = ["cat", "dog", "eel"]
    some = open_validation(config(f"{words} --num_classes 3 --val_partial True"), class_names=names)
    assert some.labels.tolist() == [0, 2]


@pytest.mark.parametrize("option, messages", [
    ("--num_classes none", []),
    ("--num_classes 2", []),
    ("--num_classes 1000", [
        "num_classes is 1000, but the data has 2 classes: pass --num_classes 2, unless the model is meant to have "
        "outputs for classes without images"
    ]),
])  # fmt: skip
def test_warn_of_unused_outputs_names_both_numbers_of_classes(option, messages, tmp_path, caplog):
    images(tmp_path, "train/cat/a.png", "train/dog/a.png")
    settings = config(f"--dataset imagenet --data_dir {tmp_path} {option}")
    training = open_training(settings)
    warn_of_unused_outputs(class_count(settings, training), training)
    assert caplog.messages == messages


def test_open_training_reads_train_split(tmp_path):
    images(tmp_path, "train/cat/a.png", "other/cat/a.png", "other/dog/a.png")
    assert len(open_training(config(f"--dataset imagenet --data_dir {tmp_path}"))) == 1
    assert len(open_training(config(f"--dataset imagenet --data_dir {tmp_path} --train_split other"))) == 2


def test_open_validation_with_val_list_takes_the_labels_from_it(tmp_path):
    images(tmp_path, "train/cat/a.png", "train/dog/a.png", "val/1.png", "val/2.png")
    (tmp_path / "list.txt").write_text("1.png 1\n2.png 0\n")
    words = f"--dataset imagenet --data_dir {tmp_path} --val_list {tmp_path}/list.txt --val_split val"
    assert open_validation(config(words)).labels.tolist() == [1, 0]


def test_open_validation_with_val_list_accepts_more_classes_than_it_lists(tmp_path):
    images(tmp_path, "val/1.png", "val/2.png")
    (tmp_path / "list.txt").write_text("1.png 1\n2.png 0\n")
    words = f"--dataset imagenet --data_dir {tmp_path} --val_list {tmp_path}/list.txt --val_split val --num_classes 3"
    assert open_validation(config(words)).labels.tolist() == [1, 0]


@pytest.mark.parametrize("download", [True, False])
def test_open_training_passes_dataset_download_on(download, monkeypatch):
    received = []
    source = SimpleNamespace(encoded=False)
    monkeypatch.setattr(dataloaders, "open_source", lambda *arguments: received.append(arguments[3]) or source)
    open_training(config(f"--dataset mnist --dataset_download {download}"))
    assert received == [download]


def test_build_run_scales_the_peak_rate_by_the_images_of_an_update(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = "--lr 0.01 --batch_size 16 --gradient_accumulation_steps 2"
    words += " --lr_scale linear --lr_base_batch 64"
    assert build_run(config(words)).peak == pytest.approx(0.01 * 16 * 2 / 64)
    words += " --dry_run --distribute True --num_devices 3"
    assert build_run(config(words)).peak == pytest.approx(0.01 * 16 * 2 * 3 / 64)
