"""MindCV's way to train, create_trainer with a StateMonitor, against this project's step and loader of checkpoints."""

import mindspore as ms
import mindspore.dataset as ds
import numpy as np
import pytest
from mindspore import Tensor, nn

from mindcv.loss import create_loss
from mindcv.models import ConViT
from mindcv.optim import create_optimizer
from mindcv.utils import (
    StateMonitor,
    TrainStep,
    ValCallback,
    create_trainer,
    get_metrics,
    require_customized_train_step,
)
from mindcv.weights import load

IMAGES = np.random.default_rng(0).standard_normal((8, 3, 16, 16)).astype(np.float32)
LABELS = np.arange(8, dtype=np.int32) % 2


@pytest.fixture(autouse=True, scope="module")
def pynative_mode():
    """PyNative mode, which compiles nothing; one test compares with graph mode."""
    before = ms.get_context("mode")
    ms.set_context(mode=ms.PYNATIVE_MODE)
    yield
    ms.set_context(mode=before)


def perceptron(seed=0):
    ms.set_seed(seed)
    return nn.SequentialCell(nn.Flatten(), nn.Dense(3 * 16 * 16, 4), nn.ReLU(), nn.Dense(4, 2))


def batches(size=4):
    return ds.NumpySlicesDataset((IMAGES, LABELS), ["image", "label"], shuffle=False).batch(size)


def values(network):
    return {parameter.name: parameter.asnumpy().copy() for parameter in network.get_parameters()}


def trained(loss_scale=1.0, optimizer_scale=1.0, epochs=2, size=4, lr=0.1, **options):
    """Return a perceptron after some epochs with a trainer."""
    network = perceptron()
    optimizer = create_optimizer(network, "momentum", lr=lr, loss_scale=optimizer_scale)
    settings = {"amp_level": "O0", "amp_cast_list": None, "loss_scale_type": "fixed", **options}
    trainer = create_trainer(network, create_loss("CE"), optimizer, get_metrics(2), loss_scale=loss_scale, **settings)
    trainer.train(epochs, batches(size), dataset_sink_mode=False)
    return values(network)


def test_create_trainer_trains_as_mindspores_model_does_in_both_modes():
    network = perceptron()
    optimizer = nn.Momentum(network.trainable_params(), 0.1, 0.9)
    ms.train.Model(network, create_loss("CE"), optimizer).train(2, batches(), dataset_sink_mode=False)
    expected = values(network)
    ms.set_context(mode=ms.GRAPH_MODE)
    compiled = trained(64.0, 64.0)
    ms.set_context(mode=ms.PYNATIVE_MODE)
    for ends in (trained(), compiled):
        for name, value in ends.items():
            np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=1e-6)


def test_create_trainer_divides_out_a_loss_scale_once_whoever_does_it():
    plain = trained()
    for optimizer_scale in (1.0, 64.0):  # MindCV's train.py passes the loss scale to the optimizer too
        for name, value in trained(64.0, optimizer_scale).items():
            np.testing.assert_allclose(value, plain[name], rtol=1e-5, atol=1e-6)


def test_create_trainer_with_accumulation_takes_the_learning_rate_of_every_nth_call():
    accumulated = trained(size=2, lr=[9.0, 0.2] * 4, gradient_accumulation_steps=2)
    for name, value in trained(size=4, lr=0.2).items():
        np.testing.assert_allclose(accumulated[name], value, rtol=1e-5, atol=1e-6)


def test_create_trainer_invalid_value_raises():
    with pytest.raises(ValueError, match=r"loss_scale is 0\.5; it must be at least 1"):
        trained(0.5)
    with pytest.raises(ValueError, match="loss_scale_type is 'none'; it can be fixed, dynamic or auto"):
        trained(loss_scale_type="none")


def test_train_step_of_a_network_with_loss_reports_the_unscaled_loss():
    network = perceptron()
    with_loss = nn.WithLossCell(network, create_loss("CE"))
    expected = float(with_loss(Tensor(IMAGES), Tensor(LABELS)).asnumpy())
    optimizer = create_optimizer(network, "sgd", lr=0.1)
    step = TrainStep(with_loss, optimizer, scale_sense=Tensor(8.0), ema=True, clip_grad=True).set_train()
    assert float(step(Tensor(IMAGES), Tensor(LABELS)).asnumpy()) == pytest.approx(expected, rel=1e-5)
    assert step.stats.read().succeeded == 1


@pytest.mark.parametrize(
    ("arguments", "required"),
    [((), False), ((True,), True), ((False, False, 2), True), ((False, False, 1, "[]"), True)],
)
def test_require_customized_train_step_follows_its_arguments(arguments, required):
    assert require_customized_train_step(*arguments) is required


@pytest.mark.parametrize(("classes", "names"), [(4, 1), (5, 2)])
def test_get_metrics_counts_the_top_5_from_five_classes_on(classes, names):
    assert list(get_metrics(classes)) == ["Top_1_Accuracy", "Top_5_Accuracy"][:names]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Train a small ConViT for three epochs with a StateMonitor, as MindCV's train.py does."""
    folder = tmp_path_factory.mktemp("run")
    ms.set_seed(0)
    model = ConViT(image_size=16, patch_size=8, embed_dim=32, depth=2, num_heads=2, local_up_to_layer=1, num_classes=2)
    optimizer = create_optimizer(model, "adamw", lr=[0.01] * 6)
    metrics = get_metrics(2)
    trainer = create_trainer(
        model, create_loss("CE"), optimizer, metrics, "O0", None, "fixed", ema=True, ema_decay=0.5, clip_grad=True
    )
    monitor = StateMonitor(
        trainer, model_name="small", model_ema=True, dataset_val=batches(), metric_name=list(metrics),
        ckpt_save_dir=str(folder), ckpt_save_policy="latest_k", ckpt_keep_max=2, summary_dir=str(folder / "summary"),
        log_interval=1,
    )  # fmt: skip
    trainer.train(3, batches(), callbacks=[monitor], dataset_sink_mode=False)
    return folder, model, optimizer, trainer


def test_state_monitor_keeps_the_newest_checkpoints_the_best_one_and_the_optimizer(run):
    folder = run[0]
    names = {path.name for path in folder.iterdir()} - {"summary"}
    assert names == {"small-2_2.ckpt", "small-3_2.ckpt", "small_best.ckpt", "optim_small.ckpt", "result.log"}


def test_state_monitor_writes_weights_and_averages_that_this_project_loads(run):
    folder, model, *_ = run
    expected, averages = values(model), {}
    for ema in (False, True):
        ms.set_seed(1)
        fresh = ConViT(
            image_size=16, patch_size=8, embed_dim=32, depth=2, num_heads=2, local_up_to_layer=1, num_classes=2
        )
        load(fresh, folder / "small-3_2.ckpt", ema=ema)
        averages = values(fresh)
        assert all(np.array_equal(averages[name], value) for name, value in expected.items()) is not ema
    names = set(ms.load_checkpoint(str(folder / "small-3_2.ckpt")))
    assert names == {*expected, *(f"ema.{name}" for name in expected)}


def test_state_monitor_writes_the_optimizers_state_for_create_optimizer(run):
    folder, model, optimizer, _ = run
    restored = create_optimizer(model, "adamw", lr=[0.01] * 6, checkpoint_path=str(folder / "optim_small.ckpt"))
    assert int(restored.global_step.asnumpy()[0]) == 6
    for name, parameter in optimizer.state_parameters().items():
        np.testing.assert_array_equal(restored.state_parameters()[name].asnumpy(), parameter.asnumpy())


def test_state_monitor_writes_a_line_of_result_log_per_epoch(run):
    title, *lines = (run[0] / "result.log").read_text().splitlines()
    assert title.split() == ["Epoch", "TrainLoss", "Top_1_Accuracy", "TrainTime", "EvalTime", "TotalTime"]
    assert [line.split()[0] for line in lines] == ["1", "2", "3"]
    assert all(line.split()[2].endswith("%") for line in lines)


def test_trainer_evaluates_in_fractions_and_val_callback_prints_the_last_batch(run, capsys):
    _, model, _, trainer = run
    scores = trainer.eval(batches(), callbacks=[ValCallback(100)], dataset_sink_mode=False)
    model.set_train(False)
    right = model(Tensor(IMAGES)).asnumpy().argmax(1) == LABELS
    assert scores == {"Top_1_Accuracy": pytest.approx(right.mean())}
    assert capsys.readouterr().out.startswith("batch: 2/2, time: ")
