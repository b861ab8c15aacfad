"""train.py, but that each worker leaves a digest of the weights that it ends with in the folder $NOTES."""

import hashlib
import os
import sys
from pathlib import Path

from mindcv.cli.scripts import run_script

if os.environ.get("MS_ROLE") == "MS_WORKER":
    from mindcv.engine import training

    loop = training._loop

    def loop_and_note(run, *more):
        loop(run, *more)
        weights = hashlib.sha256(b"".join(p.asnumpy().tobytes() for p in run.model.get_parameters()))
        Path(os.environ["NOTES"], str(run.group.rank)).write_text(weights.hexdigest())

    training._loop = loop_and_note

sys.exit(run_script("train", ""))
