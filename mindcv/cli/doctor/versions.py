"""Versions of Python, the packages, and the software of an accelerator, read without importing MindSpore."""

import os
import platform
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from mindcv.version import __version__

_VERSION = r"^version\s*=\s*(\S+)"
_CANN = {  # a file in CANN's folder, and how the version stands in it
    f"{platform.machine()}-linux/ascend_toolkit_install.info": _VERSION,
    "version.cfg": r"^toolkit_running_version=\[(?:[^:\]]*:)?([^\]]+)\]",
    "compiler/version.info": _VERSION,
}
_CUDA = {"version.json": r'"cuda"\s*:\s*\{[^}]*"version"\s*:\s*"([^"]+)"', "version.txt": r"^CUDA Version\s+(\S+)"}


def package_versions() -> dict[str, str]:
    """Return the versions of Python, mindcv-convit, MindSpore and NumPy ("" if not installed), and of the system."""
    versions = {"python": platform.python_version(), "mindcv-convit": __version__}
    for name in ("mindspore", "numpy"):
        versions[name] = ""
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return {**versions, "system": platform.platform()}


def complaint(versions: Mapping[str, str]) -> str:
    """Return what is wrong with the versions of MindSpore and NumPy, and what to do, in one line; "" if nothing is.

    Args:
        versions: What `package_versions` returns.
    """
    if not versions["mindspore"]:
        return "MindSpore is not installed: pip install mindspore"
    if not versions["numpy"]:
        return "NumPy is not installed: pip install 'numpy<2'"
    if _numbers(versions["mindspore"]) < (2, 7):
        return f"MindSpore is {versions['mindspore']}, wanted 2.7 or later: pip install -U mindspore"
    if _numbers(versions["numpy"]) >= (2,):
        return f"NumPy is {versions['numpy']}, with which MindSpore crashes: pip install 'numpy<2'"
    return ""


def accelerator_versions(root: Path = Path("/")) -> dict[str, str]:
    """Return the versions of CANN with driver and firmware, and of CUDA with its driver; those not found are left out.

    They are read from the files in which the installers record them: those of CANN and CUDA in the folders that
    ASCEND_HOME_PATH, ASCEND_TOOLKIT_HOME, CUDA_HOME and CUDA_PATH name, or else in the default folders.

    Args:
        root: The folder that stands for the root of the file system.
    """
    ascend = root / "usr/local/Ascend"
    found = {
        "CANN": _search(_folders("ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME"), _CANN)
        or _search([ascend / "cann", ascend / "ascend-toolkit/latest"], _CANN),
        "Ascend driver": _search([ascend / "driver"], {"version.info": _VERSION}),
        "Ascend firmware": _search([ascend / "firmware"], {"version.info": _VERSION}),
        "CUDA": _search([*_folders("CUDA_HOME", "CUDA_PATH"), root / "usr/local/cuda"], _CUDA),
        "NVIDIA driver": _search([root / "proc/driver/nvidia"], {"version": r"^NVRM version:.*?\s(\d+\.\d[.\d]*)"}),
    }
    return {name: version for name, version in found.items() if version}


def _folders(*variables: str) -> list[Path]:
    """Return the folders that these environment variables name, of those that are set."""
    return [Path(os.environ[name]) for name in variables if os.environ.get(name)]


def _search(folders: Iterable[Path], patterns: Mapping[str, str]) -> str:
    """Return the first group of the first match in the files of `folders`, or "".

    Args:
        folders: Folders, which may be missing.
        patterns: Regular expressions by the path of the file inside a folder, tried in this order.
    """
    for folder in folders:
        for file, pattern in patterns.items():
            with suppress(OSError):
                text = (folder / file).read_text(encoding="utf-8", errors="replace")
                if match := re.search(pattern, text, re.MULTILINE | re.IGNORECASE):
                    return match[1]
    return ""


def _numbers(version: str) -> tuple[int, ...]:
    """Return the numbers in a version: (2, 7, 0) of "2.7.0"."""
    return tuple(map(int, re.findall(r"\d+", version)))
