import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from mindcv.engine.build import recompute_blocks
from mindcv.engine.step import TrainStep
from mindcv.graph import compiled_cell
from mindcv.loss import create_loss
from mindcv.models import set_precision
from mindcv.optim import create_optimizer

DRAWS = {"drop_path_rate": 0.3, "drop_rate": 0.1, "attn_drop_rate": 0.1}


@pytest.fixture
def compiled(monkeypatch):
    """The number of groups of repeated cells in each compilation."""
    counts = []

    def spy(cell):
        found = repeated_cells(cell)
        counts.append(len(found))
        return found

    repeated_cells = compiled_cell.repeated_cells
    monkeypatch.setattr(compiled_cell, "repeated_cells", spy)
    return counts


@pytest.mark.parametrize(
    ("arguments", "level", "recomputes"),
    [
        pytest.param({"drop_path_rate": 0.3, "local_up_to_layer": 0}, "O0", False, id="stochastic depth"),
        pytest.param(DRAWS, "O0", False, id="dropout", marks=pytest.mark.slow),
        pytest.param({}, "O2", False, id="O2", marks=pytest.mark.slow),
        pytest.param({}, "O1", False, id="O1", marks=pytest.mark.slow),
        pytest.param({"attn_impl": "plain"}, "auto", True, id="plain, auto, recompute", marks=pytest.mark.slow),
        pytest.param({"drop_path_rate": 0.3}, "O0", True, id="recompute", marks=pytest.mark.slow),
    ],
)
def test_compiled_cell_computes_the_same_without_repeated_cells(
    arguments, level, recomputes, small_model, batch, graph_mode, monkeypatch
):
    results = []
    for found in (compiled_cell.repeated_cells, lambda cell: []):
        monkeypatch.setattr(compiled_cell, "repeated_cells", found)
        np.random.seed(0)
        model = small_model(**{"depth": 3, "local_up_to_layer": 2, **arguments})
        set_precision(model, level, "float16")
        if recomputes:
            recompute_blocks(model)
        step = TrainStep(model, create_loss("CE"), create_optimizer(model, "sgd", lr=0.01)).set_train()
        losses = [step(*batch).asnumpy() for _ in range(3)]
        results.append([*losses, *(parameter.asnumpy() for parameter in model.get_parameters())])
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


def test_compiled_cell_looks_for_repeated_cells_once_for_each_kind_of_call(small_model, batch, graph_mode, compiled):
    model, images = small_model(depth=3, local_up_to_layer=2), batch[0]
    for inputs in (images, images, Tensor(images.asnumpy()[:1]), images):
        model(inputs)
    assert compiled == [1, 1], "two of the blocks, for each of the two shapes"
    model.reset_classifier(2)
    assert model(images).shape[1] == 2
    assert len(compiled) == 3


def test_compiled_cell_leaves_no_mark_at_the_cells(small_model, batch, graph_mode):
    model = small_model(depth=3, local_up_to_layer=2)
    before = [{name: repr(value) for name, value in vars(cell).items()} for _, cell in model.cells_and_names()]
    model.compile(batch[0])
    after = [{name: repr(value) for name, value in vars(cell).items()} for _, cell in model.cells_and_names()]
    for old, new in zip(before, after, strict=True):
        assert new.get("_cell_init_args") == old.get("_cell_init_args")
        assert "no_inline" not in new


def test_compiled_cell_in_pynative_mode_looks_for_nothing(small_model, batch, pynative, compiled):
    small_model()(batch[0])
    assert not compiled


def test_compiled_cell_that_cannot_be_compiled_is_tried_again(small_model, batch, graph_mode, compiled, monkeypatch):
    model = small_model(depth=3, local_up_to_layer=2)
    with monkeypatch.context() as patch:
        patch.setattr(compiled_cell.nn.Cell, "compile", lambda *args, **kwargs: 1 / 0)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                model(batch[0])
    assert len(compiled) == 2
    assert ms.get_context("mode") == ms.GRAPH_MODE
    assert "no_inline" not in vars(model.blocks[1].mlp)
