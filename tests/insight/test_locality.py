import numpy as np
import pytest

from mindcv.insight import attention_maps, non_locality
from tests.golden import rule


def test_non_locality_equals_golden_values(golden, golden_model, both_modes):
    """Block 0 of the authors' own code, on all 196 patches."""
    model = golden_model("convit_tiny", depth=2, local_up_to_layer=1)
    images, _labels = rule.inputs(golden.facts("manifest")["convit_tiny"]["salt"])
    found = non_locality(model, images)
    assert found.shape == (2, 4)
    np.testing.assert_allclose(found[0], golden.array("convit_tiny")["block0_nonlocality"], rtol=5e-6)


def test_non_locality_is_a_weighted_mean_distance(random_model, images, pynative):
    """On an oblong grid, in both kinds of layer, summed one query at a time."""
    model = random_model()
    found = non_locality(model, images)
    for layer, row in zip(attention_maps(model, images), found, strict=True):
        class_token = layer.mixed.shape[-1] - 6
        for head, value in enumerate(row):
            distances = []
            for image in layer.mixed[:, head, class_token:, class_token:].astype(np.float64):
                for query, weights in enumerate(image):
                    distance = [np.hypot(query // 2 - key // 2, query % 2 - key % 2) for key in range(6)]
                    distances.append(weights @ distance / weights.sum())
            assert value == pytest.approx(np.mean(distances), rel=1e-5)
