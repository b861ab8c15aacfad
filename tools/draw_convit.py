"""Draw `configs/convit/convit.png`: gated positional self-attention (GPSA) beside ordinary self-attention (MHSA).

    python tools/draw_convit.py [FILE]

With FILE the figure is written there instead. Its maps are those of a head that attends one patch to the left and up,
on a grid of 4 × 4 patches.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

OUT = Path(__file__).parents[1] / "configs/convit/convit.png"
INK, GREY, PAPER = "#22303c", "#8a949c", "#f3f5f7"
CONTENT, POSITION = ("#2f6da8", "Blues"), ("#c96f12", "Oranges")
SIDE = 4


def softmax(scores: np.ndarray) -> np.ndarray:
    """Return the softmax of `scores` over the last axis."""
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def axis_map(offset: float) -> np.ndarray:
    """Return the attention map of one axis, (SIDE, SIDE): a softmax centred `offset` patches from the query."""
    positions = np.arange(SIDE)
    return softmax(-((positions - positions[:, None] - offset) ** 2.0))


def draw_box(ax: Axes, x: float, y: float, text: str, width=1.1, colour=INK, fill=PAPER, **style) -> None:
    """Draw a rounded box centred at (x, y) with `text` in it; `style` is passed to `Axes.text`."""
    patch = FancyBboxPatch((x - width / 2, y - 0.24), width, 0.48, boxstyle="round,pad=0,rounding_size=0.1")
    patch.set(facecolor=fill, edgecolor=colour, linewidth=1.3)
    ax.add_patch(patch)
    ax.text(x, y, text, ha="center", va="center", color=colour, **style)


def draw_arrow(ax: Axes, *points: tuple[float, float], colour=INK) -> None:
    """Draw a line along `points`, (x, y) each, with an arrowhead at its end."""
    *line, end = points
    ax.plot(*zip(*line, end, strict=True), color=colour, linewidth=1.3, solid_capstyle="butt", zorder=0)
    ax.annotate("", end, line[-1], arrowprops={"arrowstyle": "-|>", "color": colour, "shrinkA": 0, "shrinkB": 0})


def draw_matrix(ax: Axes, x: float, y: float, matrix: np.ndarray, colours: tuple[str, str], size: float) -> None:
    """Draw `matrix` as a framed square of side `size` centred at (x, y), in `colours` (frame, colour map)."""
    colour, palette = colours
    extent = (x - size / 2, x + size / 2, y - size / 2, y + size / 2)
    ax.imshow(matrix, cmap=palette, extent=extent, vmin=0, vmax=matrix.max(), zorder=2)
    ax.plot(np.array(extent)[[0, 1, 1, 0, 0]], np.array(extent)[[2, 2, 3, 3, 2]], color=colour, linewidth=1.2, zorder=3)


def draw_content_branch(ax: Axes, x: float, content: np.ndarray) -> None:
    """Draw tokens, queries, keys and values, and the content map at (x + 0.7, 3.6); the values are at x - 1.7."""
    draw_box(ax, x - 0.2, 0.5, "tokens  $X$   (N × C)", width=4.3, weight="bold")
    for name, at in (("v", x - 1.7), ("q", x), ("k", x + 1.4)):
        colour = INK if name == "v" else CONTENT[0]
        draw_arrow(ax, (at, 0.74), (at, 1.26), colour=colour)
        draw_box(ax, at, 1.5, f"${name} = X\\,W_{name}$", width=1.2, colour=colour)
        if name != "v":
            draw_arrow(ax, (at, 1.74), (at, 1.98), (x + 0.7, 1.98), (x + 0.7, 2.26), colour=colour)
    draw_box(ax, x + 0.7, 2.5, r"softmax $(q\,k^{\top}/\sqrt{d})$", width=2.3, colour=CONTENT[0])
    draw_map(ax, x + 0.7, content, CONTENT, "by content")


def draw_map(ax: Axes, x: float, matrix: np.ndarray, colours: tuple[str, str], name: str) -> None:
    """Draw an attention map at (x, 3.6), with an arrow from the softmax below it and one to what follows above."""
    draw_arrow(ax, (x, 2.74), (x, 3.0), colour=colours[0])
    draw_matrix(ax, x, 3.6, matrix, colours, 1.2)
    ax.text(x + 0.72, 3.6, f"{name}\nN × N", va="center", color=colours[0])
    draw_arrow(ax, (x, 4.2), (x, 4.76), colour=colours[0])


def draw_output(ax: Axes, x: float, y: float, values: float) -> None:
    """Draw the product of map and values at (x, y), and the projection above it; the values come from x = `values`."""
    draw_box(ax, x, y, r"map $\cdot\, v$", width=1.2)
    draw_arrow(ax, (values, 1.74), (values, y), (x - 0.6, y))
    draw_arrow(ax, (x, y + 0.24), (x, y + 0.56))
    draw_box(ax, x, y + 0.8, "join the heads, project", width=2.7)
    draw_arrow(ax, (x, y + 1.04), (x, y + 1.4))


def draw_gate(ax: Axes, x: float, y: float, gate: float) -> None:
    """Draw the gate as a slider at (x, y), between content to the left and position to the right."""
    start, end = x - 0.75, x + 0.75
    knob = end - gate * (end - start)
    ax.plot([start, knob], [y, y], color=CONTENT[0], linewidth=5, solid_capstyle="round")
    ax.plot([knob, end], [y, y], color=POSITION[0], linewidth=5, solid_capstyle="round")
    ax.plot(knob, y, "o", markersize=13, color="white", markeredgecolor=INK, markeredgewidth=1.5)
    ax.text(x, y + 0.4, r"gate  $\sigma(\lambda)$", ha="center", color=INK)
    ax.text(x, y - 0.62, f"learned, one a head;\n{gate:.2f} at the start", ha="center", color=GREY, size=9)


def draw_title(ax: Axes, x: float, name: str, subtitle: str) -> None:
    """Draw the title of one half of the figure, centred at x."""
    ax.text(x, 8.0, name, ha="center", size=16, weight="bold", color=INK)
    ax.text(x, 7.62, subtitle, ha="center", size=10, color=GREY)


def main(path: Path = OUT) -> None:
    """Draw the figure and write it to `path` as PNG."""
    content = softmax(2.2 * np.random.default_rng(4).standard_normal((SIDE**2, SIDE**2)))
    position = np.kron(axis_map(-1), axis_map(-1))

    figure = Figure(figsize=(12, 6.6), facecolor="white")
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, 16), ylim=(-0.1, 8.7), aspect="equal")
    ax.axis("off")

    x = 2.6
    draw_title(ax, x - 0.2, "MHSA", "self-attention: the last two blocks")
    draw_content_branch(ax, x, content)
    draw_box(ax, x + 0.7, 5.0, "attention map", width=2.0, colour=CONTENT[0])
    draw_arrow(ax, (x + 0.7, 5.24), (x + 0.7, 5.66))
    draw_output(ax, x + 0.7, 5.9, x - 1.7)

    ax.plot([5.35, 5.35], [0.2, 8.2], color="#d5dade", linewidth=1)
    x, right = 8.15, 13.6
    draw_title(ax, 10.8, "GPSA", "gated positional self-attention: the first ten blocks")
    draw_content_branch(ax, x, content)
    draw_box(
        ax,
        right,
        0.5,
        r"offsets  $r = (\Delta x,\; \Delta y,\; \Delta x^2 + \Delta y^2)$",
        width=4.0,
        colour=POSITION[0],
    )
    draw_arrow(ax, (right, 0.74), (right, 1.26), colour=POSITION[0])
    draw_box(ax, right, 1.5, r"$w \cdot r$", width=1.2, colour=POSITION[0])
    draw_arrow(ax, (right, 1.74), (right, 2.26), colour=POSITION[0])
    draw_box(ax, right, 2.5, "softmax", width=1.5, colour=POSITION[0])
    draw_map(ax, right, position, POSITION, "by position")
    middle = (x + 0.7 + right) / 2
    draw_gate(ax, middle + 0.35, 3.6, 1 / (1 + np.exp(-1)))
    mixture = r"$(1 - \sigma(\lambda))\,\cdot$ by content  $+\;\; \sigma(\lambda)\,\cdot$ by position"
    draw_box(ax, middle, 5.0, mixture, width=right - x + 0.9)
    draw_arrow(ax, (middle - 1.6, 5.24), (middle - 1.6, 5.66))
    draw_output(ax, middle - 1.6, 5.9, x - 1.7)
    figure.savefig(path, dpi=200)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
