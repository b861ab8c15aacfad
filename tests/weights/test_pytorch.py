"""PyTorch's own files, if PyTorch is installed."""

import argparse

import numpy as np
import pytest

import mindcv
from mindcv import weights

torch = pytest.importorskip("torch", reason="PyTorch is not installed: its .pth files cannot be tested")


@pytest.fixture
def state(tiny, values):
    arrays = weights.to_pytorch(values(tiny()))
    return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}


WRAPPED = {
    "plain": lambda state: state,
    "model": lambda state: {"model": state, "epoch": 3, "args": argparse.Namespace(lr=0.1)},
    "state_dict": lambda state: {"state_dict": state, "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}}},
    "module": lambda state: {"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}},
    "parameters": lambda state: {name: torch.nn.Parameter(tensor) for name, tensor in state.items()},
}


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("wrapped", list(WRAPPED))
def test_load_pth_with_every_wrapper(wrapped, legacy, state, tiny, values, assert_same, tmp_path):
    path = tmp_path / "a.pth"
    torch.save(WRAPPED[wrapped](state), path, _use_new_zipfile_serialization=not legacy)
    model = tiny(checkpoint_path=str(path))
    assert_same(values(model), weights.to_mindcv({name: tensor.numpy() for name, tensor in state.items()}))


def test_load_pth_ema_takes_averages(state, tiny, values, assert_same, tmp_path):
    averages = {name: tensor + 1 for name, tensor in state.items()}
    for wrapper in ("model", "state_dict"):
        suffix = "model_ema" if wrapper == "model" else "state_dict_ema"
        torch.save({wrapper: state, suffix: averages}, tmp_path / "a.pth")
        model = tiny(checkpoint_path=str(tmp_path / "a.pth"), ema=True)
        assert_same(values(model), weights.to_mindcv({name: tensor.numpy() for name, tensor in averages.items()}))


def test_read_pth_bfloat16_becomes_float32(tmp_path):
    torch.save({"w": torch.tensor([1.0, -2.5], dtype=torch.bfloat16)}, tmp_path / "a.pth")
    found = weights.read(tmp_path / "a.pth")["w"]
    assert found.tolist() == [1.0, -2.5]
    assert found.flags.aligned


def test_write_safetensors_is_read_by_pytorch(state, tmp_path):
    """The names, shapes and values are those of the PyTorch model."""
    import safetensors.torch

    weights.write(tmp_path / "a.safetensors", {name: tensor.numpy() for name, tensor in state.items()})
    found = safetensors.torch.load_file(tmp_path / "a.safetensors")
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in state.items())


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_read_damaged_pth_raises(legacy, tmp_path):
    torch.save({"w": torch.arange(1000.0)}, tmp_path / "a.pth", _use_new_zipfile_serialization=not legacy)
    intact = (tmp_path / "a.pth").read_bytes()
    for size in (10, len(intact) // 2, len(intact) - 30):
        (tmp_path / "cut.pth").write_bytes(intact[:size])
        with pytest.raises(ValueError, match=r"cut.pth"):
            weights.read(tmp_path / "cut.pth")
    if not legacy:
        at = intact.index(np.arange(1000, dtype=np.float32).tobytes()) + 400
        (tmp_path / "flipped.pth").write_bytes(bytes([*intact[:at], intact[at] ^ 1, *intact[at + 1 :]]))
        with pytest.raises(ValueError, match=r"flipped.pth.*CRC"):
            weights.read(tmp_path / "flipped.pth")


def test_load_pth_of_a_module_is_refused(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"more than tensors.*state_dict\(\)"):
        mindcv.create_model("convit_tiny", checkpoint_path=str(tmp_path / "a.pth"))
