"""A stand-in for train.py without MindSpore: it launches itself, and each worker does what is given for its rank.

    stand_in.py FOLDER RESTARTS BEHAVIOUR...

A BEHAVIOUR is ok, user (a user's mistake), crash, save (a checkpoint, and crash), die (by SIGKILL) or hang; or, after a
signal, wait (save and stop), fail (to save) or finish (the run).
"""

import os
import shlex
import signal
import sys
import time
from pathlib import Path

folder, restarts, *behaviours = sys.argv[1:]
role = os.environ.get("MS_ROLE")

if role is None:
    from mindcv.config import Config, ConfigError
    from mindcv.distributed import launch, workers

    workers.LAST_WORDS = 0.5
    behaviours = [word for word in behaviours if not word.startswith("--")]
    config = Config(distribute=True, num_devices=len(behaviours), ckpt_save_dir=folder, max_restarts=int(restarts))
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
    if behaviour in ("wait", "fail", "finish"):
        number = signal.sigwait((signal.SIGINT, signal.SIGTERM))  # the launcher starts workers with both blocked
        time.sleep(0.5)
        print("train.py: cannot write a.ckpt: No space left on device" if behaviour == "fail" else "saved", flush=True)
        sys.exit({"wait": 128 + number, "fail": 2, "finish": 0}[behaviour])
    time.sleep(0.5)  # so that the launcher has found this worker
    if behaviour == "user":
        print("train.py: no folder /nowhere", flush=True)
        sys.exit(2)
    if behaviour == "save" and "--resume" not in behaviours:
        Path(folder, "convit_tiny-1_5.ckpt").write_text("a checkpoint")
        behaviour = "crash"
    if behaviour == "crash":
        print("the last words", flush=True)
        sys.exit(5)
    if behaviour == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    while behaviour == "hang":
        time.sleep(0.1)
