"""Numbers with their units, for log lines."""


def counted(number: int, unit: str, plural: str = "") -> str:
    """Return a number and its unit, such as "1 epoch" or "1,438 images"; `plural` is `unit` with an s by default."""
    return f"{number:,} {unit if number == 1 else plural or unit + 's'}"
