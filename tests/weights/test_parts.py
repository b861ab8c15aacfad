"""Which arrays of a checkpoint are weights, and which are other parts."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, ParameterTuple, Tensor, nn
from mindspore.boost import GradientAccumulation

import mindcv
from mindcv import weights
from mindcv.cli.weights import main
from mindcv.weights import classes_in, weights_of
from mindcv.weights.parts import split_parts
from tests.weights.conftest import TINY, VARIANTS


def clones(prefixes, *counters):
    """Return an optimizer class that is built like MindCV's: slots by `clone`, and counters by name."""

    class Optimizer(nn.Optimizer):
        def __init__(self, parameters):
            super().__init__(0.1, parameters)
            self.slots = [self.parameters.clone(prefix, init="zeros") for prefix in prefixes]
            for i, slots in enumerate(self.slots):
                setattr(self, f"slots_{i}", slots)
            for name in counters:
                setattr(self, name, Parameter(Tensor([1.0]), name=name))

    return Optimizer


def lamb(parameters):
    return nn.Lamb(parameters, 0.1)


def lars(parameters):
    return nn.LARS(nn.Momentum(parameters, 0.1, 0.9))


def groups(parameters):
    rates = [{"params": parameters[:5], "lr": 0.1}, {"params": parameters[5:], "lr": [0.1, 0.2, 0.3]}]
    return nn.AdamWeightDecay(rates, 0.1)


# optimizer, and its number of slots for each weight
OPTIMIZERS = {
    "sgd": (lambda p: nn.SGD(p, 0.1, momentum=0.9), 2),
    "momentum": (lambda p: nn.Momentum(p, [0.1, 0.2, 0.3], 0.9), 1),
    "adam": (nn.Adam, 2),
    "amsgrad": (lambda p: nn.Adam(p, use_amsgrad=True), 3),
    "lazy adam": (nn.LazyAdam, 2),
    "offloaded adam": (nn.AdamOffload, 2),
    "adam, weight decay": (nn.AdamWeightDecay, 2),
    "adam, scheduled": (lambda p: nn.AdamWeightDecay(p, nn.CosineDecayLR(0.0, 0.1, 10)), 2),
    "groups": (groups, 2),
    "adamax": (nn.AdaMax, 2),
    "adafactor": (nn.AdaFactor, 4),
    "adadelta": (nn.Adadelta, 2),
    "adagrad": (nn.Adagrad, 1),
    "proximal adagrad": (nn.ProximalAdagrad, 1),
    "asgd": (nn.ASGD, 3),
    "ftrl": (nn.FTRL, 2),
    "lamb": (lamb, 2),
    "lars": (lars, 1),
    "rmsprop": (nn.RMSProp, 2),
    "centred rmsprop": (lambda p: nn.RMSProp(p, centered=True), 3),
    "rprop": (nn.Rprop, 2),
    "MindCV's adamw": (clones(["adam_m", "adam_v"], "beta1_power", "beta2_power"), 2),
    "MindCV's adan": (clones(["moment1", "moment2", "moment3", "prev_gradient"]), 4),
    "MindCV's lion": (clones(["lion_m"], "beta1_power", "beta2_power"), 1),
    "MindCV's nadam": (clones(["nadam_m", "nadam_v"], "mu_schedule", "beta2_power"), 2),
}


class MindCVStep(nn.TrainOneStepWithLossScaleCell):
    """A training step with the parameters of MindCV's."""

    def __init__(self, network, optimizer, ema=False):
        super().__init__(network, optimizer, nn.DynamicLossScaleUpdateCell(1024, 2, 1000))
        self.updates = Parameter(Tensor(0.0, ms.float32), name="updates")
        if ema:
            self.ema_weight = ParameterTuple(list(network.get_parameters())).clone("ema", init="same")
        self.gradient_accumulation = GradientAccumulation(2, optimizer)


class Wrapped(nn.Cell):
    """A cell around a model that renames its parameters."""

    def __init__(self, network):
        super().__init__()
        self.network = network


class Step(nn.Cell):
    """A training cell that renames the optimizer's parameters, including the weights."""

    def __init__(self, network, optimizer):
        super().__init__()
        self.network, self.optimizer = network, optimizer


@pytest.fixture
def trainable(tiny):
    """A model whose weights are not the initial ones."""
    model = tiny()
    rng = np.random.default_rng(1)
    for parameter in model.get_parameters():
        parameter.set_data(Tensor(rng.standard_normal(parameter.shape).astype(np.float32)))
    return model


@pytest.fixture
def saved(tmp_path):
    """A function that saves a cell with MindSpore and returns the path."""

    def save(cell, **options):
        ms.save_checkpoint(cell, str(tmp_path / "a.ckpt"), **options)
        return str(tmp_path / "a.ckpt")

    return save


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_load_finds_weights_among_every_optimizers_state(name, trainable, saved, tiny, values, assert_same):
    before = values(trainable)
    make, slots = OPTIMIZERS[name]
    path = saved(nn.TrainOneStepCell(trainable, make(list(trainable.trainable_params()))))
    parts = split_parts(weights.read(path))
    assert_same(parts.weights, before)
    assert len(parts.optimizer) == slots * len(before)
    assert "global_step" in parts.run
    assert_same(values(tiny(checkpoint_path=path)), before)
    assert classes_in(path).count == 3


@pytest.mark.parametrize("frozen", [False, True], ids=["", "frozen"])
def test_load_mindcv_training_checkpoint_finds_weights_averages_and_state(
    frozen, trainable, saved, tiny, values, assert_same, caplog, capsys
):
    before = values(trainable)
    for parameter in trainable.get_parameters():
        parameter.requires_grad = not frozen or parameter.name.startswith("classifier")
    step = MindCVStep(trainable, nn.Momentum(trainable.trainable_params(), 0.1, 0.9), ema=True)
    for average in step.ema_weight:
        average.set_data(Tensor(average.asnumpy() + 1))
    path = saved(step)
    caplog.set_level("INFO")
    assert_same(values(tiny(checkpoint_path=path)), before)
    state = (2 if frozen else len(before)) * 2 + 8
    assert f"a.ckpt: {state} tensors of an optimizer's and a run's state are left out" in caplog.text
    assert_same(values(tiny(checkpoint_path=path, ema=True)), {name: array + 1 for name, array in before.items()})
    assert main(["inspect", path]) == 0
    output = capsys.readouterr().out
    assert "a ConViT of width 16 with depth=2, local_up_to_layer=1\n" in output
    assert f"parameters  {sum(array.size for array in before.values()):,} in {len(before)} tensors, float32\n" in output
    assert f"moving averages ({len(before)} tensors), optimizer state ({state - 5} tensors), run state (5 " in output


@pytest.mark.parametrize("ema", [False, True])
def test_convert_mindcv_training_checkpoint_writes_its_weights(ema, trainable, saved, values, assert_same, tmp_path):
    before = values(trainable)
    step = MindCVStep(trainable, nn.Momentum(trainable.trainable_params(), 0.1, 0.9), ema=True)
    path = saved(step)
    assert main(["convert", path, str(tmp_path / "b.ckpt"), "--to", "pytorch", *["--ema"] * ema]) == 0
    assert_same(weights.to_mindcv(weights.read(tmp_path / "b.ckpt")), before)


def test_load_model_checkpoint_with_append_info(trainable, values, tiny, assert_same, tmp_path):
    config = ms.train.CheckpointConfig(append_info=["epoch_num", "step_num", {"note": "猫", "lr": 0.1}])
    saving = ms.train.ModelCheckpoint("a", str(tmp_path), config)
    data = ms.dataset.NumpySlicesDataset((np.ones((2, 3, 32, 16), np.float32), np.zeros(2, np.int32))).batch(2)
    optimizer = nn.Adam(trainable.trainable_params(), [0.1, 0.2])
    runner = ms.train.Model(trainable, nn.CrossEntropyLoss(), optimizer)
    runner.train(1, data, callbacks=[saving], dataset_sink_mode=False)
    (path,) = tmp_path.glob("*.ckpt")
    parts = split_parts(weights.read(path))
    assert {"epoch_num", "step_num", "note", "lr", "learning_rate", "beta1_power"} < parts.run
    assert_same(values(tiny(checkpoint_path=str(path))), values(trainable))


def test_load_weights_with_append_dict(trainable, saved, values, tiny, assert_same):
    path = saved(trainable, append_dict={"epoch": 3, "lr": 0.1, "note": "cat"})
    assert_same(values(tiny(checkpoint_path=path)), values(trainable))


WRAPPINGS = {
    "cell": lambda model, make: Wrapped(model),
    "sequence": lambda model, make: nn.SequentialCell(model, nn.ReLU()),
    "cell in a sequence": lambda model, make: nn.SequentialCell(Wrapped(model)),
    "optimizer after": lambda model, make: nn.TrainOneStepCell(cell := Wrapped(model), make(cell.trainable_params())),
    "optimizer before": lambda model, make: nn.TrainOneStepCell(Wrapped(model), make(model.trainable_params())),
    "optimizer alone": lambda model, make: make(model.trainable_params()),
    "step": lambda model, make: Step(model, make(model.trainable_params())),
    "cell in a step": lambda model, make: Step(cell := Wrapped(model), make(cell.trainable_params())),
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_load_strips_names_of_cells_around_a_model(wrapping, trainable, saved, values, tiny, assert_same):
    before = values(trainable)
    # evaluated from left to right, as a user would write it
    path = saved(WRAPPINGS[wrapping](trainable, nn.AdamWeightDecay))
    assert_same(values(tiny(checkpoint_path=path)), before)


@pytest.mark.parametrize("name", VARIANTS)
def test_split_parts_takes_no_convit_weight_for_a_slot(name, golden):
    """No weight's name ends with another's, in PyTorch's and in MindCV's names."""
    original = {key: np.empty(shape, bool) for key, shape in golden.facts("manifest")[name]["shapes"].items()}
    for arrays in (original, weights.to_mindcv(original)):
        slots = {f"moments.{key}": array for key, array in arrays.items()}
        parts = split_parts({**arrays, **slots, "global_step": np.ones(1, np.int32)})
        assert parts.weights.keys() == arrays.keys()
        assert parts.optimizer == slots.keys()


def test_split_parts_names_that_resemble_slots_stay_weights():
    """Parameters whose names end with other names, and trained parameters of one dimension."""
    names = ["norm.gamma", "pre_norm.gamma", "patch.norm.gamma", "patch.proj.weight", "scale", "fc.weight"]
    arrays = {name: np.ones(2, np.float32) for name in names}
    frozen = {"backbone.conv.weight": np.ones(2), "backbone.fc.weight": np.ones(2)}
    slots = {f"moments.{name}": array for name, array in arrays.items()}
    parts = split_parts({**arrays, **frozen, **slots, "global_step": np.ones(1, np.int32), "lr": np.ones(3)})
    assert parts.weights.keys() == arrays.keys() | frozen.keys()
    assert (parts.optimizer, parts.run) == (slots.keys(), {"global_step", "lr"})


def test_weights_of_file_without_counters_has_no_slots():
    arrays = {"norm.gamma": np.ones(2), "pre_norm.gamma": np.ones(2), "scale": np.ones(1)}
    assert weights_of(arrays).keys() == arrays.keys()


def test_split_parts_known_names_are_weights():
    arrays = {"scale": np.ones(1), "steps": np.ones(1, np.int32), "backbone.fc.weight": np.ones(2)}
    assert split_parts(arrays, known=arrays).weights.keys() == arrays.keys()
    assert split_parts(arrays, known=["scale"]).weights.keys() == {"scale", "backbone.fc.weight"}


def test_split_split_parts_this_projects_training_checkpoint():
    one = np.ones(1)
    contents = {
        "norm.gamma": one, "ema.norm.gamma": 2 * one, "optimizer.exp_avg.norm.gamma": one, "optimizer.step": one,
        "run.step": one, "run.grid": one,
    }  # fmt: skip
    assert weights_of(contents) == {"norm.gamma": one}
    assert weights_of(contents, ema=True) == {"norm.gamma": 2}
    parts = split_parts(contents)
    assert (len(parts.optimizer), len(parts.run), parts.num_foreign()) == (2, 2, 0)
    with pytest.raises(ValueError, match="no moving averages"):
        weights_of({"norm.gamma": one}, ema=True)
    with pytest.raises(ValueError, match=r"no weights, but moving averages \(1 tensors\), run state \(1 tensors\)"):
        weights_of({"ema.norm.gamma": one, "run.step": one})


@pytest.mark.parametrize("wrapper", ["", "model.", "state_dict.", "state_dict.model."])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_weights_of_strips_wrappers_and_prefixes(wrapper, prefix):
    names = ("cls_token", "module_norm.weight", "head.bias")
    contents = {f"{wrapper}{prefix}{name}": np.ones(1) for name in names}
    others = {"optimizer.state.0.exp_avg": np.ones(1), "lr_scheduler.last": np.ones(1)} if wrapper else {}
    assert weights_of({**contents, **others}).keys() == {*names}


@pytest.mark.parametrize(
    "prefix",
    [
        "backbone.",
        "network.",
        "0.",
        "_orig_mod.module.",
        "module.0.backbone.",
        "state_dict.model.net.",
        "model.module.",
    ],
)
@pytest.mark.parametrize("head", ["", "prefixed"])
def test_load_strips_any_prefix_and_keeps_a_head_outside(prefix, head, tiny, values, assert_same, tmp_path):
    expected = values(tiny())
    wrapper = "state_dict." if prefix.startswith("state_dict.") else "model." if prefix.startswith("model.") else ""
    outside = (wrapper, prefix)[head == "prefixed"]
    renamed = {
        (outside if name.startswith("head.") else prefix) + name: a for name, a in weights.to_pytorch(expected).items()
    }
    weights.write(tmp_path / "a.ckpt", renamed)
    assert_same(values(tiny(checkpoint_path=str(tmp_path / "a.ckpt"))), expected)
    assert classes_in(tmp_path / "a.ckpt").count == 3


def test_weights_of_pytorch_averages_leaves_out_the_counter(tiny, values):
    averages = {f"model_ema.module.{name}": a for name, a in weights.to_pytorch(values(tiny())).items()}
    found = weights_of({**averages, "model_ema.n_averaged": np.array(3)}, ema=True)
    assert found.keys() == weights.to_pytorch(values(tiny())).keys()


def test_load_weights_under_two_prefixes_is_refused(tiny, values, tmp_path):
    arrays = values(tiny())
    twice = {f"{prefix}{name}": array for prefix in ("student.", "teacher.") for name, array in arrays.items()}
    weights.write(tmp_path / "a.ckpt", twice)
    with pytest.raises(ValueError, match=r"a.ckpt: the weights may be under 'student\.' or 'teacher\.': save"):
        tiny(checkpoint_path=str(tmp_path / "a.ckpt"))


def test_load_model_with_its_own_prefixes_keeps_them(trainable, saved, tiny, values, assert_same):
    model, other = Wrapped(trainable), Wrapped(tiny())
    weights.load(other, saved(model))
    assert_same(values(other), values(model))


def test_load_optimizer_state_without_weights_is_refused(tmp_path, tiny):
    weights.write(tmp_path / "a.ckpt", {"optimizer.global_step": np.ones(1, np.int32), "run.epoch": np.ones(1)})
    with pytest.raises(ValueError, match=r"no weights, but optimizer state \(1 tensors\), run state \(1 tensors\)"):
        mindcv.create_model("convit_tiny", checkpoint_path=str(tmp_path / "a.ckpt"), **TINY)
