"""What a check found, as the process that ran it hands it on."""

from typing import Any, NamedTuple

OK, FAILED, SKIPPED = "ok", "FAILED", "skipped"


class Result(NamedTuple):
    """The outcome of a check.

    Attributes:
        verdict: `OK`, `FAILED` or `SKIPPED`.
        reason: Why it failed or was skipped, in one line.
        text: What it found, in one line.
        figures: What it found, by name: values that JSON can hold.
        log: The last lines that a failed check's process wrote.
    """

    verdict: str
    reason: str = ""
    text: str = ""
    figures: dict[str, Any] = {}
    log: list[str] = []


class Skipped(Exception):
    """Raised by a check that does not apply to this machine; the message says why."""
