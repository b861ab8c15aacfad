"""Draw the results of `mindcv.insight` as matplotlib figures. Layers and heads are numbered from 1, as in the paper.

Viridis, with orange for marks, can be read with any colour vision and in print.
"""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, ListedColormap, PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mindcv.insight.maps import AttentionMaps
from mindcv.io.pictures import as_label

_START = 1 / (1 + np.exp(-1))  # σ(1), the initial value of every gate
_MARK, _GREY = "#ff9f1c", "#555555"
_RISE, _FALL = "#b35806", "#31688e"
_STYLE = {
    "font.size": 9, "axes.titlesize": 9, "figure.titlesize": 11, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "grid.color": "#e8e8e8", "axes.axisbelow": True,
}  # fmt: skip
_styled = matplotlib.rc_context(_STYLE)  # type: ignore[arg-type]  # its stubs list the keys as literals


@_styled
def attention_figure(
    image: np.ndarray, maps: Sequence[AttentionMaps], patch: tuple[int, int], grid: tuple[int, int]
) -> Figure:
    """Draw the attention of every head of every layer from one patch, as an overlay through which the image is seen.

    Args:
        image: (H, W, 3) uint8, resized and cropped as for the model.
        maps: The result of `attention_maps` for this one image; the mixed maps are drawn.
        patch: Row and column, from 0, of the query patch.
        grid: Rows and columns of patches.

    Returns:
        The figure, neither saved nor shown: the image in colour, and beside it a row for each head and a column for
        each layer, over the image in grey.
    """
    shown = [attention_of(patch, layer, grid) for layer in maps]
    norm = PowerNorm(0.5, 0, max(layer.max() for layer in shown))
    (height, width), grey = image.shape[:2], image.mean(-1)
    figure, axes = _panels(len(shown[0]), len(shown), width / height, first=3)
    box = (0, width, height, 0)
    side = width / grid[1], height / grid[0]
    colour = figure.axes[0]
    colour.imshow(image, extent=box)
    colour.set_title("image")
    for i, layer in enumerate(maps):
        axes[0, i].set_title(f"layer {i + 1}\n{'content' if layer.position is None else 'content, position'}")
        for axis, weights in zip(axes[:, i], shown[i], strict=True):
            axis.imshow(grey, cmap="gray", vmin=0, vmax=255, extent=box)
            opacity = 0.4 + 0.5 * norm(weights)
            drawn = axis.imshow(weights, cmap="viridis", norm=norm, alpha=opacity, extent=box)
    for axis in figure.axes:
        corner = patch[1] * side[0], patch[0] * side[1]
        axis.add_patch(Rectangle(corner, *side, fill=False, color=_MARK, linewidth=1.8))
    drawn = ScalarMappable(norm, "viridis")  # the colours of the bar are opaque
    _finish_panels(figure, axes, drawn, "attention weight")
    figure.suptitle(f"Where each head attends from the framed patch (row {patch[0] + 1}, column {patch[1] + 1})")
    return figure


def attention_of(patch: tuple[int, int], maps: AttentionMaps, grid: tuple[int, int]) -> np.ndarray:
    """Return the attention of each head from `patch` (row, column from 0) to the patches, (heads, rows, cols).

    Attention to the class token is left out. `maps` is of one image, `grid` its rows and columns of patches.
    """
    prefix = maps.mixed.shape[-1] - grid[0] * grid[1]
    row = maps.mixed[0, :, prefix + patch[0] * grid[1] + patch[1], prefix:]
    return row.reshape(-1, *grid)


@_styled
def kernels_figure(start: np.ndarray, kernels: Sequence[np.ndarray]) -> Figure:
    """Draw the positional attention of every head as kernels, before training and in each positional layer after it.

    Args:
        start: The result of `effective_kernel` before training, (heads, 2·rows − 1, 2·cols − 1).
        kernels: The same after training, for each layer with positional attention.

    Returns:
        The figure, neither saved nor shown: a row for each head, a column for the start and for each layer.
    """
    columns = [start, *kernels]
    norm = PowerNorm(0.5, 0, max(column.max() for column in columns))
    dy, dx = (side // 2 for side in start.shape[1:])
    figure, axes = _panels(len(start), len(columns), (2 * dx + 1) / (2 * dy + 1))
    for i, column in enumerate(columns):
        axes[0, i].set_title(f"layer {i}" if i else "at the\nstart")
        axes[-1, i].set_xticks([-dx, 0, dx])
        axes[-1, i].set_xlabel("Δx")
        for axis, kernel in zip(axes[:, i], column, strict=True):
            drawn = axis.imshow(kernel, cmap="viridis", norm=norm, extent=(-dx - 0.5, dx + 0.5, dy + 0.5, -dy - 0.5))
            axis.plot(0, 0, "+", color=_MARK, markersize=7, markeredgewidth=1.4)
    for axis in axes[:, -1]:
        axis.yaxis.tick_right()
        axis.yaxis.set_label_position("right")
        axis.set_yticks([-dy, 0, dy])
        axis.set_ylabel("Δy", rotation=0)
    _finish_panels(figure, axes, drawn, "positional attention")
    figure.suptitle("Where each head attends by position alone,\nbefore training and after it (+: the query)")
    return figure


@_styled
def gates_figure(gates: np.ndarray, training: np.ndarray | None = None) -> Figure:
    """Draw the gates by layer and, if `training` is given, by epoch (figure 5 of the paper).

    Args:
        gates: (gated layers, heads), 0 to 1.
        training: The same after each epoch, (epochs, gated layers, heads).

    Returns:
        The figure, not one of pyplot's, neither saved nor shown. Layers and epochs are numbered from 1; a dashed line
        marks the gates' initial value.
    """
    figure, axes = _by_layer_and_epoch(gates, training, "gate σ(λ)", now="in the checkpoint, by layer")
    for axis in axes:
        axis.set_ylim(0, 1)
        axis.axhline(_START, color=_GREY, linestyle="--", linewidth=1)
    axes[0].annotate(
        "start, σ(1)", (0.99, _START - 0.02), xycoords=("axes fraction", "data"), color=_GREY, ha="right", va="top"
    )
    figure.suptitle("The weight of position in each head's attention")
    return figure


@_styled
def comparison_figure(
    before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray], names: Sequence[str]
) -> Figure:
    """Draw how the gates and the attention distances of every head moved from one checkpoint to another.

    Args:
        before: "non_locality", (layers, heads), and for a model with GPSA layers "gates", (GPSA layers, heads).
        after: The same of the other checkpoint, in the same shapes.
        names: What to call the two checkpoints, the earlier first.

    Returns:
        The figure, neither saved nor shown: an arrow for each head, from the first value to the second.
    """
    names = [as_label(name) for name in names]
    titles = {"gates": "gate σ(λ)", "non_locality": "distance, in patches"}
    shown = [name for name in titles if name in before]
    figure = Figure(figsize=(5.2 * len(shown), 3.8), layout="constrained")
    for axis, name in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        layers, heads = before[name].shape
        x = np.arange(1, layers + 1)[:, None] + np.linspace(-0.3, 0.3, heads)
        moved = after[name] - before[name]
        axis.vlines(x, before[name], after[name], color=np.where(moved.ravel() > 0, _RISE, _FALL), linewidth=1.6)
        axis.plot(x.ravel(), before[name].ravel(), "o", color=_GREY, markersize=3.5, label=names[0])
        for sign, marker, colour, change in ((1, "^", _RISE, "higher"), (-1, "v", _FALL, "lower")):
            chosen = np.sign(moved) == sign
            axis.plot(x[chosen], after[name][chosen], marker, color=colour, markersize=5, label=f"{names[1]}, {change}")
        axis.set(xlabel="layer, and in it the heads", title=titles[name], xticks=range(1, layers + 1))
        axis.grid(axis="x", visible=False)
    axis.legend(frameon=False, fontsize=8)
    figure.suptitle(f"From {names[0]} to {names[1]}")
    return figure


@_styled
def non_locality_figure(distances: np.ndarray, training: np.ndarray | None = None) -> Figure:
    """Draw the non-locality by layer and, if `training` is given, by epoch (figure 6 of the paper).

    Args:
        distances: (layers, heads), in patches.
        training: The same after each epoch, (epochs, layers, heads).

    Returns:
        The figure, not one of pyplot's, neither saved nor shown. Layers and epochs are numbered from 1.
    """
    figure, axes = _by_layer_and_epoch(distances, training, "non-locality, in patches", now="on this image, by layer")
    top = max(values.max() for values in (distances, training) if values is not None)
    axes[0].set_ylim(0, 1.25 * top or 1)  # room for the legend; the axes share it; 0 with a single patch
    figure.suptitle("How far each head attends from its query")
    return figure


def _panels(rows: int, columns: int, aspect: float, first: int = 0) -> tuple[Figure, np.ndarray]:
    """Return a new figure and its axes (rows, columns), for pictures of the given width / height; a row is a head.

    With `first` the figure's first axes, which are not in the array, are as high as it and so many columns wide.
    """
    side = min(max(aspect, 0.5), 2)
    figure = Figure(figsize=(1.7 + (first + columns) * side, 1.2 + rows), layout="constrained")
    grid = figure.add_gridspec(rows, columns + bool(first), width_ratios=[first] * bool(first) + [1] * columns)
    if first:
        figure.add_subplot(grid[:, 0])
    panels = [figure.add_subplot(grid[row, column + bool(first)]) for row in range(rows) for column in range(columns)]
    for axis in figure.axes:
        axis.set(xticks=[], yticks=[])
        axis.grid(False)
        axis.spines[:].set_visible(False)
    return figure, np.array(panels).reshape(rows, columns)


def _finish_panels(figure: Figure, axes: np.ndarray, image: ScalarMappable, label: str) -> None:
    """Label the rows of `axes` by head, and add to `figure` a colour bar for `image`, with the label `label`."""
    for head, axis in enumerate(axes[:, 0]):
        axis.set_ylabel(f"head {head + 1}")
    bar = figure.colorbar(image, ax=axes, shrink=min(1, 4 / len(axes)), aspect=25, pad=0.015, label=label)
    bar.outline.set_visible(False)


def _by_layer_and_epoch(values: np.ndarray, training: np.ndarray | None, label: str, now: str) -> tuple[Figure, list]:
    """Plot values (layers, heads) by layer, with a dot for each head; to the right, if `training` is given, by epoch.

    On the right each line is a layer's mean over the heads. `label` is that of the values' axis, `now` the title of the
    left axes. Returns the figure and its one or two axes.
    """
    layers, heads = values.shape
    figure = Figure(figsize=(4.6 if training is None else 9.2, 3.4), layout="constrained")
    axes = figure.subplots(1, 1 if training is None else 2, squeeze=False, sharey=True)[0]
    x = np.arange(1, layers + 1)
    axes[0].plot(x, values.mean(1), color=_MARK, linewidth=1.8, label="mean of the heads")
    axes[0].plot(np.repeat(x, heads), values.ravel(), "o", color="#31688e", markersize=4, alpha=0.8, label="a head")
    axes[0].set(xlabel="layer", ylabel=label, xticks=x, title=now)
    axes[0].legend(frameon=False)
    if training is not None:
        colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.93, layers))
        epochs = np.arange(1, len(training) + 1)
        for layer, colour in enumerate(colours):
            style = {"marker": "o", "markersize": 3} if len(training) < 30 else {}
            axes[1].plot(epochs, training[:, layer].mean(-1), color=colour, linewidth=1.6, **style)
        axes[1].set(xlabel="epoch", title="through training, mean of a layer's heads")
        axes[1].xaxis.get_major_locator().set_params(integer=True)
        scale = ScalarMappable(BoundaryNorm(np.arange(layers + 1) + 0.5, layers), ListedColormap(colours))
        bar = figure.colorbar(scale, ax=axes[1], label="layer", ticks=x)
        bar.outline.set_visible(False)
    return figure, [*axes]
