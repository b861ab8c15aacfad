"""The figures show the values of the functions."""

import warnings

import numpy as np
import pytest

from mindcv import insight

pytest.importorskip("matplotlib")
from mindcv.insight import plots


@pytest.fixture
def training():
    return np.random.default_rng(1).uniform(0.1, 0.9, (5, 2, 4))


def images_of(axis):
    return [np.asarray(image.get_array()) for image in axis.images]


def lines_of(axis):
    return [line.get_xydata() for line in axis.lines]


def shape_of(figure):
    """Draw the figure, check that its title fits, and return (height, width) in pixels."""
    figure.canvas.draw()
    title = figure._suptitle.get_window_extent()
    assert title.x0 >= 0
    assert title.x1 <= figure.bbox.width
    return figure.canvas.get_width_height()[::-1]


def labels_of(figure):
    return [text.get_text() for text in figure.findobj(plots.matplotlib.text.Text)]


def test_attention_figure_draws_the_mixed_maps(pynative, random_model, images):
    model = random_model()
    maps = insight.attention_maps(model, images[:1])
    view = np.random.default_rng(2).integers(0, 256, (24, 32, 3), np.uint8)
    figure = plots.attention_figure(view, maps, (2, 1), model.grid_size)
    colour, *axes, bar = figure.axes
    assert len(axes) == 4 * 3
    np.testing.assert_array_equal(images_of(colour)[0], view)
    for head in range(4):
        for layer in range(3):
            image, drawn = images_of(axes[head * 3 + layer])
            np.testing.assert_allclose(image, view.mean(-1))
            row = maps[layer].mixed[0, head, 2 * 2 + 1 + (layer == 2)]
            np.testing.assert_array_equal(drawn, row[layer == 2 :].reshape(3, 2))
            opacity = axes[head * 3 + layer].images[1].get_alpha()
            assert 0.4 <= opacity.min() < opacity.max() <= 0.9, "the image is seen through it"
    [frame] = axes[5].patches
    assert frame.get_bbox().bounds == (16, 16, 16, 8), "the patch in row 3, column 2"
    assert {"layer 1\ncontent, position", "layer 3\ncontent", "head 4", "attention weight"} <= {*labels_of(figure)}
    assert bar.get_ylim()[1] == max(image.max() for axis in axes for image in images_of(axis)[1:])
    assert min(shape_of(figure)) > 300


def test_comparison_figure_draws_a_line_from_each_value_to_the_other():
    rng = np.random.default_rng(3)
    before, after = ({"gates": rng.random((2, 4)), "non_locality": rng.random((3, 4))} for _ in range(2))
    figure = plots.comparison_figure(before, after, ("one.ckpt", "two.ckpt"))
    for axis, name in zip(figure.axes, ("gates", "non_locality"), strict=True):
        [lines] = axis.collections
        ends = np.array([segment[:, 1] for segment in lines.get_segments()])
        np.testing.assert_array_equal(ends, np.stack([before[name].ravel(), after[name].ravel()], -1))
        rising = axis.lines[1].get_ydata()
        np.testing.assert_array_equal(rising, after[name][after[name] > before[name]])
    assert {"gate σ(λ)", "distance, in patches", "one.ckpt", "two.ckpt, higher"} <= {*labels_of(figure)}
    assert min(shape_of(figure)) > 300


def test_kernels_figure_draws_the_kernels(pynative, random_model):
    model = random_model()
    kernels = [insight.effective_kernel(model, layer) for layer in range(2)]
    figure = plots.kernels_figure(kernels[1], kernels)
    *axes, _bar = figure.axes
    for head in range(4):
        for column, kernel in enumerate([kernels[1], *kernels]):
            [drawn] = axes[head * 3 + column].images
            np.testing.assert_array_equal(drawn.get_array(), kernel[head])
            assert drawn.get_extent() == [-1.5, 1.5, 2.5, -2.5]
    assert {"at the\nstart", "layer 2", "Δx", "Δy", "head 4"} <= {*labels_of(figure)}
    assert min(shape_of(figure)) > 300


@pytest.mark.parametrize("draw", [plots.gates_figure, plots.non_locality_figure])
def test_layer_figures_draw_checkpoint_and_training(draw, training):
    figure = draw(training[-1], training)
    now, through, bar = figure.axes
    mean, heads, *_ = lines_of(now)
    np.testing.assert_allclose(mean, [[1, training[-1, 0].mean()], [2, training[-1, 1].mean()]])
    np.testing.assert_allclose(heads[:, 1], training[-1].ravel())
    assert heads[:, 0].tolist() == [1] * 4 + [2] * 4
    for layer in range(2):
        np.testing.assert_allclose(lines_of(through)[layer], np.c_[1:6, training[:, layer].mean(-1)])
    assert bar.get_ylabel() == "layer"
    assert now.get_ylim()[1] >= training.max()
    assert {"layer", "epoch"} <= {*labels_of(figure)}
    assert min(shape_of(figure)) > 300


@pytest.mark.parametrize("draw", [plots.gates_figure, plots.non_locality_figure])
def test_layer_figures_without_training_have_one_plot(draw, training):
    figure = draw(training[-1])
    assert len(figure.axes) == 1
    assert min(shape_of(figure)) > 300


def test_non_locality_of_a_single_patch_is_drawn_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = plots.non_locality_figure(np.zeros((2, 3)))
    assert figure.axes[0].get_ylim() == (0, 1)
