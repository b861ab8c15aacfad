"""A stand-in for the process of `mindcv doctor`, without MindSpore: its checks do what their names say."""

import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType


def find_device(options):
    if "broken" in options:
        raise ValueError("device_target: Ascend is not available\nmore about it")
    return "a device", {"device_target": "CPU"}


def passes(_options):
    return "fast", {"process": os.getpid()}


def fails(_options):
    print("on the way")
    raise RuntimeError("-----\nno kernel")


def crashes(_options):
    os.abort()


def hangs(options):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    Path(options[0]).write_text(f"{os.getpid()} {child.pid}")
    time.sleep(60)


def is_skipped(_options):
    from mindcv.cli.doctor.result import Skipped

    raise Skipped("there is one device")


if __name__ == "__main__":
    checks = ModuleType("checks")
    vars(checks).update(globals(), resolve_here=list)
    sys.modules["mindcv.cli.doctor.checks"] = checks
    from mindcv.cli.doctor.__main__ import main

    sys.exit(main(*sys.argv[1:]))
