"""Pictures written to a folder that the user names, under names that this program chose."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mindcv.io.files import atomic_write, first_bytes, put_foreign_aside

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SOFTWARE = "mindcv"  # what the files say wrote them


def save_figures(figures: Mapping[Path, "Figure"], dpi: int) -> None:
    """Write each figure to its PNG file; what something else wrote there is put aside first.

    Raises:
        OSError: a file cannot be written.
    """
    put_foreign_aside(dict.fromkeys(figures, is_picture))
    for path, figure in figures.items():
        with atomic_write(path) as temporary:
            figure.savefig(temporary, format="png", dpi=dpi, metadata={"Software": _SOFTWARE})


def is_picture(path: Path) -> bool:
    """Return whether `save_figures` wrote the file `path`."""
    return b"tEXtSoftware\0" + _SOFTWARE.encode() in first_bytes(path)
