"""One step of the paper's ablations on a CPU, in small models; they are not measured here."""

from pathlib import Path

import numpy as np
import pytest

from mindcv.cli.scripts import run_script
from mindcv.config import resolve
from mindcv.config.option_types import show
from mindcv.weights import read

RECIPES = sorted((Path(__file__).parents[2] / "configs/convit/ablations").glob("*.yaml"))
QUICK = {"no_gating", "no_conv_init", "deit_small_plus"}
HERE = [
    "--device_target", "CPU", "--mode", "1", "--distribute", "False", "--dataset", "digits", "--num_classes", "10",
    "--image_resize", "32", "--num_samples", "4", "--sampling_ratio", "1", "--batch_size", "2", "--lr_base_batch", "2",
    "--steps", "1", "--num_parallel_workers", "1", "--log_gates", "False", "--amp_level", "O0",
    "--loss_scale_type", "fixed", "--warmup_factor", "1", "--drop_path_rate", "0",
]  # fmt: skip
SMALL = {"embed_dim": 32, "num_heads": 2}


@pytest.fixture
def step(tmp_path):
    """Return a function that trains a recipe's small model for one step, and returns options, weights and changes."""

    def make(path):
        config = resolve(["-c", str(path)])
        arguments = {**(config.model_args or {}), **SMALL}
        if config.model.startswith("convit"):
            arguments.setdefault("local_up_to_layer", 1)
        arguments["depth"] = 1 + arguments.get("local_up_to_layer", 1)
        words = ["-c", str(path), *HERE, "--ckpt_save_dir", str(tmp_path), "--model_args", *show(arguments).split()]
        assert run_script("train", "Train.", words) == 0
        arrays = read(tmp_path / f"{config.model}-1_1.ckpt")
        return config, arrays

    return make


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=path.stem, marks=() if path.stem in QUICK else pytest.mark.slow) for path in RECIPES],
)
def test_ablation_makes_a_step(path, step):
    config, arrays = step(path)
    arguments, frozen = config.model_args or {}, config.freeze or ()
    gates = [array for name, array in arrays.items() if name.endswith(".gating_param") and name.startswith("blocks")]
    values = [arrays[f"blocks.{i}.attn.v.weight"] for i in range(len(gates))]
    assert len(gates) == (arguments.get("local_up_to_layer", 1) if config.model.startswith("convit") else 0)
    start = arguments.get("gate_init", 1)
    assert all((gate == start).all() == ("gates" in frozen or "gpsa" in frozen) for gate in gates)
    near_identity = [np.allclose(value, np.eye(32), atol=0.01) for value in values]
    assert near_identity == [arguments.get("conv_init", True)] * len(values)
    assert all(
        (value == np.eye(32)).all() == ("gpsa" in frozen) for value in values if arguments.get("conv_init", True)
    )
