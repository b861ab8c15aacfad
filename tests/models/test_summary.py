"""`summary` and `repr` of a ConViT against the model itself."""

import re

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

import mindcv
from mindcv.models import ConViT, count_flops
from mindcv.models.flops import flops_by_layer

SMALL = {"num_heads": 4, "embed_dim": 16, "num_classes": 7, "patch_size": 4, "image_size": (8, 12)}


def rows(model):
    """Parse the table: (shape, parameters, FLOPs) by layer."""
    found = {}
    for line in mindcv.summary(model).splitlines()[2:]:
        if match := re.match(r"(\S+).*?(\(.*\))?\s+([\d,]+)\s+([\d,]+)$", line):
            found[match[1]] = (match[2], *(int(count.replace(",", "")) for count in match.groups()[2:]))
    return found


@pytest.mark.parametrize("arguments", [{}, {"local_up_to_layer": 0}, {"use_pos_embed": False, "num_classes": 0}])
def test_summary_rows_match_the_model(arguments):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    model = ConViT(**{**SMALL, "depth": 3, "local_up_to_layer": 2, **arguments})
    table = rows(model)
    *layers, (total, (_, parameters, flops)) = table.items()
    assert total == "total"
    assert parameters == sum(p.size for p in model.get_parameters()) == sum(row[1] for _, row in layers)
    assert flops == count_flops(model) == sum(row[2] for _, row in layers)
    assert ("pos_embed" in table, "classifier" in table) == (model.use_pos_embed, model.num_classes > 0)

    images = Tensor(np.zeros((2, 3, 8, 12), np.float32))
    shapes = {f"blocks.{i}": state.shape for i, state in enumerate(model.hidden_states(images, cls_token_only=True))}
    shapes |= {"patch_embed": model.embed(images).shape, "norm": model.forward_features(images).shape}
    if model.num_classes:
        shapes["classifier"] = model(images).shape
    for layer, shape in shapes.items():
        assert table[layer][0] == str(shape).replace("(2,", "(B,"), layer
    for layer, count in flops_by_layer(model).items():
        assert table[layer][2] == count
    block = [p.size for p in model.get_parameters() if p.name.startswith("blocks.1.")]
    assert table["blocks.1"][1] == sum(block)


def test_summary_lines_have_equal_width_and_fit_80_columns():
    lines = mindcv.summary(ConViT(**SMALL, depth=12, local_up_to_layer=10)).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert len(lines) == 1 + 1 + (1 + 1 + 12 + 1 + 1 + 1) + 1 + 1
    assert max(map(len, lines)) <= 80


def test_summary_of_another_model_raises():
    with pytest.raises(TypeError, match="got a Dense, which has no summary"):
        mindcv.summary(nn.Dense(2, 2))


def test_convit_repr_is_one_line():
    model = ConViT(**SMALL, depth=3, local_up_to_layer=2)
    size = sum(p.size for p in model.get_parameters())
    shape = "2 GPSA and 1 MHSA blocks, 4 heads of width 4, 8x12 images in 2x3 patches, 7 classes"
    assert repr(model) == str(model) == f"ConViT({shape}, {size:,} parameters)"
