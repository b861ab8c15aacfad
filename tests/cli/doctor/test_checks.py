"""The checks of `mindcv doctor` that find a fault, with stand-ins for what is at fault."""

from types import SimpleNamespace

import numpy as np
import pytest
from mindspore import Tensor

from mindcv.cli.doctor import checks
from mindcv.cli.doctor.result import Skipped
from mindcv.config import resolve

CPU = resolve(["--device_target", "CPU", "--batch_size", "2"])
ASCEND = resolve(["--device_target", "Ascend"])


@pytest.fixture(autouse=True)
def _any_device(monkeypatch):
    monkeypatch.setattr(checks.device, "set_up", lambda *_: None)


@pytest.fixture
def model(golden, monkeypatch):
    """Return a function that replaces the model by one whose logits are the golden ones times a factor."""

    class Model:
        def __init__(self, factor):
            self.logits = Tensor((golden.array("convit_tiny")["logits"] * factor).astype(np.float32))

        def get_parameters(self):
            return []

        def __call__(self, _images):
            return self.logits

    return lambda factor: monkeypatch.setattr(checks, "create_model", lambda _name: Model(factor))


@pytest.mark.parametrize(
    ("config", "factor", "message"),
    [
        (CPU, 1 + 2e-5, "the relative error is 2.0e-05, wanted below 1e-05"),
        (ASCEND, 1.02, "the relative error is 2.0e-02, wanted below 1e-02"),
        (CPU, np.nan, "the relative error is nan, wanted below 1e-05"),
    ],
)
def test_golden_logits_that_differ_are_a_failure(config, factor, message, model):
    model(factor)
    with pytest.raises(RuntimeError, match=message):
        checks.golden_pynative(config)


def test_golden_logits_with_the_error_of_half_precision_pass_on_an_accelerator(model):
    model(1.002)
    assert checks.golden_graph(ASCEND)[0] == "relative error 2.0e-03"


def test_loss_that_is_not_finite_is_a_failure(monkeypatch):
    monkeypatch.setattr(checks, "training_step", lambda _config: lambda _images, _labels: Tensor(np.float32("nan")))
    with pytest.raises(RuntimeError, match=r"the losses of the steps are \[nan, nan"):
        checks.train_graph(CPU)


def test_default_batch_size_depends_on_the_device(monkeypatch):
    sizes = []
    monkeypatch.setattr(checks, "training_step", lambda _config: None)
    monkeypatch.setattr(checks, "measure", lambda _config, _step, batch_sizes: sizes.extend(batch_sizes) or iter([]))
    for config in (CPU, resolve(["--device_target", "CPU"]), ASCEND):
        with pytest.raises(StopIteration):
            checks.train_pynative(config)
    assert sizes == [2, 8, 64]


def test_device_of_an_accelerator_is_described_by_its_properties(monkeypatch):
    properties = SimpleNamespace(name="Ascend910B2", total_memory=64 * 10**9, free_memory=60 * 10**9)
    monkeypatch.setattr(checks.ms, "hal", SimpleNamespace(
        device_count=lambda _target: 8, get_device_properties=lambda _number, _target: properties,
    ))  # fmt: skip
    monkeypatch.setattr(checks, "ascend_soc_version", lambda: "ascend910b")
    text, figures = checks.find_device(ASCEND)
    assert text == "Ascend: Ascend910B2, 8 devices, 64.0 GB"
    assert (figures["soc_version"], figures["free_memory"]) == ("ascend910b", 60 * 10**9)


def test_collective_with_one_device_is_skipped(monkeypatch):
    monkeypatch.setattr(checks.ms, "hal", SimpleNamespace(device_count=lambda _target: 1))
    with pytest.raises(Skipped, match="there is one device"):
        checks.collective(ASCEND)


RIGHT = '{"verdict": "ok", "figures": {"bytes": 4000000, "milliseconds": 2.5}}\n'
WRONG = '{"verdict": "FAILED", "reason": "the sum of the workers\' numbers is 1.0 to 1.0, wanted 3.0"}\n'


@pytest.mark.parametrize(
    ("lines", "code", "message"),
    [
        (RIGHT + WRONG, 1, r"the sum of the workers' numbers is 1\.0 to 1\.0, wanted 3\.0"),
        (RIGHT, 0, "the two workers ended with exit code 0"),
        ("", 139, "the two workers ended with exit code 139"),
    ],
)
def test_collective_of_which_a_worker_fails_is_a_failure(lines, code, message, monkeypatch):
    def run_workers(_config, _prog, words, *_):
        checks.Path(words[0]).write_text(lines)
        return code

    monkeypatch.setattr(checks, "run_workers", run_workers)
    with pytest.raises(RuntimeError, match=message):
        checks.collective(CPU)


def test_all_reduce_with_a_wrong_sum_is_a_failure(monkeypatch):
    monkeypatch.setattr(checks, "init_distributed", lambda _config: SimpleNamespace(rank=0, size=2))
    monkeypatch.setattr(checks.ops, "AllReduce", lambda: lambda values: values)
    with pytest.raises(RuntimeError, match=r"is 1\.0 to 1\.0, wanted 3\.0"):
        checks.all_reduce(CPU)
