import numpy as np
import pytest

from mindcv.insight import attention_maps, rollout


def test_rollout_sums_all_paths_to_the_class_token(pynative, random_model, images):
    """Against the sum over all paths through the layers, one path at a time."""
    model = random_model()
    maps = [layer.mixed[0].mean(0, dtype=np.float64) for layer in attention_maps(model, images)]
    found = rollout(model, images[0])
    assert found.shape == (3, 2)
    assert found.sum() == pytest.approx(1)
    expected = np.zeros(6)
    for patch in range(6):
        for first in range(6):
            for second in range(6):
                one = (maps[0][first, patch] + (first == patch)) / 2
                two = (maps[1][second, first] + (second == first)) / 2
                expected[patch] += one * two * maps[2][0, 1 + second] / 2
    np.testing.assert_allclose(found.ravel(), expected / expected.sum(), rtol=1e-4)


def test_rollout_of_a_batch_raises(random_model, images):
    with pytest.raises(ValueError, match="give one"):
        rollout(random_model(), images)
