"""The documents agree with the program, and their two languages with each other."""

import json
import math
import re
from pathlib import Path

import pytest

import mindcv
from mindcv.config import parse
from tests.documents.reading import DOCUMENTS, PAIRS, ROOT, blocks, commands


def texts(document: str, language: str) -> list[str]:
    """Return the text of the document's blocks in a language, such as "console"."""
    return [block.text for block in blocks(document) if block.language == language]


@pytest.mark.parametrize("document", ["README.md", "README_CN.md", "docs/first_run.md", "docs/first_run.zh.md"])
def test_console_blocks_show_the_messages_of_the_parser(document, capsys):
    shown = re.findall(r"\$ python (\S+) (.*)\n(.*)\n", "".join(texts(document, "console")))
    assert shown
    for script, words, message in shown:
        with pytest.raises(SystemExit):
            parse(words.split(), prog=script)
        assert capsys.readouterr().err == message + "\n"


@pytest.mark.parametrize(("english", "chinese"), PAIRS)
def test_both_languages_have_the_same_code_and_figures(english, chinese):
    assert _code(english) == _code(chinese)
    figures = [re.findall(r"\d[\d,]*\.?\d+", (ROOT / document).read_text()) for document in (english, chinese)]
    assert sorted(figures[0]) == sorted(figures[1])


def _code(document: str) -> list:
    """Return reason and text of every block; of shell blocks the commands, since comments are translated."""
    code = [block for block in blocks(document) if block.language]
    return [(block.reason, commands(block) if block.language == "shell" else block.text) for block in code]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_inside_the_repository_have_a_target(document):
    here = ROOT / document
    text = re.sub(r"^ *```.*?^ *```$", "", here.read_text(), flags=re.M | re.S)
    for place, anchor in re.findall(r"\]\((?!https?://)([^)#\s]*)#?([^)\s]*)\)", text):
        target = here.parent / place if place else here
        if here.name.endswith(".zh.md") and target.suffix == ".md":  # as the builder of the site resolves it
            target = target.with_suffix(".zh.md")
        assert target.exists(), place
        assert not anchor or anchor in _anchors(target), f"{place}#{anchor}"


def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings: their own, or those that GitHub derives from the title."""
    headings = re.findall(r"^#+ (.+?)(?: \{ #(\S+) \})?$", page.read_text(), re.M)
    return {own or re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title, own in headings}


@pytest.mark.parametrize("chinese", [chinese for _, chinese in PAIRS])
def test_chinese_documents_have_no_english_lines(chinese):
    text = re.sub(r"^ *```.*?^ *```$|`[^`\n]*`|^    .*$", "", (ROOT / chinese).read_text(), flags=re.M | re.S)
    for line in text.splitlines():
        assert len(re.findall(r"[A-Za-z]{2,}", line)) < 12 or re.search(r"[\u4e00-\u9fff]", line) or "arxiv" in line, (
            line
        )


def test_make_targets_of_the_readme_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = set(re.findall(r"make ([a-z-]+)  ", (ROOT / "README.md").read_text()))
    assert {"demo", "test", "test-all", "lint"} <= named <= targets


@pytest.mark.parametrize("document", ["README.md", "README_CN.md"])
def test_model_table_has_the_parameter_counts_of_the_authors_code(document, golden):
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\d,]+) ", (ROOT / document).read_text(), re.M))
    counted = {
        name: f"{sum(math.prod(shape) for shape in case['shapes'].values()):,}"
        for name, case in (golden.facts("manifest") | golden.facts("deit")).items()
    }
    assert rows == counted


def test_version_is_the_same_in_citation_and_changelog():
    assert f"\nversion: {mindcv.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    latest = re.search(r"^## (\S+?),", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert latest[1] == mindcv.__version__


def cell(value: dict, form: str) -> str:
    """Return a mean and a deviation as the tables have them."""
    return f"{value['mean']:{form}} ± {value['deviation']:.2f}" if value["deviation"] else f"{value['mean']:{form}}"


@pytest.mark.parametrize("document", ["README.md", "README_CN.md"])
def test_sample_efficiency_table_has_the_figures_of_the_runs(document):
    record = json.loads((ROOT / "benchmarks/results/sample_efficiency.json").read_text())
    text = (ROOT / document).read_text()
    for row in record["rows"]:
        cells = [cell(row[family], ".2f") for family in ("convit", "deit")] + [cell(row["lead"], "+.2f")]
        p_value = "" if row["lead"]["p"] is None else row["lead"]["p"]
        assert f"| {row['images']:,} ({row['fraction']:.0%}) | {' | '.join(cells)} | {p_value} |" in text
