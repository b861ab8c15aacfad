"""The documents and their code blocks."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
REASONS = {"network", "Ascend", "GPU", "ImageNet"}

PAIRS = [
    ("README.md", "README_CN.md"),
    ("configs/convit/README.md", "configs/convit/README_CN.md"),
    ("configs/deit/README.md", "configs/deit/README_CN.md"),
    *(
        (f"docs/{page.name}", f"docs/{page.stem}.zh.md")
        for page in sorted(ROOT.glob("docs/*.md"))
        if ".zh" not in page.name
    ),
]
DOCUMENTS = [name for pair in PAIRS for name in pair]

_BLOCK = re.compile(
    r"(?:^ *<!-- not run: (?P<reason>.+?) -->\n)?^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$", re.M | re.S
)


class Block(NamedTuple):
    """A fenced block of code.

    Attributes:
        language: "python", "shell", "console", or "" for none.
        text: Its lines.
        reason: Why the tests do not run it, one of `REASONS`; None if they do.
    """

    language: str
    text: str
    reason: str | None


def blocks(document: str) -> list[Block]:
    """Return the fenced blocks of a document, which is named by its path in the repository."""
    found = _BLOCK.finditer((ROOT / document).read_text())
    return [Block(m["language"], re.sub(rf"^{m['indent']}", "", m["text"], flags=re.M), m["reason"]) for m in found]


def commands(block: Block) -> list[str]:
    """Return the commands of a shell block, without comments, continued lines joined."""
    lines = re.sub(r"\\\n\s*", "", block.text).splitlines()
    return [line.split(" #")[0].strip() for line in lines if line.strip() and not line.startswith("#")]
