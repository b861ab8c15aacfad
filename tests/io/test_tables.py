"""Tables as text."""

from mindcv.io.tables import csv_text, markdown_table


def test_markdown_table_escapes_what_would_end_a_cell_or_its_line():
    lines = markdown_table(["run", "top-1"], [["a|b", "1"], ["c\nd", ""]]).splitlines()
    assert lines == ["| run | top-1 |", "| --- | ---: |", r"| a\|b | 1 |", r"| c\nd |  |"]


def test_csv_text_quotes_what_would_end_a_field_and_writes_none_as_nothing():
    assert csv_text(["run", "top-1"], [["a,b", None], ['c"d', 1.5]]) == 'run,top-1\n"a,b",\n"c""d",1.5\n'
