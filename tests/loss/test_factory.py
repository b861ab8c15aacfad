"""Test create_loss's message about unknown arguments."""

import pytest

from mindcv.loss import create_loss


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("smoothing", "create_loss has no argument 'smoothing'; use label_smoothing"),
        ("reducton", "create_loss has no argument 'reducton'; did you mean 'reduction'"),
    ],
)
def test_create_loss_unknown_argument_names_the_one_to_use(argument, message):
    with pytest.raises(TypeError, match=message):
        create_loss("CE", **{argument: 0.1})
