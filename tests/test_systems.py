"""The package on systems without what only POSIX has, and with another encoding of text than UTF-8: Windows."""

import os
import subprocess
import sys

from tests.images import write_image_folder

# Runs the commands given as arguments, separated by "--", in a process in which mindcv's modules cannot import what
# only POSIX systems have, nor open text without naming its encoding; `msvcrt` is a stand-in that locks nothing.
WITHOUT_POSIX = """
import builtins, os, signal, sys, types, warnings

import asyncio, psutil  # they read the system's settings when they are imported

missing, real = {"fcntl", "resource", "pwd", "grp", "termios"}, builtins.__import__

def imported(name, globals=None, *more, **named):
    if (globals or {}).get("__name__", "").startswith("mindcv"):
        if name in missing:
            raise ImportError(f"{name} does not exist on this system")
        if name == "msvcrt":
            return msvcrt
    return real(name, globals, *more, **named)

builtins.__import__ = imported
msvcrt = types.SimpleNamespace(LK_NBLCK=2, locking=lambda descriptor, mode, size: None)
for name in ("pthread_sigmask", "sigwait", "SIGKILL"):
    delattr(signal, name)
for name in ("pread", "sysconf"):
    delattr(os, name)
warnings.filterwarnings("error", category=EncodingWarning, module="mindcv")

from mindcv.__main__ import main

commands, words = [[]], sys.argv[1:]
for word in words:
    commands.append([]) if word == "--" else commands[-1].append(word)
for command in commands:
    print("ran", command[0], main(command) or 0)
"""
TINY = ["--device_target", "CPU", "--mode", "1", "--image_resize", "16", "--patch_size", "8", "--model", "convit_tiny"]
SHALLOW = ["--model_args", "depth=2", "local_up_to_layer=1"]


def run_without_posix(commands, folder, encoding):
    """Run commands in one process as above, with a console of another encoding than UTF-8, and return its output."""
    words = [word for command in commands for word in ["--", *command]][1:]
    done = subprocess.run(
        [sys.executable, "-X", "warn_default_encoding", "-c", WITHOUT_POSIX, *words],
        cwd=folder,
        capture_output=True,
        encoding=encoding,
        timeout=300,
        env={**os.environ, "PYTHONIOENCODING": f"{encoding}:strict"},
    )
    ended = [line for line in done.stdout.splitlines() if line.startswith("ran ")]
    assert ended == [f"ran {command[0]} 0" for command in commands], done.stderr
    return done.stdout


def test_commands_without_posix_modules_work(tmp_path):
    """The console's encoding lacks the characters of a class's name, which files have."""
    write_image_folder(tmp_path / "images", {"train": 4, "val": 4}, ["猫", "dog"])
    data = ["--dataset", "mindrecord", "--data_dir", "packed", "--batch_size", "4", "--num_parallel_workers", "1"]
    model = [*TINY, "--ckpt_path", "run/convit_tiny-1_2.ckpt"]
    commands = [
        ["list"],
        ["data", "pack", "images", "packed", "--split", "train", "val"],
        ["train", *TINY, *SHALLOW, *data, "--epoch_size", "1", "--val_while_train", "False", "--distribute", "False",
         "--ckpt_save_dir", "run"],
        ["validate", *model, *data],
        ["infer", *model, "--image", "images/val", "--topk", "2", "--output", "predictions.csv"],
        ["export", *model],
    ]  # fmt: skip
    output = run_without_posix(commands, tmp_path, "cp1252")
    assert output.count("?") >= 8, "each of 8 images has its two classes in the printed table"
    assert "猫" in (tmp_path / "predictions.csv").read_text(encoding="utf-8")
    assert (tmp_path / "convit_tiny.mindir").is_file()
    assert not list(tmp_path.glob("**/*.tmp"))


def test_commands_on_a_chinese_console_print_their_text(tmp_path):
    output = run_without_posix([["list"], ["info", "convit_tiny"]], tmp_path, "cp936")
    assert "convit_tiny" in output
