"""Runs commands, here or inside a network namespace, and waits for conditions with a deadline.

Called by: everything in the harness.
"""

import os
import shutil
import subprocess
import time


class LabError(Exception):
    """Something the lab needs did not work; the text says what, in one sentence."""


def run(*argv, namespace=None, check=True, timeout=60, stdin=None, binary=False):
    """Runs a command to its end; returns the CompletedProcess with stdout and stderr as text (or bytes)."""
    argv = [str(word) for word in argv]
    if namespace:
        argv = ["ip", "netns", "exec", namespace] + argv
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, input=stdin, timeout=timeout,
                              text=not binary, errors=None if binary else "replace", check=False)
    except FileNotFoundError as error:
        raise LabError(f"{argv[0]}: no such program (see docker/packages/)") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"`{' '.join(argv)}` did not end within {timeout} s") from error
    if check and done.returncode != 0:
        text = done.stderr or done.stdout
        text = text.decode(errors="replace") if binary else text
        raise LabError(f"`{' '.join(argv)}` failed with {done.returncode}: {text.strip()}")
    return done


def output(*argv, **options):
    """The command's standard output, without the closing newline."""
    return run(*argv, **options).stdout.rstrip("\n")


def ip_batch(lines, namespace=None):
    """Runs many `ip` commands in one process: a lab of twelve namespaces is up in a second instead of ten."""
    argv = ["ip"] + (["-netns", namespace] if namespace else []) + ["-batch", "-"]
    run(*argv, stdin="\n".join(lines) + "\n")


def wait_until(condition, seconds, what=None, every=0.1):
    """Calls condition until it returns something true, and returns that; None (or LabError with `what`) at the end."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            if what:
                raise LabError(f"{what} (waited {seconds} s)")
            return None
        time.sleep(every)


def require_root():
    if os.geteuid() != 0:
        raise LabError("the lab makes network namespaces: run it as root")


def require_programs(*names):
    missing = [name for name in names if not shutil.which(name)]
    if missing:
        raise LabError(f"missing programs: {', '.join(missing)}; `docker/install-packages build lab` installs them")
