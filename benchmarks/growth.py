"""Measure how time and memory of ConViT grow with tokens, batch, depth and width, beside timm, in float32.

    python benchmarks/growth.py [CASE …] --timm PYTHON [--turns 9] [--json FILE]

The programs take turns as in speed.py. Tokens grow at batch 1, depth and width at 196 tokens and batch 8. When all
cases are measured, the output ends with the table of README: a row per size, and the growth exponents from the smallest
to the largest of each quantity, log(cost ratio) / log(size ratio).
"""

import math
from collections.abc import Iterator

from speed import OURS, Case, measure

PEER = "timm eager"
BOTH = (OURS, PEER)
TINY = "convit_tiny"

# Sizes of each quantity, and the case to measure at each.
SERIES = {
    "tokens": {(side // 16) ** 2: Case(TINY, side, 1, contestants=BOTH) for side in (224, 448, 896)},
    "batch": {batch: Case(TINY, batch=batch, contestants=BOTH) for batch in (1, 8, 64)},
    "depth": {
        6: Case(TINY, arguments={"depth": 6, "local_up_to_layer": 4}, contestants=BOTH),
        12: Case(TINY, contestants=BOTH),
        24: Case(TINY, arguments={"depth": 24, "local_up_to_layer": 22}, contestants=BOTH),
    },
    "width": {
        width: Case(f"convit_{name}", contestants=BOTH)
        for width, name in ((192, "tiny"), (432, "small"), (768, "base"))
    },
}
HEAD = """\
| | forward, ms | timm's | peak, MiB | timm's | training step, ms | timm's | peak, MiB | timm's |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"""


def cases() -> dict[str, Case]:
    """Return all cases by name, those that several quantities share only once."""
    every = [
        case._replace(train=train) for sizes in SERIES.values() for case in sizes.values() for train in (False, True)
    ]
    return {name_of(case): case for case in every}


def name_of(case: Case) -> str:
    """Return the name of a case on the command line, such as "convit_tiny-224-8-depth24-train"."""
    depth = [f"depth{case.arguments['depth']}"] if case.arguments else []
    return "-".join([case.model, str(case.image), str(case.batch), *depth, "train" if case.train else "forward"])


def costs(measured: dict[str, dict], quantity: str, size: int) -> list[float]:
    """Return the eight figures of a row of the table, in the order of `HEAD`: milliseconds, and MiB."""
    figures = []
    case = SERIES[quantity][size]
    for train in (False, True):
        rows = {row["name"]: row for row in measured[name_of(case._replace(train=train))]["rows"]}
        ours_and_timms = [rows[contestant] for contestant in BOTH]
        figures += [1e3 * case.batch / row["images_per_second"] for row in ours_and_timms]
        figures += [row["peak_mib"] for row in ours_and_timms]
    return figures


def table(measured: dict[str, dict]) -> Iterator[str]:
    """Yield the lines of the Markdown table.

    Args:
        measured: Title, date and rows by case, as `speed.measure` returns.
    """
    yield HEAD
    for quantity, sizes in SERIES.items():
        rows = {size: costs(measured, quantity, size) for size in sizes}
        for size, row in rows.items():
            yield f"| {quantity} {size:,} | " + " | ".join(f"{cost:,.0f}" for cost in row) + " |"
        (small, first), *_, (large, last) = rows.items()
        ratio = math.log(large / small)
        exponents = [math.log(b / a) / ratio for a, b in zip(first, last, strict=True)]
        yield f"| **exponent, {quantity}** | " + " | ".join(f"{exponent:.2f}" for exponent in exponents) + " |"


def is_complete(measured: dict[str, dict]) -> bool:
    """Return whether all cases were measured with both programs."""
    return all(name in measured and not any("absent" in row for row in measured[name]["rows"]) for name in cases())


if __name__ == "__main__":
    results = measure(cases(), __doc__)
    if is_complete(results):
        print(*table(results), sep="\n")
