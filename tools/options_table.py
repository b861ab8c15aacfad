"""An mkdocs hook that writes the tables of options in the guide from `mindcv.config.OPTIONS`.

In a page, `<!-- options -->` becomes the reference of all options, and `<!-- other names -->` the table of other tools'
names. The Chinese pages take their texts from `tools/options_zh.yml`; texts missing there stay English.
"""

from itertools import groupby
from pathlib import Path

import yaml

from mindcv.config import OPTIONS, Option
from mindcv.config.option_types import (
    Boolean,
    Choice,
    FilePaths,
    Integer,
    ListOf,
    Number,
    OneOf,
    Optional,
    OptionType,
    show,
)

CHINESE = Path(__file__).with_name("options_zh.yml")
_HEADS = {
    "en": ("option", "value", "default", "meaning", "at --resume", "only for", "elsewhere", "here"),
    "zh": ("选项", "取值", "默认", "含义", "恢复时更改", "仅用于", "在别处", "在这里"),
}
_ON_RESUME = {
    "en": {"refuse": "refused", "warn": "warning", "rates": "depends on the rates", "free": "allowed"},
    "zh": {"refuse": "拒绝", "warn": "警告", "rates": "取决于学习率", "free": "允许"},
}


def on_page_markdown(markdown: str, page, **_) -> str:
    """Return the Markdown of a page with its tables filled in; mkdocs calls this for every page."""
    language = "zh" if str(page.file.abs_src_path).endswith(".zh.md") else "en"
    markdown = markdown.replace("<!-- options -->", reference(language))
    return markdown.replace("<!-- other names -->", other_names(language))


def reference(language: str) -> str:
    """Return Markdown with a heading for each group and a table row for each option, in "en" or "zh"."""
    option, value, default, meaning, changed, only, *_ = _HEADS[language]
    texts = chinese() if language == "zh" else {"groups": {}, "options": {}}
    lines = []
    for group, rows in groupby(OPTIONS.values(), lambda row: row.group):
        heads = f"| {option} | {value} | {default} | {meaning} | {changed} |"
        lines += [f"## {texts['groups'].get(group, group)}", "", heads, "| --- | --- | --- | --- | --- |"]
        for row in rows:
            text = texts["options"].get(row.name, row.help)
            text += f" ({only} {', '.join(row.only)})" if row.only else ""
            cells = (
                f"`{row.name}`",
                _cell(values(row.type)),
                f"`{show(row.default)}`",
                _cell(text),
                _ON_RESUME[language][row.on_resume],
            )
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def other_names(language: str) -> str:
    """Return a Markdown table with a row for each option that has aliases, in "en" or "zh"."""
    *_, elsewhere, here = _HEADS[language]
    rows = [f"| {_names(row)} | `{row.name}` |" for row in OPTIONS.values() if row.aliases]
    return "\n".join([f"| {elsewhere} | {here} |", "| --- | --- |", *rows])


def chinese() -> dict[str, dict[str, str]]:
    """Return the Chinese texts: {"groups": {group: text}, "options": {name: text}}."""
    return yaml.safe_load(CHINESE.read_text(encoding="utf-8"))


def values(type: OptionType) -> str:
    """Return what an option accepts, in symbols: `0 ≤ X < 1`, `2 × (N ≥ 1)`, `a | b`."""
    if isinstance(type, Boolean):
        return "True | False"
    if isinstance(type, Number):
        return _interval("N" if isinstance(type, Integer) else "X", type)
    if isinstance(type, Choice):
        return " | ".join(map(str, type.values))
    if isinstance(type, ListOf):
        lengths = "/".join(map(str, type.lengths)) or "1…"
        return f"{lengths} × ({values(type.item)}){' ↑' * type.ordered}"
    if isinstance(type, FilePaths):
        return f"{type.metavar} …"
    if isinstance(type, OneOf):
        return " | ".join(map(values, type.types))
    if isinstance(type, Optional):
        return f"{values(type.type)} | none"
    return type.metavar


def _interval(letter: str, number: Number) -> str:
    """Return the limits of a number around a letter: `0 ≤ X < 1`, or `X ≥ 0` without an upper limit."""
    low, high = number.at_least, number.at_most
    low = f"{low} ≤ " if low is not None else f"{number.above} < " if number.above is not None else ""
    high = f" ≤ {high}" if high is not None else f" < {number.below}" if number.below is not None else ""
    if low and not high:
        limit, sign = low.split()
        return f"{letter} {'≥' if sign == '≤' else '>'} {limit}"
    return f"{low}{letter}{high}"


def _names(row: Option) -> str:
    return ", ".join(f"`{name}`" for name in row.aliases)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
