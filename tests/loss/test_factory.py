"""Test create_loss's messages about arguments that do not exist or do nothing."""

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


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("asl_multi_label", {"label_smoothing": 0.1}),
        ("asl_multi_label", {"reduction": "sum"}),
        ("asl_single_label", {"aux_factor": 0.2}),
        ("BCE", {"ignore_index": 3}),
    ],
)
def test_create_loss_ignores_an_option_that_the_loss_does_not_have_with_a_warning(name, option):
    ((argument, value),) = option.items()
    argument = argument.removeprefix("label_")
    with pytest.warns(UserWarning, match=f"the loss {name} has no {argument}: {value!r} does nothing"):
        create_loss(name, **option)
