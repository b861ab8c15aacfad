"""Tables as text."""

import csv
import io
from collections.abc import Iterable, Sequence

from mindcv.errors import printable


def csv_text(header: Sequence, rows: Iterable[Sequence]) -> str:
    """Return a header and rows as CSV text, one line each; values are written as by `str`, None as nothing."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table, a line for each row; the first column is aligned left, the others right.

    "|" in a cell is escaped, which would end it, and so are control characters.
    """
    lines = [_markdown_row(header), f"| --- |{' ---: |' * (len(header) - 1)}", *map(_markdown_row, rows)]
    return "\n".join(lines) + "\n"


def _markdown_row(cells: Sequence[str]) -> str:
    """Return a line of a Markdown table."""
    escaped = (printable(cell).replace("|", r"\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"
