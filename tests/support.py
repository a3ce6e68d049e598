"""What several rooms of tests need: other people's programs, ports, and the watch over what a test leaves behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import threading
import time
from pathlib import Path

import attrs
import pytest


def under_ci() -> bool:
    """CI=true: what is missing is a failure, never a skip."""
    return os.environ.get("CI", "").lower() in ("true", "1", "yes")


def require_program(name: str) -> str:
    """The path of a program that a test runs against, such as ``sshd``; a missing one fails the test under CI and skips it elsewhere."""
    search = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])
    found = shutil.which(name, path=search)
    if found is None:
        text = f"the program {name!r} is not on this machine"
        if under_ci():
            pytest.fail(text)
        pytest.skip(text)
    return found


def free_port() -> int:
    """A TCP port of 127.0.0.1 that was free a moment ago, for programs that cannot be given port 0."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@attrs.frozen
class Holdings:
    """What this process holds: open files as (number, what it is), thread names, child process numbers (Linux; else empty)."""

    files: frozenset[tuple[int, str]]
    threads: frozenset[threading.Thread]
    children: frozenset[int]

    def beyond(self, before: Holdings) -> list[str]:
        """What is here that was not there before, in words."""
        return [
            *(f"file {number} ({what})" for number, what in sorted(self.files - before.files)),
            *(f"thread {thread.name!r}" for thread in self.threads - before.threads),
            *(f"child process {number} ({_command(number)})" for number in sorted(self.children - before.children)),
        ]


def holdings() -> Holdings:
    """What this process holds now. Trio's idle worker threads are trio's cache, not a leak."""
    threads = frozenset(t for t in threading.enumerate() if t.is_alive() and not t.name.startswith("Trio thread"))
    return Holdings(frozenset(_open_files()), threads, frozenset(_children()))


def leaks_since(before: Holdings, seconds: float) -> list[str]:
    """What is still held beyond `before` once `seconds` have been given to it to go; no time passes when nothing is."""
    deadline = time.monotonic() + seconds
    while (found := holdings().beyond(before)) and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    return found


def _open_files() -> list[tuple[int, str]]:
    folder = Path("/proc/self/fd")
    found: list[tuple[int, str]] = []
    if folder.is_dir():
        for name in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):  # the descriptor that listed the folder is gone by now
                found.append((int(name), os.readlink(folder / name)))
    return found


def _children() -> list[int]:
    found: list[int] = []
    for task in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found += map(int, task.read_text().split())
    return found


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip() or "ended, not waited for"
    except OSError:
        return "gone"
