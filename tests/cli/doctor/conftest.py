"""What the tests of `mindcv doctor` share."""

import pytest

from mindcv.cli.doctor import processes


@pytest.fixture
def stand_in(monkeypatch):
    """Let the processes of checks be those of `stand_in.py`, and return a function that makes a check of it."""
    monkeypatch.setattr(processes, "_PACKAGE", "tests.cli.doctor.stand_in")

    def check(name, share=0.1, process=1, **options):
        return processes.Check(name, name.replace("_", " "), share, process, **options)

    return check
