import logging

from mindcv.cli.scripts import first_line
from mindcv.cli.terminal import log_handler


def test_log_handler_escapes_control_characters_but_line_ends(capsys):
    log_handler().emit(logging.makeLogRecord({"msg": "class %s\nis missing", "args": ("a\x1b[2J\udcff",)}))
    assert capsys.readouterr().err == "class a\\x1b[2J\\xff\nis missing\n"


def test_first_line_escapes_control_characters():
    assert first_line(ValueError("no a\x85b\x1b\nsecond")) == r"no a\x85b\x1b"
    assert first_line(KeyError()) == "KeyError"


def test_first_line_skips_lines_without_words():
    assert first_line(RuntimeError("\n" + "-" * 20 + "\n- Memory not enough:\n" + "-" * 20)) == "- Memory not enough:"
    assert first_line(RuntimeError("-----")) == "RuntimeError"
