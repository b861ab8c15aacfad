"""Versions of the packages, and of CANN and CUDA as their installers record them, in stand-ins for the files."""

import platform

import pytest

from mindcv.cli.doctor.versions import accelerator_versions, complaint, package_versions

TOOLKIT = f"{platform.machine()}-linux/ascend_toolkit_install.info"
INSTALLED = "package_name=Ascend-cann-toolkit\nversion=8.2.RC1\ninnerversion=V100R001C22\ncompatible_version=[V100]\n"
CFG = "# version: 1.0\nruntime_running_version=[7.6.0.1.220:8.0.0]\ntoolkit_running_version=[7.6.0.1.220:8.0.RC3]\n"
DRIVER = "Version=25.2.0\nascendhal_version=7.35.19\npackage_version=25.2.0.1\n"
CUDA = (
    '{\n   "cuda" : {\n      "name" : "CUDA SDK",\n      "version" : "11.6.1"\n   },\n   "nvcc" : {"version" : "9"}\n}'
)
NVIDIA = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu Oct 19 18:56:32 UTC 2023\nGCC version: 12\n"
NVIDIA_OPEN = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  555.42.06  Release Build  (abuild@host)\n"

CASES = {
    "nothing": ({}, {}),
    "CANN 8": ({f"usr/local/Ascend/ascend-toolkit/latest/{TOOLKIT}": INSTALLED}, {"CANN": "8.2.RC1"}),
    "CANN 8.5": ({f"usr/local/Ascend/cann/{TOOLKIT}": INSTALLED}, {"CANN": "8.2.RC1"}),
    "older file": ({"usr/local/Ascend/ascend-toolkit/latest/version.cfg": CFG}, {"CANN": "8.0.RC3"}),
    "compiler's file": ({"usr/local/Ascend/cann/compiler/version.info": "Version=8.3.RC1\n"}, {"CANN": "8.3.RC1"}),
    "without a version": ({f"usr/local/Ascend/cann/{TOOLKIT}": "damaged \0"}, {}),
    "driver": (
        {"usr/local/Ascend/driver/version.info": DRIVER, "usr/local/Ascend/firmware/version.info": "Version=7.7.0\n"},
        {"Ascend driver": "25.2.0", "Ascend firmware": "7.7.0"},
    ),
    "CUDA": (
        {"usr/local/cuda/version.json": CUDA, "proc/driver/nvidia/version": NVIDIA},
        {"CUDA": "11.6.1", "NVIDIA driver": "535.129.03"},
    ),
    "older CUDA": (
        {"usr/local/cuda/version.txt": "CUDA Version 10.1.243\n", "proc/driver/nvidia/version": NVIDIA_OPEN},
        {"CUDA": "10.1.243", "NVIDIA driver": "555.42.06"},
    ),
}


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in ("ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME", "CUDA_HOME", "CUDA_PATH"):
        monkeypatch.delenv(name, raising=False)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize("case", CASES)
def test_accelerator_versions_are_read_from_the_installers_files(case, tmp_path):
    files, wanted = CASES[case]
    for name, text in files.items():
        write(tmp_path / name, text)
    assert accelerator_versions(tmp_path) == wanted


@pytest.mark.parametrize("variable", ["ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME"])
def test_accelerator_versions_prefer_the_folder_of_the_environment(variable, tmp_path, monkeypatch):
    write(tmp_path / f"usr/local/Ascend/cann/{TOOLKIT}", INSTALLED)
    write(tmp_path / f"mine/{TOOLKIT}", INSTALLED.replace("8.2.RC1", "8.3.RC1"))
    monkeypatch.setenv(variable, str(tmp_path / "mine"))
    assert accelerator_versions(tmp_path) == {"CANN": "8.3.RC1"}
    monkeypatch.setenv(variable, str(tmp_path / "nowhere"))
    assert accelerator_versions(tmp_path) == {"CANN": "8.2.RC1"}


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, ""),
        ({"mindspore": ""}, "MindSpore is not installed: pip install mindspore"),
        ({"mindspore": "2.5.0"}, "MindSpore is 2.5.0, wanted 2.7 or later: pip install -U mindspore"),
        ({"mindspore": "2.10.0rc1"}, ""),
        ({"numpy": "2.0.1"}, "NumPy is 2.0.1, with which MindSpore crashes: pip install 'numpy<2'"),
        ({"numpy": ""}, "NumPy is not installed: pip install 'numpy<2'"),
    ],
)
def test_complaint_names_the_package_and_the_remedy(changes, wanted):
    assert complaint({**package_versions(), **changes}) == wanted
