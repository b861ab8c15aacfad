"""Compute the cost of a training step on one Ascend 910 from shapes and dtypes; nothing is measured.

    python benchmarks/ascend.py

The table has a row for the recipe of each model: float16 under O2, AdamW, `batch_size` images of 224 pixels per device.
"""

import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from mindcv.config import parse
from mindcv.models import ConViT, create_model
from mindcv.models.flops import count_flops

RECIPES = Path(__file__).parents[1] / "configs/convit"
MODELS = [f"convit_{size}{plus}" for size in ("tiny", "small", "base") for plus in ("", "_plus")]
PEAK = 256e12  # float16 operations per second of a 910's matrix unit
HALF, FULL = 2, 4  # bytes of a float16 and a float32
HEAD = """\
| model | parameters (M) | images | TFLOP a step | ms at the peak | activations (GB): plain | separable | flash | \
weights, gradients, AdamW (GB) |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"""


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


def row(name: str) -> str:
    """Return the Markdown table row of the model `name`."""
    batch = parse(["-c", str(RECIPES / f"{name}_ascend.yaml")], prog="train.py").batch_size
    model = create_model(name)
    parameters = sum(p.size for p in model.get_parameters())
    flops = 3 * batch * count_flops(model)
    activations = [activation_bytes(model, batch, impl) for impl in ("plain", "separable", "flash")]
    kept = " | ".join(f"{size / 1e9:.1f}" for size in activations)
    return (
        f"| {name} | {parameters / 1e6:.2f} | {batch} | {flops / 1e12:.2f} | {1e3 * flops / PEAK:.0f} | {kept} "
        f"| {4 * FULL * parameters / 1e9:.2f} |"
    )


if __name__ == "__main__":
    print(HEAD)
    for name in MODELS:
        print(row(name), flush=True)
