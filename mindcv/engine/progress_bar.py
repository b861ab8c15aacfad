"""Progress bars, where somebody can see them."""

import os

from tqdm import tqdm

from mindcv.distributed import BARS


def progress_bar(total: int, title: str, unit: str, visible: bool, initial: int = 0) -> tqdm:
    """A bar on standard error, if that is a terminal, or is shown on one by the launcher."""
    hidden = not visible or (None if BARS not in os.environ else False)
    return tqdm(total=total, desc=title, unit=unit, disable=hidden, leave=False, initial=initial)
