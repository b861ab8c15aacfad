"""Training graphs for an Ascend: what is in them, and that MindSpore supports it there.

They are compiled, not run: nothing here has an Ascend.
"""

import math

import mindspore as ms
import pytest

from tests.ascend.graphs import (
    FULL,
    HOST_CALLS,
    KERNELS,
    MINDSPORE,
    OPTIONS,
    SOURCES,
    ascend,
    compiling_only,
    pages,
    rows_in,
    table,
    training_graph,
)

pytestmark = pytest.mark.skipif(
    ms.__version__ != MINDSPORE or not KERNELS.exists(),
    reason=f"needs MindSpore {MINDSPORE} with its Ascend plugin",
)

LARGEST_CONSTANT = 2**18  # bytes, in a graph of the size that is trained
SMALL = ["full"]  # graphs of the fast form
MANY = [name for name in OPTIONS if name not in SMALL]
# Cells that are composed for a CPU alone, and what its other branches leave in a graph.
CPU_CELLS = {"AddBias", "ExactGELU", "ProductSoftmax"}
CPU_PRIMITIVES = {"MatMulExt", "Rsqrt", "Split"}
CPU_PRODUCTS = {"TokenNorm", "TrainStep"}  # cells with matrix products on a CPU alone


@pytest.fixture(scope="module")
def graph():
    """Return a function that compiles a graph of `OPTIONS` by name, once."""
    graphs = {}

    def get(name):
        if name not in graphs:
            with ascend():
                graphs[name] = training_graph(**OPTIONS[name])
        return graphs[name]

    return get


all_graphs = pytest.mark.parametrize("name", [*SMALL, *(pytest.param(name, marks=pytest.mark.slow) for name in MANY)])


def detours(graph):
    """Return what a CPU's branches leave in a graph, as (origin, primitive)."""
    return {
        (node.origin, node.primitive)
        for node in graph.nodes
        if node.origin in CPU_CELLS
        or node.primitive in CPU_PRIMITIVES
        or (node.primitive == "MatMul" and node.origin in CPU_PRODUCTS)
    }


@all_graphs
def test_every_primitive_is_known_to_an_ascend(graph, name):
    unknown = [primitive for primitive in graph(name).counts if not any(known(primitive) for known in SOURCES.values())]
    assert unknown == []


@pytest.mark.parametrize("known", SOURCES.values(), ids=SOURCES)
def test_source_does_not_know_a_primitive_that_does_not_exist(known):
    assert not known("MatMulExtra")


@all_graphs
def test_no_detour_of_a_cpu_is_left(graph, name):
    assert detours(graph(name)) == set()


@pytest.mark.slow
def test_detours_are_found_in_a_graph_for_a_cpu():
    with compiling_only():
        found = detours(training_graph(**FULL))
    assert {origin for origin, _ in found} >= CPU_CELLS
    assert {primitive for _, primitive in found} >= CPU_PRIMITIVES
    assert {("TokenNorm", "MatMul")} <= found


@all_graphs
def test_batches_come_from_the_queue_and_nothing_calls_the_host(graph, name):
    assert graph(name).counts["GetNext"] == 1
    assert HOST_CALLS.isdisjoint(graph(name).counts)


@all_graphs
def test_shapes_are_static_and_no_tensor_has_64_bits(graph, name):
    wide = [(node.primitive, shape, dtype) for node, shape, dtype in graph(name).results() if "64" in dtype]
    wide += [(node.primitive, shape, dtype) for node, shape, dtype in graph(name).results() if dtype == "double"]
    assert [found for found in wide if math.prod(found[1]) > 1] == []
    assert all(side > 0 for _, shape, _ in graph(name).results() for side in shape)


@pytest.mark.parametrize(
    ("name", "half"), [("full", "float16"), *(pytest.param(*row, marks=pytest.mark.slow) for row in
     [("bfloat16", "bfloat16"), ("flash", "bfloat16"), ("deit bfloat16", "bfloat16")])],
)  # fmt: skip
def test_matrix_products_at_o2_are_in_half_precision(graph, name, half):
    products = [dtype for node, _, dtype in graph(name).results() if node.primitive in ("MatMul", "BatchMatMul")]
    assert products and set(products) == {half}


@all_graphs
def test_no_constant_is_as_large_as_a_weight(graph, name):
    assert graph(name).largest_constant() < 8 * 1024


@pytest.mark.slow
@pytest.mark.parametrize("name", ["full", "plain"])
def test_a_whole_model_has_the_same_primitives_and_no_large_constant(graph, name):
    with ascend():
        whole = training_graph(**{**OPTIONS[name], "depth": 12, "image_size": 224, "batch_size": 64})
    assert whole.counts.keys() == graph(name).counts.keys()
    assert whole.largest_constant() <= LARGEST_CONSTANT


@pytest.mark.slow
def test_flash_attention_takes_the_place_of_the_attention_maps(graph):
    for name in ("flash", "deit flash"):
        assert graph(name).counts["FlashAttentionScore"] == graph(name).counts["FlashAttentionScoreGrad"] == 2
    with (
        pytest.raises(ValueError, match="needs an Atlas A2 training device, and this is an ascend910:"),
        ascend("ascend910"),
    ):
        training_graph(**OPTIONS["flash"])


def test_table_has_the_rows_of_the_full_graph(graph):
    rows = {row.split("`")[1]: row for row in rows_in(pages()[0])}
    for row in table({"full": graph("full")}):
        assert rows[row.split("`")[1]] == row


def test_both_pages_have_the_same_table():
    english, chinese = map(rows_in, pages())
    assert english and english == chinese


@pytest.mark.slow
def test_table_has_the_rows_of_all_graphs(graph):
    assert rows_in(pages()[0]) == table({name: graph(name) for name in OPTIONS})
