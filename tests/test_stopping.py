import signal

import pytest

from mindcv import stopping
from mindcv.stopping import Asked

TERM, INT = signal.SIGTERM, signal.SIGINT


@pytest.mark.parametrize(
    ("came", "again"),
    [
        ([(TERM, 0)], False),
        ([(TERM, 0), (TERM, 0.1)], False),  # to every process of a job, and passed on
        ([(INT, 0), (TERM, 10)], False),  # one cluster's way to say it once
        ([(TERM, 0), (TERM, 1.5)], True),
        ([(INT, 0), (INT, 0.1), (INT, 2)], True),
    ],
)
def test_the_same_signal_a_second_later_is_again(came, again, monkeypatch):
    asked = Asked()
    for number, seconds in came:
        monkeypatch.setattr(stopping.time, "monotonic", lambda seconds=seconds: 100 + seconds)
        heard = asked.hear(number)
    assert asked.first == came[0][0]
    assert asked.again is heard is again
