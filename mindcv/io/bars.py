"""tqdm's progress bar: a notebook's own where it can show one, else one for terminals."""

import warnings

from tqdm import TqdmWarning

with warnings.catch_warnings():
    warnings.simplefilter("ignore", TqdmWarning)  # a notebook without ipywidgets gets the bar for terminals
    from tqdm.auto import tqdm

__all__ = ["tqdm"]
