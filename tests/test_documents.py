"""What the documents print is what the program does, in both languages."""

import re
from pathlib import Path

import pytest

import mindcv
from mindcv.config import parse

ROOT = Path(__file__).parents[1]
PAIRS = [("README.md", "README_CN.md"), ("configs/convit/README.md", "configs/convit/README_CN.md")]
DOCUMENTS = [name for pair in PAIRS for name in pair]


def blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / document).read_text(), re.S)


def commands(document: str) -> list[str]:
    lines = "\n".join(blocks(document, "shell")).replace("\\\n", " ").splitlines()
    return [line for line in lines if re.match(r"python (train|validate|infer|export)\.py ", line)]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_parses(document, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert commands(document)
    for command in commands(document):
        _, script, *words = re.sub(r"--ckpt_path \S+", "", command).split()
        assert parse(words, prog=script).config


@pytest.mark.parametrize("document", ["README.md", "README_CN.md"])
def test_the_messages_shown_are_the_messages_given(document, capsys):
    shown = re.findall(r"\$ python (\S+) (.*)\n(.*)\n", "".join(blocks(document, "console")))
    assert shown
    for script, words, message in shown:
        with pytest.raises(SystemExit):
            parse(words.split(), prog=script)
        assert capsys.readouterr().err == message + "\n"


@pytest.mark.parametrize(("english", "chinese"), PAIRS)
def test_both_languages_give_the_same_code_and_figures(english, chinese):
    for language in ("python", "console", "bibtex"):
        assert blocks(english, language) == blocks(chinese, language)
    assert commands(english) == commands(chinese)
    figures = [re.findall(r"\d[\d,]*\.?\d+", (ROOT / document).read_text()) for document in (english, chinese)]
    assert sorted(figures[0]) == sorted(figures[1])


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_inside_the_repository_leads_somewhere(document):
    here = ROOT / document
    links = re.findall(r"\]\((?!https?://)([^)#]+)", here.read_text())
    assert links
    assert [link for link in links if not (here.parent / link).exists()] == []


def test_every_make_target_the_readme_names_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = set(re.findall(r"make ([a-z-]+)  ", (ROOT / "README.md").read_text()))
    assert {"demo", "test", "test-all", "lint"} <= named <= targets


@pytest.mark.parametrize("document", ["README.md", "README_CN.md"])
def test_the_table_has_the_parameters_counted_by_the_authors_code(document, golden):
    rows = dict(re.findall(r"^\| `(convit_\w+)` \| ([\d,]+) ", (ROOT / document).read_text(), re.M))
    counted = {name: f"{case['parameters']:,}" for name, case in golden.facts("manifest").items()}
    assert rows == counted


def test_one_version_everywhere():
    assert f"\nversion: {mindcv.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    latest = re.search(r"^## (\S+?),", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert latest[1] == mindcv.__version__
