"""Write matplotlib figures as PNG files that can be recognised as this program's."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mindcv.errors import printable
from mindcv.io.files import archive_foreign, atomic_write, first_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SOFTWARE = "mindcv"  # the PNG's Software entry


def save_figures(figures: Mapping[Path, "Figure"], dpi: int) -> None:
    """Write each figure to its PNG file; existing files of other programs are moved to `earlier-N` first.

    Older pictures of this program are replaced, each atomically.

    Args:
        figures: Figures by path, all in one folder, which exists.
        dpi: Pixels per inch.

    Raises:
        OSError: a file cannot be written.
    """
    archive_foreign(dict.fromkeys(figures, is_picture))
    for path, figure in figures.items():
        with atomic_write(path) as temporary:
            figure.savefig(temporary, format="png", dpi=dpi, metadata={"Software": _SOFTWARE})


def as_label(name: object, longest: int | None = None) -> str:
    """Return the text with which matplotlib draws a user's name, of a class, a file or a run, as it is.

    Of a name with more than `longest` characters the middle is left out, and control characters are escaped. matplotlib
    would otherwise read dollar signs as formulas, and leave a name that begins with "_" out of the legend.
    """
    text = printable(name)
    if longest and len(text) > longest:
        text = f"{text[: longest // 2]}…{text[-longest // 2 :]}"
    return " " * text.startswith("_") + text.replace("$", r"\$")


def is_picture(path: Path) -> bool:
    """Return whether `save_figures` wrote the file `path`; False if it cannot be read."""
    return b"tEXtSoftware\0" + _SOFTWARE.encode() in first_bytes(path)
