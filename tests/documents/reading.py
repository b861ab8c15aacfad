"""The documents, their code blocks, and which of them cannot run here."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
REASONS = {"network", "Ascend", "GPU", "ImageNet"}

PAIRS = [
    ("README.md", "README_CN.md"),
    ("configs/convit/README.md", "configs/convit/README_CN.md"),
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
    """A fenced block; `reason` says why it is not run, None that it is."""

    language: str
    text: str
    reason: str | None


def blocks(document: str) -> list[Block]:
    found = _BLOCK.finditer((ROOT / document).read_text())
    return [Block(m["language"], re.sub(rf"^{m['indent']}", "", m["text"], flags=re.M), m["reason"]) for m in found]


def commands(block: Block) -> list[str]:
    """The lines of a shell block, those that go on joined, without comments."""
    lines = re.sub(r"\\\n\s*", "", block.text).splitlines()
    return [line.split(" #")[0].strip() for line in lines if line.strip() and not line.startswith("#")]
