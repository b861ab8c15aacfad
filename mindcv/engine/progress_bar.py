"""Progress bars on terminals and in notebooks."""

import os

from mindcv.distributed import BARS
from mindcv.io.bars import tqdm


def progress_bar(total: int, title: str, unit: str, visible: bool, initial: int = 0) -> tqdm:
    """Return a progress bar, hidden unless a notebook or a terminal shows it, directly or through the launcher.

    Args:
        total: Number of units.
        title: Text before the bar.
        unit: Name of a unit, such as "step".
        visible: Whether this worker shows bars.
        initial: Units that are done already.
    """
    hidden = not visible or (None if BARS not in os.environ else False)
    return tqdm(total=total, desc=title, unit=unit, disable=hidden, leave=False, initial=initial)
