"""Compute the cost of a training step on Ascends from shapes and dtypes; nothing is measured.

    python benchmarks/ascend.py

The tables have a row for the recipe of each model: float16 under O2, AdamW, `batch_size` images of 224 pixels per
device. The first has the cost of a step, the second its lower bounds in time beside the model card's seconds per epoch.
"""

import math
import sys
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from mindcv.config import parse
from mindcv.models import ConViT, create_model
from mindcv.models.flops import count_flops

RECIPES = Path(__file__).parents[1] / "configs/convit"
MODELS = [f"convit_{size}{plus}" for size in ("tiny", "small", "base") for plus in ("", "_plus")]
HALF, FULL = 2, 4  # bytes of a float16 and a float32
IMAGES, HOST = 1_281_167, 8  # training images of ImageNet-1K, and devices of one host
CARD = dict(zip(MODELS, (243, 246, 491, 557, 880, 1031), strict=True))  # seconds per epoch on 8 Ascend 910


class Device(NamedTuple):
    """Published peaks of a device.

    Attributes:
        flops: float16 operations per second of the matrix unit.
        memory: Bytes per second of the memory.
        link: Bytes per second to the other devices of the host, all links together.
        network: Bytes per second to other hosts.
    """

    flops: float
    memory: float
    link: float
    network: float


ASCEND_910 = Device(256e12, 1.2e12, 90e9, 12.5e9)
ASCEND_910B = Device(320e12, 1.6e12, 392e9, 25e9)
HEAD = """\
| model | parameters (M) | images | TFLOP a step | ms at the peak | activations (GB): plain | separable | flash | \
weights, gradients, AdamW (GB) |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"""
TIME_HEAD = """\
| model | the card's step (ms) | images/s of a host | of the peak (%) | of memory's peak (%) | bound on a 910 (ms) | \
on a 910B | with flash | gradients (MB) | all-reduce (ms): 8 devices | 64 | 512 |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"""


def activation_bytes(model: ConViT, batch: int, attn_impl: str) -> int:
    """Return the bytes of the activations that a training step without recomputation keeps for the blocks' gradients.

    Each tensor counts once, with its dtype under O2: float32 for the input of LayerNorm and the output of softmax,
    float16 otherwise. Dropout, stochastic depth, the statistics of the norms, the patch embedding and the classifier do
    not count.

    Args:
        model: The model.
        batch: Number of images.
        attn_impl: "plain", "separable" or "flash".
    """
    total = 0
    for i, block in enumerate(model.blocks):
        local = i < model.local_up_to_layer
        keys = math.prod(model.grid_size) + (not local)
        queries = 1 if i == len(model.blocks) - 1 else keys
        dim, heads = model.num_features, block.attn.num_heads
        hidden = block.mlp.fc1.weight.shape[0]
        norms = (keys + queries) * dim * (FULL + HALF)  # input and output of both
        projections = (2 * keys + 2 * queries) * dim * HALF  # k and v, q and the attended values
        mlp = 2 * queries * hidden * HALF  # before and after GELU
        maps = heads * queries * keys * (FULL + HALF)  # output of softmax, and operand of the product with v
        if attn_impl == "flash":
            maps = 2 * heads * queries * 8 * FULL  # the kernel's row maxima and sums, each repeated 8 times
        position = 0
        if local and attn_impl != "plain":
            position = 3 * keys * dim * HALF  # values after the row softmax, and both halves for the gate
        elif local:
            total += heads * keys * keys * FULL  # one map for all images
        total += batch * (norms + projections + mlp + maps + position)
    return total


def memory_traffic(model: ConViT, batch: int, attn_impl: str) -> float:
    """Return the bytes that a training step reads and writes at least.

    Each kept activation is written once and read twice, by the next operation and by the backward pass, where its
    gradient is written and read. AdamW reads gradient, weight and both moments, and writes the last three.

    Args:
        model: The model.
        batch: Number of images.
        attn_impl: "plain", "separable" or "flash".
    """
    parameters = sum(p.size for p in model.get_parameters())
    return 5 * activation_bytes(model, batch, attn_impl) + 7 * FULL * parameters


def all_reduce_seconds(size: float, devices: int, device: Device) -> float:
    """Return the seconds in which `size` bytes are averaged over the devices, without overlap with other work.

    The devices of a host first sum a share of the bytes each, then exchange their shares with the other hosts, and then
    with each other. Each sends and receives (n - 1) / n of what it averages over n.
    """
    hosts = devices // HOST
    within = 2 * size * (HOST - 1) / HOST / device.link
    return within + 2 * size / HOST * (hosts - 1) / hosts / device.network


def row(name: str) -> str:
    """Return the Markdown table row of the cost of a step of the model `name`."""
    batch, model, parameters = _recipe(name)
    flops = 3 * batch * count_flops(model)
    activations = [activation_bytes(model, batch, impl) for impl in ("plain", "separable", "flash")]
    kept = " | ".join(f"{size / 1e9:.1f}" for size in activations)
    return (
        f"| {name} | {parameters / 1e6:.2f} | {batch} | {flops / 1e12:.2f} | {1e3 * flops / ASCEND_910.flops:.0f} "
        f"| {kept} | {4 * FULL * parameters / 1e9:.2f} |"
    )


def time_row(name: str) -> str:
    """Return the Markdown table row of the time of a step of the model `name`: the card's, and lower bounds."""
    batch, model, parameters = _recipe(name)
    seconds = CARD[name] / (IMAGES // (HOST * batch))
    flops = 3 * batch * count_flops(model)

    def bound(device: Device, impl: str) -> float:
        return max(flops / device.flops, memory_traffic(model, batch, impl) / device.memory)

    bounds = [bound(ASCEND_910, "separable"), bound(ASCEND_910B, "separable"), bound(ASCEND_910B, "flash")]
    reductions = [all_reduce_seconds(FULL * parameters, n, ASCEND_910) for n in (8, 64, 512)]
    used = flops / seconds / ASCEND_910.flops, memory_traffic(model, batch, "plain") / seconds / ASCEND_910.memory
    figures = [
        f"{1e3 * seconds:.0f}",
        f"{HOST * batch / seconds:,.0f}",
        *(f"{100 * part:.0f}" for part in used),
        *(f"{1e3 * time:.0f}" for time in bounds),
        f"{FULL * parameters / 1e6:.0f}",
        *(f"{1e3 * time:.1f}" for time in reductions),
    ]
    return f"| {name} | " + " | ".join(figures) + " |"


def _recipe(name: str) -> tuple[int, ConViT, int]:
    """Return the images per device of the recipe of the model `name`, the model, and its number of parameters."""
    batch = parse(["-c", str(RECIPES / f"{name}_ascend.yaml")], prog="train.py").batch_size
    model = create_model(name)
    return batch, model, sum(p.size for p in model.get_parameters())


if __name__ == "__main__":
    for head, make_row in ((HEAD, row), (TIME_HEAD, time_row)):
        print(head)
        for name in MODELS:
            print(make_row(name), flush=True)
        print()
