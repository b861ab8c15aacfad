import signal

import pytest

from mindcv.distributed import signals
from mindcv.distributed.signals import SignalState

TERM, INT = signal.SIGTERM, signal.SIGINT


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        ([(TERM, 0)], False),
        ([(TERM, 0), (TERM, 0.1)], False),  # a cluster signals every process of a job, and the launcher forwards it
        ([(INT, 0), (TERM, 10)], False),  # some clusters send one after the other
        ([(TERM, 0), (TERM, 1.5)], True),
        ([(INT, 0), (INT, 0.1), (INT, 2)], True),
    ],
)
def test_signal_state_is_repeated_by_the_same_signal_a_second_later(received, expected, monkeypatch):
    state = SignalState()
    for number, seconds in received:
        monkeypatch.setattr(signals.time, "monotonic", lambda seconds=seconds: 100 + seconds)
        repeated = state.receive(number)
    assert state.first == received[0][0]
    assert state.repeated is repeated is expected
