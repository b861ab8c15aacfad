"""The golden logits of the package and those of the tests' reference figures."""

import numpy as np

from mindcv.cli.doctor.golden import MODEL, SALT, golden_weights, logits_error
from tests.golden import rule


def test_golden_weights_are_those_of_the_reference(golden):
    case = golden.facts("manifest")[MODEL]
    wanted = rule.mindcv_weights(case)
    found = golden_weights({name: array.shape for name, array in wanted.items()})
    assert case["salt"] == SALT
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array)


def test_logits_error_is_relative_to_the_reference(golden):
    logits = golden.array(MODEL)["logits"]
    assert logits_error(logits) < 1e-9
    np.testing.assert_allclose(logits_error(1.01 * logits), 0.01, rtol=1e-6)
    logits[0, 100] = np.nan
    assert np.isnan(logits_error(logits))
