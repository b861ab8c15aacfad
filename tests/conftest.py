"""Fixtures of all tests."""

import json
import logging
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor
from mindspore.common.initializer import TruncatedNormal
from PIL import Image

import mindcv
from mindcv.cli import scripts
from mindcv.device import synchronize_pynative_on_cpu
from tests.golden import rule
from tests.shallow.model import make_shallow

GOLDEN = Path(__file__).parent / "golden"


SLOWEST = [  # files, the slowest first; those whose workers take all cores (`all_cores`) alternate with others
    "faults/test_two_workers.py", "models/test_convit.py", "faults/test_two_machines.py", "models/test_golden.py",
    "distributed/test_context.py", "faults/test_kills.py", "models/test_precision.py",
    "deploy/test_exporting.py", "e2e/test_scripts.py", "engine/test_step.py", "engine/test_trajectory.py",
    "documents/test_notebooks.py", "loss/test_cross_entropy.py", "e2e/test_cost_and_figures.py",
    "engine/test_options_act.py", "insight/test_maps.py", "engine/test_recompute.py", "faults/test_bad_input.py",
    "e2e/test_resume.py", "distributed/test_launcher.py", "engine/test_validation.py",
]  # fmt: skip
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def pytest_configure():
    """Pin each of several parallel test processes to cores of its own, and keep no compiled graphs.

    A MindSpore process spins on all the cores that it sees: two small runs in parallel took three times as long as one.
    """
    os.environ["MS_COMPILER_CACHE_ENABLE"] = "0"
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker and CORES:
        first, step = int(worker.removeprefix("gw")) % len(CORES), int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
        os.sched_setaffinity(0, CORES[first::step])


def pytest_collection_modifyitems(items):
    """Run the slowest files first, so that parallel processes end together."""
    order = {name: place for place, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: order.get(item.path.relative_to(GOLDEN.parent).as_posix(), len(order)))


@pytest.fixture(scope="module")
def all_cores():
    """Give the module's processes all cores: workers that train together spin while they wait for each other."""
    own = os.sched_getaffinity(0) if CORES else None
    if CORES:
        os.sched_setaffinity(0, CORES)
    yield
    if CORES:
        os.sched_setaffinity(0, own)


@pytest.fixture(scope="session")
def golden():
    """Return the reference figures: `golden.array(name)` reads an .npz file, `golden.facts(name)` a JSON file."""
    return SimpleNamespace(
        array=lambda name: np.load(GOLDEN / f"{name}.npz"),
        facts=lambda name: json.loads((GOLDEN / f"{name}.json").read_text()),
    )


@pytest.fixture(scope="session", autouse=True)
def pynative_in_turn():
    synchronize_pynative_on_cpu()


@pytest.fixture(scope="module")
def shallow_tiny():
    """Give convit_tiny two blocks in place of twelve, until the module's tests end."""
    with pytest.MonkeyPatch.context() as patch:
        make_shallow(patch.setitem)
        yield


@pytest.fixture
def graph_mode():
    ms.set_context(mode=ms.GRAPH_MODE)


@pytest.fixture
def pynative():
    """PyNative mode, until the test ends."""
    before = ms.get_context("mode")
    ms.set_context(mode=ms.PYNATIVE_MODE)
    yield
    ms.set_context(mode=before)


@pytest.fixture(params=[ms.GRAPH_MODE, ms.PYNATIVE_MODE], ids=["graph", "pynative"])
def both_modes(request):
    ms.set_context(mode=request.param)


# For a test whose graph is compiled elsewhere too: with `both_modes`, its graph form runs with the long forms only.
slow_in_graph_mode = pytest.mark.parametrize(
    "both_modes",
    [pytest.param(ms.GRAPH_MODE, id="graph", marks=pytest.mark.slow), pytest.param(ms.PYNATIVE_MODE, id="pynative")],
    indirect=True,
)


@pytest.fixture
def undrawn_weights(monkeypatch):
    """Leave new models' random weights undrawn: drawing them takes most of the time to create a model."""
    monkeypatch.setattr(TruncatedNormal, "_initialize", lambda self, array: None)


@pytest.fixture
def golden_model(golden, undrawn_weights):
    """Return a function that builds a model of the given name with its golden weights."""

    def build(name, **kwargs):
        model = mindcv.create_model(name, **kwargs)
        weights = rule.mindcv_weights(golden.facts("manifest")[name])
        for parameter in model.get_parameters():
            parameter.set_data(Tensor(weights[parameter.name]))
        return model

    return build


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """A folder of five image files of several sizes, formats and colour modes, one with an EXIF orientation."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)

    def pixels(height, width, channels):
        coarse = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, channels), np.uint8)
        return np.kron(coarse, np.ones((8, 8, 1), np.uint8))[:height, :width]

    Image.fromarray(pixels(70, 50, 3)).save(folder / "a.jpg")
    Image.fromarray(pixels(33, 91, 3)).save(folder / "b.png")
    Image.fromarray(pixels(40, 40, 4), "RGBA").save(folder / "c.png")
    Image.fromarray(pixels(64, 48, 1)[..., 0]).save(folder / "d.bmp")
    rotated = Image.fromarray(pixels(60, 80, 3))
    exif = rotated.getexif()
    exif[0x0112] = 6
    rotated.save(folder / "e.jpg", exif=exif)
    return folder


@pytest.fixture
def run_in_process(monkeypatch, capfd):
    """Return a function that runs a script such as "train" in this process, without starting an interpreter.

    It returns what `subprocess.run` returns: `returncode`, `stdout` and `stderr`.
    """
    monkeypatch.setattr(scripts, "install_signal_handlers", lambda **_: None)
    monkeypatch.setenv("GLOG_v", "4")

    def run(name, *words):
        words = list(map(str, words))
        handlers, logging.root.handlers = logging.root.handlers, []  # so that the script's own handler is installed
        capfd.readouterr()
        try:
            code = scripts.run_script(name, "", words)
        except SystemExit as end:
            code = end.code
        finally:
            logging.root.handlers = handlers
        return subprocess.CompletedProcess(words, code, *capfd.readouterr())

    return run
