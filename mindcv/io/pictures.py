"""Write matplotlib figures as PNG files that can be recognised as this program's."""

import logging
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mindcv.errors import printable, warn_once
from mindcv.io.files import archive_foreign, atomic_write, first_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SOFTWARE = "mindcv"  # the PNG's Software entry


def save_figures(figures: Mapping[Path, "Figure"], dpi: int) -> None:
    """Write each figure to its PNG file; existing files of other programs are moved to `earlier-N` first.

    Older pictures of this program are replaced, each atomically. Characters that matplotlib's font lacks, such as
    Chinese, are drawn in another font of the system; if none has them, a warning says so.

    Args:
        figures: Figures by path, all in one folder, which exists.
        dpi: Pixels per inch.

    Raises:
        OSError: a file cannot be written.
    """
    archive_foreign(dict.fromkeys(figures, is_picture))
    for path, figure in figures.items():
        _complete_font(figure)
        with atomic_write(path) as temporary, warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph ", UserWarning)  # one for each missing character
            figure.savefig(temporary, format="png", dpi=dpi, metadata={"Software": _SOFTWARE})


def _complete_font(figure: "Figure") -> None:
    """Let the texts of a figure fall back to the installed font that has most characters that matplotlib's lacks."""
    from matplotlib.font_manager import FontProperties, findfont, findSystemFonts, fontManager
    from matplotlib.text import Text

    texts = figure.findobj(Text)
    characters = {character for text in texts for character in text.get_text() if not character.isspace()}
    missing, _ = _missing_in(findfont(FontProperties()), characters)
    if not missing:
        return
    files = [file for file in findSystemFonts() if "LastResort" not in file]  # which has boxes alone
    file = min(files, key=lambda file: len(_missing_in(file, missing)[0]), default="")
    left, family = _missing_in(file, missing)
    if len(left) < len(missing):
        fontManager.addfont(file)  # matplotlib's list may be older than the font
        logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # it warns if the font has one weight only
        for text in texts:
            text.set_fontfamily([*text.get_fontfamily(), family])
    if left:
        warn_once(
            f"no font of this machine has the character {left[0]}, which is drawn as a box: install one that has it, "
            "such as Noto Sans CJK"
        )


def _missing_in(font_file: str, characters: Iterable[str]) -> tuple[list[str], str]:
    """Return those characters that a font lacks, sorted, and its family; all of them and "" if it cannot be read."""
    from matplotlib.ft2font import FT2Font

    try:
        font = FT2Font(font_file)
    except (OSError, RuntimeError):
        return sorted(characters), ""
    return [character for character in sorted(characters) if not font.get_char_index(ord(character))], font.family_name


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
