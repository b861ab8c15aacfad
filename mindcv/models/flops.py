"""Count a model's floating-point operations."""

import math

from mindcv.models.family import part_of


def count_flops(model) -> int:
    """Return the floating-point operations of `model`'s forward pass for one image, in evaluation.

    Only matrix products are counted, with 2 operations per multiplication and addition: half the count is what papers
    and timm call MACs, and often FLOPs. Elementwise operations (norms, softmax, GELU, mixing) add a few per cent. GPSA
    is counted in the form of the model's `attn_impl`, and in the last block only the class token's output is, since the
    others are not computed. A training step takes about three times as many operations per image.

    Raises:
        TypeError: The model's family does not count them.
    """
    return sum(flops_by_layer(model).values())


def flops_by_layer(model) -> dict[str, int]:
    """Return the parts of `count_flops` by layer: "patch_embed", "blocks.0", …, and "classifier" if there is one.

    The order is that of the forward pass; layers without matrix products, such as "norm", are left out.
    """
    return part_of(model, "flops_by_layer", "count of FLOPs")(model)


def transformer_flops(model, blocks: list[int]) -> dict[str, int]:
    """Return the FLOPs by layer of a transformer on patches, see `flops_by_layer`.

    Args:
        model: Has `grid_size`, `patch_embed`, `num_classes` and a linear `classifier`.
        blocks: Multiplications of the products of each block.
    """
    products = {"patch_embed": math.prod(model.grid_size) * model.patch_embed.proj.weight.size}
    products |= {f"blocks.{i}": count for i, count in enumerate(blocks)}
    if model.num_classes:
        products["classifier"] = model.classifier.weight.size
    return {layer: 2 * count for layer, count in products.items()}


def block_products(block, keys: int, queries: int) -> int:
    """Return the multiplications (half the FLOPs) of a transformer block's matrix products for one image.

    Args:
        block: The block, of attention `attn` with projections q, k, v and proj, and a perceptron `mlp`.
        keys: Number of its input tokens.
        queries: Number of the output tokens that are computed.
    """
    attn, mlp = block.attn, block.mlp
    dim = attn.proj.weight.shape[0]
    by_query = attn.q.weight.size + attn.proj.weight.size + mlp.fc1.weight.size + mlp.fc2.weight.size
    by_key = attn.k.weight.size + attn.v.weight.size
    attention = 2 * queries * keys * dim  # the scores, and the product of the map with the values
    return queries * by_query + keys * by_key + attention
