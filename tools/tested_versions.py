"""A plugin of pytest that records how the tests went with this MindSpore and Python, and rewrites the tables.

`make test-version` loads it. The record is benchmarks/results/versions.json; the tables are those of the README and the
install page, in both languages. Interrupted runs are not recorded.
"""

import json
import platform
import re
from datetime import date
from importlib.metadata import version
from pathlib import Path

RECORD = "benchmarks/results/versions.json"
DOCUMENTS = ["README.md", "README_CN.md", "docs/install.md", "docs/install.zh.md"]
_TABLE = re.compile(r"^(\| MindSpore \| Python \| NumPy \|.*\n\|[-:| ]+\n)((?:\|.*\n)*)", re.M)


def pytest_terminal_summary(terminalreporter, exitstatus, config):
    """Record the run; of parallel test processes, the first one alone calls this, with the results of all."""
    if exitstatus <= 1:  # all tests passed, or some failed
        write_record(config.rootpath, {name: len(tests) for name, tests in terminalreporter.stats.items()})


def write_record(root: Path, counts: dict[str, int]) -> None:
    """Put a run into the record and the tables, in place of an earlier one with the same MindSpore and Python.

    Args:
        root: The project's folder.
        counts: Number of tests by pytest's names of their outcomes; "error" is counted as failed.
    """
    leg = {
        "mindspore": version("mindspore"),
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "system": f"{platform.system()} {platform.machine()}",
        "date": date.today().isoformat(),
        "passed": counts.get("passed", 0),
        "failed": counts.get("failed", 0) + counts.get("error", 0),
        "skipped": counts.get("skipped", 0),
    }
    path = root / RECORD
    legs = [other for other in json.loads(path.read_text()) if _key(other) != _key(leg)]
    legs = sorted([*legs, leg], key=_key)
    path.write_text(json.dumps(legs, indent=1) + "\n")
    for document in DOCUMENTS:
        text = (root / document).read_text(encoding="utf-8")
        text = _TABLE.sub(lambda table: table[1] + "".join(f"{line}\n" for line in rows(legs)), text)
        (root / document).write_text(text, encoding="utf-8")


def rows(legs: list[dict]) -> list[str]:
    """Return the tables' row of each leg of the record."""
    return ["| " + " | ".join(f"{x:,}" if isinstance(x, int) else x for x in leg.values()) + " |" for leg in legs]


def table_rows(text: str) -> list[str]:
    """Return the rows of the table of versions in a document's text."""
    return _TABLE.search(text)[2].splitlines()


def _key(leg: dict) -> tuple[list[int], list[int]]:
    """Return the numbers of a leg's MindSpore and of its Python's minor version."""
    mindspore, python = (list(map(int, re.findall(r"\d+", leg[name]))) for name in ("mindspore", "python"))
    return mindspore, python[:2]
