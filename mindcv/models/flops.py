"""Count a ConViT's floating-point operations."""

import math

from mindspore import nn

from mindcv.models.convit import GPSA, Block, ConViT


def count_flops(model: ConViT) -> int:
    """Return the floating-point operations of `model`'s forward pass for one image, in evaluation.

    Only matrix products are counted, with 2 operations per multiplication and addition: half the count is what papers
    and timm call MACs, and often FLOPs. Elementwise operations (norms, softmax, GELU, mixing) add a few per cent. GPSA
    is counted in the form of the model's `attn_impl`, and in the last block only the class token's output is, since the
    others are not computed. A training step takes about three times as many operations per image.
    """
    return sum(flops_by_layer(model).values())


def flops_by_layer(model: ConViT) -> dict[str, int]:
    """Return the parts of `count_flops` by layer: "patch_embed", "blocks.0", …, and "classifier" if there is one.

    The order is that of the forward pass; layers without matrix products, such as "norm", are left out.
    """
    patches = math.prod(model.grid_size)
    products = {"patch_embed": patches * model.patch_embed.proj.weight.size}
    for i, block in enumerate(model.blocks):
        keys = patches + (i >= model.local_up_to_layer)
        products[f"blocks.{i}"] = _products(block, keys, queries=1 if i == len(model.blocks) - 1 else keys)
    if isinstance(model.classifier, nn.Dense):
        products["classifier"] = model.classifier.weight.size
    return {layer: 2 * count for layer, count in products.items()}


def _products(block: Block, keys: int, queries: int) -> int:
    """Return the multiplications (half the FLOPs) of a block's matrix products for one image.

    Args:
        block: The block.
        keys: Number of its input tokens.
        queries: Number of the output tokens that are computed.
    """
    attn, mlp = block.attn, block.mlp
    dim = attn.proj.weight.shape[0]
    by_query = attn.q.weight.size + attn.proj.weight.size + mlp.fc1.weight.size + mlp.fc2.weight.size
    by_key = attn.k.weight.size + attn.v.weight.size
    attention = 2 * queries * keys * dim  # the scores, and the product of the map with the values
    if isinstance(attn, GPSA) and attn.separable:
        attention += keys * sum(attn.grid_size) * dim  # A_y over rows and A_x over columns
    return queries * by_query + keys * by_key + attention
