"""A stand-in for train.py without MindSpore: it launches itself, and each worker does what is given for its rank.

    stand_in.py FOLDER BEHAVIOUR...

A BEHAVIOUR is ok, user (a user's mistake), crash, hang, or wait (for a signal; then save and stop).
"""

import os
import shlex
import signal
import sys
import time
from pathlib import Path

folder, *behaviours = sys.argv[1:]
role = os.environ.get("MS_ROLE")

if role is None:
    from mindcv.config import Config, ConfigError
    from mindcv.distributed import launch, workers

    workers.LAST_WORDS = 0.5
    behaviours = [word for word in behaviours if not word.startswith("--")]
    config = Config(distribute=True, num_devices=len(behaviours), ckpt_save_dir=folder)
    try:
        sys.exit(launch(config, "train", sys.argv[1:]))
    except (ConfigError, OSError) as error:
        sys.exit(f"train.py: {error}")
elif role == "MS_WORKER":
    from mindcv.distributed import LAUNCHED, exit_with_parent

    exit_with_parent(int(os.environ[LAUNCHED]))
    rank = int(os.environ["RANK_ID"])
    every = os.environ["MS_RETRY_INTERVAL_UPPER"]
    print(f"rank {rank} with {shlex.join(behaviours)}, looking for the others every {every} s", flush=True)
    Path(folder, f"pid-{rank}").write_text(str(os.getpid()))
    behaviour = behaviours[rank]
    if behaviour == "wait":
        number = signal.sigwait((signal.SIGINT, signal.SIGTERM))  # the launcher starts workers with both blocked
        time.sleep(0.5)
        print("saved", flush=True)
        sys.exit(128 + number)
    time.sleep(0.5)  # so that the launcher has found this worker
    if behaviour == "user":
        print("train.py: no folder /nowhere", flush=True)
        sys.exit(2)
    if behaviour == "crash":
        print("the last words", flush=True)
        sys.exit(5)
    while behaviour == "hang":
        time.sleep(0.1)
