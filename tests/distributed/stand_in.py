"""Stands in for train.py: launches itself, and each worker does what the command line says for its rank.

stand_in.py FOLDER RESTARTS DEED…    a DEED: ok, user, crash, save (and crash), die or hang; or, once told to stop,
wait (and save), fail (to save) or finish (the whole run)
"""

import os
import shlex
import signal
import sys
import time
from pathlib import Path

folder, restarts, *deeds = sys.argv[1:]
role = os.environ.get("MS_ROLE")

if role is None:
    from mindcv.config import Config, ConfigError
    from mindcv.distributed import launch, workers

    workers.LAST_WORDS = 0.5
    deeds = [word for word in deeds if not word.startswith("--")]
    config = Config(distribute=True, num_devices=len(deeds), ckpt_save_dir=folder, max_restarts=int(restarts))
    try:
        sys.exit(launch(config, "train", sys.argv[1:]))
    except (ConfigError, OSError) as error:
        sys.exit(f"train.py: {error}")
elif role == "MS_WORKER":
    from mindcv.distributed import LAUNCHED, exit_with_parent

    exit_with_parent(int(os.environ[LAUNCHED]))
    rank = int(os.environ["RANK_ID"])
    every = os.environ["MS_RETRY_INTERVAL_UPPER"]
    print(f"rank {rank} with {shlex.join(deeds)}, looking for the others every {every} s", flush=True)
    Path(folder, f"pid-{rank}").write_text(str(os.getpid()))
    deed = deeds[rank]
    if deed in ("wait", "fail", "finish"):
        number = signal.sigwait((signal.SIGINT, signal.SIGTERM))  # both come blocked from the launcher
        time.sleep(0.5)
        print("train.py: cannot write a.ckpt: No space left on device" if deed == "fail" else "saved", flush=True)
        sys.exit({"wait": 128 + number, "fail": 2, "finish": 0}[deed])
    time.sleep(0.5)  # long enough for the launcher to have seen this worker
    if deed == "user":
        print("train.py: no folder /nowhere", flush=True)
        sys.exit(2)
    if deed == "save" and "--resume" not in deeds:
        Path(folder, "convit_tiny-1_5.ckpt").write_text("whole")
        deed = "crash"
    if deed == "crash":
        print("the last words", flush=True)
        sys.exit(5)
    if deed == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    while deed == "hang":
        time.sleep(0.1)
