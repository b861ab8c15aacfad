"""Against PyTorch 2.13 in float64, against Pillow, and against properties of any resampling.

`resampled.npz` holds, under keys such as "14x14_24x24", the result of
`torch.nn.functional.interpolate(…, mode="bicubic", antialias=True)` for
`default_rng([rows, cols]).standard_normal((1, rows * cols, 3))`.
"""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mindcv.weights.resample import cubic_weights, resample

FIGURES = np.load(Path(__file__).parent / "resampled.npz")


def grids(case):
    return [tuple(int(side) for side in grid.split("x")) for grid in case.split("_")]


@pytest.mark.parametrize("case", list(FIGURES))
def test_resample_equals_pytorch(case):
    old, new = grids(case)
    embedding = np.random.default_rng(old).standard_normal((1, old[0] * old[1], 3))
    np.testing.assert_allclose(resample(embedding, old, new), FIGURES[case], rtol=0, atol=1e-13)


@pytest.mark.parametrize(("old", "new"), [((14, 14), (24, 18)), ((14, 14), (5, 9)), ((7, 9), (14, 4))])
def test_resample_equals_pillow(old, new):
    embedding = np.random.default_rng(1).standard_normal((1, old[0] * old[1], 1)).astype(np.float32)
    image = Image.fromarray(embedding.reshape(old), mode="F").resize(new[::-1], Image.Resampling.BICUBIC)
    np.testing.assert_allclose(resample(embedding, old, new).reshape(new), np.asarray(image), rtol=0, atol=2e-6)


def test_cubic_weights_are_symmetric_and_keep_constants_and_lines():
    embedding = np.random.default_rng(2).standard_normal((1, 20, 3))
    np.testing.assert_allclose(resample(embedding, (4, 5), (4, 5)), embedding, rtol=0, atol=1e-15)
    np.testing.assert_allclose(resample(np.full((1, 20, 2), 3.0), (4, 5), (9, 2)), 3.0, rtol=1e-14)
    for old, new in [(14, 24), (14, 5), (3, 3)]:
        matrix = cubic_weights(old, new)
        assert matrix.shape == (new, old)
        np.testing.assert_allclose(matrix, matrix[::-1, ::-1], rtol=0, atol=1e-14)
    # Enlarging keeps a straight line straight, away from the ends.
    line = cubic_weights(20, 40) @ np.arange(20.0)
    np.testing.assert_allclose(line[4:-4], np.arange(4, 36) / 2 - 0.25, rtol=0, atol=1e-12)


def test_resample_keeps_rows_and_columns_apart():
    rows = np.repeat(np.arange(4.0), 3).reshape(1, 12, 1)  # the same in every column
    resampled = resample(rows, (4, 3), (2, 7)).reshape(2, 7)
    np.testing.assert_allclose(resampled, resampled[:, :1] + np.zeros(7), rtol=1e-12)
    assert resampled[1, 0] > resampled[0, 0]


def test_resample_keeps_the_dtype():
    assert resample(np.ones((1, 4, 2), np.float32), (2, 2), (3, 3)).dtype == np.float32
