import pytest

import mindcv.data


@pytest.mark.parametrize(
    "former, name",
    [
        ("affordable_batches", "default_prefetch_size"),
        ("as_viewed", "read_encoded"),
        ("checked", "unreadable_images"),
        ("is_list_of_bad", "is_unreadable_list"),
        ("leave_out", "exclude_images"),
        ("unreadable", "unreadable_message"),
    ],
)
def test_data_former_name_warns_and_returns_the_new(former, name):
    with pytest.warns(DeprecationWarning, match=rf"mindcv\.data\.{former} is now mindcv\.data\.{name}$"):
        assert getattr(mindcv.data, former) is getattr(mindcv.data, name)


def test_data_unknown_name_raises():
    with pytest.raises(AttributeError, match=r"module 'mindcv.data' has no attribute 'nothing'"):
        _ = mindcv.data.nothing
