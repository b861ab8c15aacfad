"""Find the repeated cells of a model, which can be compiled once."""

from collections import defaultdict
from collections.abc import Sequence

from mindspore import nn

from mindcv.graph.fingerprint import Fingerprint


def repeated_cells(cell: nn.Cell) -> list[list[nn.Cell]]:
    """Return groups of at least two cells inside `cell` that have the same graph and inputs of the same shapes.

    The model has a method `repeated_blocks`, which returns lists of blocks with inputs of the same shapes. Groups are
    cells at the same place in these blocks that hold the same; of cells within each other, only the outermost.

    Left out are blocks whose dtype policies differ, as the dtypes of their inputs may differ too; cells with a `bprop`,
    without parameters, or with parameters that are not among their `get_parameters()`; and cells with code of other
    packages, which may draw random numbers by a seed of each call.
    """
    groups: list[list[nn.Cell]] = []
    for _, inner in cell.cells_and_names():
        if callable(getattr(inner, "repeated_blocks", None)):
            for blocks in inner.repeated_blocks():
                if all(_policies(block) == _policies(blocks[0]) for block in blocks):
                    _add_groups(groups, blocks)
    return groups


def _policies(block: nn.Cell) -> list:
    """Return the dtype policies of all cells of a block."""
    return [cell.policy for _, cell in block.cells_and_names() if hasattr(cell, "policy")]


def _add_groups(groups: list[list[nn.Cell]], cells: Sequence[nn.Cell]) -> None:
    """Add the groups among `cells`, which are at the same place in each block, and inside those without a group."""
    taken = {id(cell) for group in groups for cell in group}
    equal = defaultdict(list)
    for cell in cells:
        if id(cell) not in taken:
            equal[_digest(cell)].append(cell)
    other = equal.pop("", [])
    for group in equal.values():
        if len(group) > 1 and not any(id(inner) in taken for cell in group for _, inner in cell.cells_and_names()):
            groups.append(group)
        else:
            other += group
    children = defaultdict(list)
    for cell in other:
        for name, child in cell.name_cells().items():
            children[name].append(child)
    for same_place in children.values():
        _add_groups(groups, same_place)


def _digest(cell: nn.Cell) -> str:
    """Return a digest that is equal for cells with the same graph, or "" for a cell that cannot be in a group."""
    parameters = list(cell.get_parameters())
    if cell.has_bprop or not parameters:
        return ""
    try:
        fingerprint = Fingerprint(cell, for_other_processes=False)
    except Exception:  # whatever a cell holds, it is compiled
        return ""
    return fingerprint.digest if fingerprint.is_of_this_package() and fingerprint.has_only(parameters) else ""
