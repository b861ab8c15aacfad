"""How much arithmetic a ConViT is."""

import math

from mindspore import nn

from mindcv.models.convit import GPSA, Block, ConViT


def count_flops(model: ConViT) -> int:
    """Floating-point operations of one image's way through `model`, outside of training.

    Products of matrices are counted, a multiplication with its addition as 2: half of it is what papers and timm call
    MACs, and often FLOPs. What works number by number (norms, softmax, GELU, mixing) is not; it is a few per cent. The
    count is of what is computed here: GPSA in the form that the model has, and the class token's row alone of the last
    block. With its gradients, a training step's is about three times as much for every image.
    """
    return sum(flops_by_layer(model).values())


def flops_by_layer(model: ConViT) -> dict[str, int]:
    """The parts of `count_flops`, by the layer's name: "patch_embed", "blocks.0", …, and "classifier"."""
    patches = math.prod(model.grid_size)
    products = {"patch_embed": patches * model.patch_embed.proj.weight.size}
    for i, block in enumerate(model.blocks):
        keys = patches + (i >= model.local_up_to_layer)
        products[f"blocks.{i}"] = _products(block, keys, queries=1 if i == len(model.blocks) - 1 else keys)
    if isinstance(model.classifier, nn.Dense):
        products["classifier"] = model.classifier.weight.size
    return {layer: 2 * count for layer, count in products.items()}


def _products(block: Block, keys: int, queries: int) -> int:
    """Multiplications in a block's products, for `queries` of its `keys` tokens."""
    attn, mlp = block.attn, block.mlp
    dim = attn.proj.weight.shape[0]
    by_query = attn.q.weight.size + attn.proj.weight.size + mlp.fc1.weight.size + mlp.fc2.weight.size
    by_key = attn.k.weight.size + attn.v.weight.size
    attention = 2 * queries * keys * dim  # scores, and the values that they gather
    if isinstance(attn, GPSA) and attn.separable:
        attention += keys * sum(attn.grid_size) * dim  # the same of position, over rows and over columns
    return queries * by_query + keys * by_key + attention
