"""Progress bars on terminals."""

import os

from tqdm import tqdm

from mindcv.distributed import BARS


def progress_bar(total: int, title: str, unit: str, visible: bool, initial: int = 0) -> tqdm:
    """Return a progress bar on standard error, hidden unless a terminal shows it, directly or through the launcher.

    Args:
        total: Number of units.
        title: Text before the bar.
        unit: Name of a unit, such as "step".
        visible: Whether this worker shows bars.
        initial: Units that are done already.
    """
    hidden = not visible or (None if BARS not in os.environ else False)
    return tqdm(total=total, desc=title, unit=unit, disable=hidden, leave=False, initial=initial)
