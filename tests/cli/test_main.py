"""The `mindcv` command, as a user types it."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mindcv
from mindcv.__main__ import main
from mindcv.cli.models import describe_model, model_names
from mindcv.cli.scripts import DESCRIPTIONS
from mindcv.config import find_recipe, recipe_names

ROOT = Path(__file__).parents[2]
ESCAPE = "\033["


def run(*words, cwd=None, path=ROOT):
    line = [sys.executable, "-m", "mindcv", *words]
    return subprocess.run(
        line, cwd=cwd, env={**os.environ, "PYTHONPATH": str(path)}, capture_output=True, text=True, timeout=120
    )


def output_on_terminal(*words, **environment):
    """Return what the command writes to a pseudo-terminal."""
    reader, terminal = pty.openpty()
    variables = {**os.environ, "TERM": "xterm", "PYTHONPATH": str(ROOT), **environment}
    variables = {name: value for name, value in variables.items() if value}
    subprocess.run([sys.executable, "-m", "mindcv", *words], env=variables, stdout=terminal, timeout=120, check=True)
    os.close(terminal)
    text = b""
    while True:
        try:
            text += (part := os.read(reader, 4096))
        except OSError:  # the other end is closed
            break
        if not part:
            break
    os.close(reader)
    return text.decode()


def test_list_prints_the_models_of_the_library(capsys):
    assert main(["list"]) == 0
    assert capsys.readouterr().out.split() == model_names() == mindcv.list_models()


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*tiny*", ["convit_tiny", "convit_tiny_plus", "deit_tiny"]),
        ("base", ["convit_base", "convit_base_plus", "deit_base"]),
        ("convit_small", ["convit_small", "convit_small_plus"]),
        ("*l_plus", ["convit_small_plus"]),
    ],
)
def test_list_selects_by_pattern_or_part(pattern, found, capsys):
    assert main(["list", pattern]) == 0
    assert capsys.readouterr().out.split() == found


@pytest.mark.parametrize(
    "words", [["list"], ["--help"], ["train", "--help"], ["info", "--help"], ["convert", "--help"]]
)
def test_light_command_does_not_import_mindspore(words):
    code = f"""
import sys
from mindcv.__main__ import main
try:
    main({words!r})
except SystemExit:
    pass
sys.exit('mindspore' in sys.modules)"""
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


MISTAKES = {
    "command": (["trian"], "mindcv: no command 'trian'; did you mean 'train'? (mindcv --help lists them)"),
    "model": (["info", "convit_tinny"], "mindcv info: no model is called 'convit_tinny'; did you mean 'convit_tiny'?"),
    "pattern": (["list", "*tinny*"], "mindcv list: no model matches '*tinny*'; did you mean 'deit_tiny'?"),
    "no word": (["info"], "mindcv info: error: the following arguments are required: MODEL (--help says more)"),
    "recipe": (
        ["train", "--config", "convit_tiny_digit"],
        "mindcv train: error: config: no file 'convit_tiny_digit'; did you mean 'convit_tiny_digits'?",
    ),
    "option": (
        ["validate", "--lerning_rate", "1"],
        "mindcv validate: error: unknown option 'lerning_rate'; did you mean lr or sampling_ratio? "
        "(--help lists them all)",
    ),
    "data": (["data", "check", "nowhere"], r"mindcv data: no folder nowhere.*"),
    "report": (["report", "nowhere"], r"mindcv report: nowhere: no metrics\.jsonl, .*"),
    "another script's option": (["train", "--image", "a.png"], r"mindcv train: error: image is an option of .*"),
    "layout": (["convert", "a", "b", "--to", "mindcw"], r"mindcv convert: error: argument --to: .*mindcw.*"),
    "checkpoint": (["inspect", "nowhere.ckpt"], r".*nowhere\.ckpt.*"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistake_is_one_line_and_exit_code_2(case, capsys):
    words, line = MISTAKES[case]
    try:
        code = main(words)
    except SystemExit as end:
        code = end.code
    out, error = capsys.readouterr()
    assert (code, out) == (2, "")
    assert error == line + "\n" or re.fullmatch(line + "\n", error), error


def test_ctrl_c_is_one_line_and_exit_code_130(capsys, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr("mindcv.cli.models.model_names", interrupted)
    assert main(["list"]) == 130
    assert capsys.readouterr().err == "mindcv list: interrupted\n"


def test_help_lists_every_command_and_recipe(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    commands = re.findall(r"^  (\w+)  ", text, re.M)
    others = {"list", "info", "recipe", "benchmark", "insight", "explore", "inspect", "data", "report"}
    others |= {"convert", "clean", "average", "doctor"}
    assert {*DESCRIPTIONS} | others == {*commands}
    assert {*recipe_names()} <= {*text.split()}
    for name in commands:
        with pytest.raises(SystemExit) as end:
            main([name, "--help"])
        assert end.value.code == 0
        assert capsys.readouterr().out.startswith(f"usage: mindcv {name} ")


def test_info_describes_the_model(golden):
    described = describe_model("convit_tiny")
    assert described["parameters"] == [f"{golden.facts('manifest')['convit_tiny']['parameters']:,}"]
    assert described["blocks"] == ["10 GPSA and 2 MHSA, 4 heads of width 48, 192 channels"]
    assert [line.split()[1] for line in described["weights"]] == ["mindcv:", "mindcv-910v2:", "fb:", "timm:"]
    assert "73.66" in described["weights"][0]
    assert described["recipes"] == [
        name for name in recipe_names() if name.startswith("convit_tiny") and "plus" not in name
    ]
    assert "convit_tiny_digits" in described["recipes"]


def test_bold_text_is_for_terminals_without_no_color():
    assert ESCAPE in output_on_terminal("--help", NO_COLOR="")
    assert ESCAPE not in output_on_terminal("--help", NO_COLOR="1")
    assert ESCAPE not in output_on_terminal("--help", TERM="dumb")
    piped = run("--help")
    assert ESCAPE not in piped.stdout
    assert piped.stderr == ""


def test_find_recipe_prefers_a_file_in_the_working_folder(tmp_path, monkeypatch):
    assert find_recipe("convit_tiny_digits").endswith("convit_tiny_digits.yaml")
    monkeypatch.chdir(tmp_path)
    Path("convit_tiny_digits").write_text("model: convit_base\n")
    assert find_recipe("convit_tiny_digits") == "convit_tiny_digits"


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["insight", "--help"]])
def test_help_on_ascii_output_is_printed(words):
    line = [sys.executable, "-m", "mindcv", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--help" in done.stdout or "usage" in done.stdout
