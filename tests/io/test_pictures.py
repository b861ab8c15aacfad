"""What a figure shows of users' names."""

import pytest

from mindcv.io.pictures import as_label

A, B = "a" * 20, "b" * 20


@pytest.mark.parametrize(
    ("name", "label"),
    [("cat", "cat"), ("$5", r"\$5"), ("_run", " _run"), ("a\nb", r"a\nb"), (A + B + B, f"{A}…{B}")],
)
def test_as_label_escapes_what_matplotlib_reads_as_code(name, label):
    assert as_label(name, 40) == label
