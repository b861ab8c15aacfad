"""The tables of options in the guide, made from `mindcv.config.OPTIONS` while mkdocs builds it.

In a page, `<!-- options -->` becomes the reference, and `<!-- other names -->` the table of what other tools call them.
The Chinese pages take their words from `tools/options_zh.yml`; what stands nowhere there stays English.
"""

from itertools import groupby
from pathlib import Path

import yaml

from mindcv.config import OPTIONS, Option
from mindcv.config.option_types import Boolean, Choice, FilePaths, Integer, ListOf, Number, OneOf, Optional, show

CHINESE = Path(__file__).with_name("options_zh.yml")
_HEADS = {
    "en": ("option", "value", "default", "meaning", "at --resume", "only of", "elsewhere", "here"),
    "zh": ("选项", "取值", "默认", "含义", "恢复时更改", "仅用于", "在别处", "在这里"),
}
_ON_RESUME = {
    "en": {"refuse": "refused", "warn": "warned of", "rates": "by the rates", "free": "free"},
    "zh": {"refuse": "拒绝", "warn": "警告", "rates": "看学习率", "free": "随意"},
}


def on_page_markdown(markdown: str, page, **_) -> str:
    """mkdocs's hook: fill in the tables of a page."""
    language = "zh" if str(page.file.abs_src_path).endswith(".zh.md") else "en"
    markdown = markdown.replace("<!-- options -->", reference(language))
    return markdown.replace("<!-- other names -->", other_names(language))


def reference(language: str) -> str:
    """A heading for each group and a row for each option, in Markdown."""
    option, value, default, meaning, changed, only, *_ = _HEADS[language]
    said = chinese() if language == "zh" else {"groups": {}, "options": {}}
    lines = []
    for group, rows in groupby(OPTIONS.values(), lambda row: row.group):
        heads = f"| {option} | {value} | {default} | {meaning} | {changed} |"
        lines += [f"## {said['groups'].get(group, group)}", "", heads, "| --- | --- | --- | --- | --- |"]
        for row in rows:
            text = said["options"].get(row.name, row.help)
            text += f" ({only} {', '.join(row.only)})" if row.only else ""
            cells = (
                f"`{row.name}`",
                _cell(values(row.kind)),
                f"`{show(row.default)}`",
                _cell(text),
                _ON_RESUME[language][row.on_resume],
            )
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def other_names(language: str) -> str:
    """A row for each option that other tools call otherwise."""
    *_, elsewhere, here = _HEADS[language]
    rows = [f"| {_names(row)} | `{row.name}` |" for row in OPTIONS.values() if row.aliases]
    return "\n".join([f"| {elsewhere} | {here} |", "| --- | --- |", *rows])


def chinese() -> dict[str, dict[str, str]]:
    """The groups' and the options' Chinese texts."""
    return yaml.safe_load(CHINESE.read_text(encoding="utf-8"))


def values(kind) -> str:
    """What an option may be, in signs that need no language: `0 ≤ X < 1`, `2 × (N ≥ 1)`, `a | b`."""
    if isinstance(kind, Boolean):
        return "True | False"
    if isinstance(kind, Number):
        return _span("N" if isinstance(kind, Integer) else "X", kind)
    if isinstance(kind, Choice):
        return " | ".join(map(str, kind.values))
    if isinstance(kind, ListOf):
        counts = "/".join(map(str, kind.counts)) or "1…"
        return f"{counts} × ({values(kind.each)}){' ↑' * kind.ordered}"
    if isinstance(kind, FilePaths):
        return f"{kind.metavar} …"
    if isinstance(kind, OneOf):
        return " | ".join(map(values, kind.kinds))
    if isinstance(kind, Optional):
        return f"{values(kind.kind)} | none"
    return kind.metavar


def _span(letter: str, kind: Number) -> str:
    low, high = kind.at_least, kind.at_most
    low = f"{low} ≤ " if low is not None else f"{kind.above} < " if kind.above is not None else ""
    high = f" ≤ {high}" if high is not None else f" < {kind.below}" if kind.below is not None else ""
    if low and not high:
        bound, sign = low.split()
        return f"{letter} {'≥' if sign == '≤' else '>'} {bound}"
    return f"{low}{letter}{high}"


def _names(row: Option) -> str:
    return ", ".join(f"`{name}`" for name in row.aliases)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
