import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn

from mindcv.engine.build import recompute_blocks
from mindcv.graph.repeated_cells import repeated_cells
from mindcv.models.layers import Linear
from mindcv.models.layers.gelu import ExactGELU


def kinds(cell):
    """Return the number of cells and the class of each group of repeated cells."""
    return sorted((len(cells), type(cells[0]).__name__) for cells in repeated_cells(cell))


@pytest.fixture
def model(small_model):
    """Return a function that builds a model of two GPSA and four MHSA blocks, the last of which does not repeat."""
    np.random.seed(0)
    return lambda **arguments: small_model(depth=6, local_up_to_layer=2, **arguments)


def test_repeated_cells_of_a_model_are_its_blocks(model):
    assert kinds(model()) == [(2, "Block"), (3, "Block")]
    assert kinds(model(drop_path_rate=0.1)) == [(2, "Block"), (3, "Block")], "as long as the model does not train"


def test_repeated_cells_under_stochastic_depth_are_the_layers_of_the_blocks(model):
    found = kinds(model(drop_path_rate=0.1).set_train())
    norms = [(2, "TokenNorm"), (2, "TokenNorm"), (3, "TokenNorm"), (3, "TokenNorm")]
    assert found == sorted([(2, "GPSA"), (3, "MHSA"), (2, "Mlp"), (3, "Mlp"), *norms])


def test_repeated_cells_under_dropout_are_the_layers_inside_the_layers(model):
    found = kinds(model(drop_rate=0.1, attn_drop_rate=0.1).set_train())
    assert found.count((2, "Linear")) == found.count((3, "Linear")) + 1 == 7, "pos_proj, q, k, v, proj, fc1 and fc2"
    assert not {"Block", "GPSA", "MHSA", "Mlp", "Dropout"} & {kind for _, kind in found}


def test_repeated_cells_are_in_one_group_each_and_never_inside_each_other(model):
    for arguments in ({}, {"drop_path_rate": 0.1}, {"drop_rate": 0.1}, {"attn_drop_rate": 0.1}):
        cells = [cell for group in repeated_cells(model(**arguments).set_train()) for cell in group]
        assert len(cells) == len(set(map(id, cells)))
        inside = {id(inner) for cell in cells for _, inner in cell.cells_and_names() if inner is not cell}
        assert not inside & set(map(id, cells))


def test_repeated_cells_that_differ_in_one_attribute_are_told_apart(model):
    changed = model()
    changed.blocks[0].attn.content_map.scale = 1.0
    changed.blocks[2].mlp.recompute()
    found = kinds(changed)
    assert (2, "Block") in found, "of the three others"
    assert (2, "Mlp") in found, "of the first two blocks"
    assert not {"GPSA", "ContentMap"} & {kind for _, kind in found}


def test_repeated_cells_of_recomputed_blocks_are_the_blocks(model):
    recomputed = model()
    recompute_blocks(recomputed)
    assert kinds(recomputed) == [(2, "Block"), (3, "Block")]


class Pair(nn.Cell):
    """Two blocks."""

    def __init__(self, first, second):
        super().__init__()
        self.blocks = nn.CellList([first, second])

    def repeated_blocks(self):
        return [list(self.blocks)]


class Outside(nn.Cell):
    """A cell that uses a parameter of another cell."""

    def __init__(self):
        super().__init__()
        self.hidden = (Parameter(Tensor([1.0]), name="outside"),)


@pytest.mark.parametrize(
    ("kind", "count"), [(lambda: Linear(2, 2), 1), (ExactGELU, 0), (Outside, 0)],
    ids=["layer", "with a bprop", "with a parameter of another cell"],
)  # fmt: skip
def test_repeated_cells_have_no_bprop_and_parameters_of_their_own(kind, count):
    assert len(repeated_cells(Pair(kind(), kind()))) == count
