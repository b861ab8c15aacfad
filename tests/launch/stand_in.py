"""Stands in for train.py: launches itself, and each worker does what the command line says for its rank.

stand_in.py FOLDER RESTARTS DEED…    a DEED: ok, user, crash, die, hang, or wait (until told to stop)
"""

import os
import signal
import sys
import time
from pathlib import Path

folder, restarts, *deeds = sys.argv[1:]
role = os.environ.get("MS_ROLE")

if role is None:
    from mindcv.config import Config, ConfigError
    from mindcv.launch import launch

    deeds = [word for word in deeds if not word.startswith("--")]
    config = Config(distribute=True, num_devices=len(deeds), ckpt_save_dir=folder, max_restarts=int(restarts))
    try:
        sys.exit(launch(config, "train", sys.argv[1:]))
    except (ConfigError, OSError) as error:
        sys.exit(f"train.py: {error}")
elif role == "MS_WORKER":
    from mindcv.launch import end_with_parent

    end_with_parent()
    rank = int(os.environ["RANK_ID"])
    print(f"rank {rank} with {' '.join(deeds)}", flush=True)
    Path(folder, f"pid-{rank}").write_text(str(os.getpid()))
    deed = deeds[rank]
    if deed == "wait":
        signal.signal(signal.SIGTERM, lambda *_: (print("saved", flush=True), sys.exit(143)))
        Path(folder, "waiting").touch()
    time.sleep(1)  # long enough for the launcher to have seen this worker
    if deed == "user":
        sys.exit("train.py: no folder /nowhere") if rank == 0 else (print("train.py: no folder /nowhere"), sys.exit(2))
    if deed == "crash" and "--resume" not in deeds:
        print("the last words", flush=True)
        sys.exit(5)
    if deed == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    while deed in ("hang", "wait"):
        time.sleep(0.1)
