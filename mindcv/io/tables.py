"""Tables as text."""

import csv
import io
from collections.abc import Iterable, Sequence


def csv_text(header: Sequence, rows: Iterable[Sequence]) -> str:
    """Return a header and rows as CSV text, one line each; values are written as by `str`, None as nothing."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()
