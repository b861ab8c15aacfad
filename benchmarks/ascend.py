"""What a training step takes on an Ascend 910: computed from shapes and types, measured nowhere.

    python benchmarks/ascend.py

One device's share of a step of each recipe: float16 under O2, AdamW, `batch_size` images of 224 pixels.
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
PEAK = 256e12  # of a 910's matrix unit in float16, a second
HALF, FULL = 2, 4
HEAD = """\
| model | parameters (M) | images | TFLOP a step | ms at the peak | activations (GB): plain | separable | flash | \
weights, gradients, AdamW (GB) |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"""


def activation_bytes(model: ConViT, batch: int, attn_impl: str) -> int:
    """Bytes of what the blocks' gradients read, each tensor once: what a step without recomputation keeps.

    Counted as the code keeps it under O2: what LayerNorm reads and softmax gives in float32, all else in float16.
    Dropout, stochastic depth's factors and the statistics of norms are left out; so are patches and classifier.
    """
    total = 0
    for i, block in enumerate(model.blocks):
        local = i < model.local_up_to_layer
        keys = math.prod(model.grid_size) + (not local)
        queries = 1 if i == len(model.blocks) - 1 else keys
        dim, heads = model.num_features, block.attn.num_heads
        hidden = block.mlp.fc1.weight.shape[0]
        norms = (keys + queries) * dim * (FULL + HALF)  # what each reads and gives
        projections = (2 * keys + 2 * queries) * dim * HALF  # k and v, q and what is gathered
        perceptron = 2 * queries * hidden * HALF  # before and after GELU
        maps = heads * queries * keys * (FULL + HALF)  # softmax's, and as an operand of the product with v
        if attn_impl == "flash":
            maps = 2 * heads * queries * 8 * FULL  # the kernel's maxima and sums, eight times each
        position = 0
        if local and attn_impl != "plain":
            position = 3 * keys * dim * HALF  # the values moved along rows, and both halves, for the gate
        elif local:
            total += heads * keys * keys * FULL  # one for all images
        total += batch * (norms + projections + perceptron + maps + position)
    return total


def row(name: str) -> str:
    """The table's line for the model `name`."""
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
