import signal

import pytest

from mindcv.distributed import signals
from mindcv.distributed.signals import SignalState

TERM, INT = signal.SIGTERM, signal.SIGINT


@pytest.mark.parametrize(
    ("came", "expected"),
    [
        ([(TERM, 0)], False),
        ([(TERM, 0), (TERM, 0.1)], False),  # to every process of a job, and passed on
        ([(INT, 0), (TERM, 10)], False),  # one cluster's way to say it once
        ([(TERM, 0), (TERM, 1.5)], True),
        ([(INT, 0), (INT, 0.1), (INT, 2)], True),
    ],
)
def test_signal_state_with_the_same_signal_a_second_later_is_repeated(came, expected, monkeypatch):
    state = SignalState()
    for number, seconds in came:
        monkeypatch.setattr(signals.time, "monotonic", lambda seconds=seconds: 100 + seconds)
        repeated = state.receive(number)
    assert state.first == came[0][0]
    assert state.repeated is repeated is expected
