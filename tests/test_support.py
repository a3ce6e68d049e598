"""The watch over leaks and the rule about missing programs, seen to bite."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.support import free_port, holdings, leaks_since, require_program

REPOSITORY = Path(__file__).parent.parent

LEAKING = """
import os, socket, subprocess, sys, threading
kept = []

def test_tidy():
    socket.socket().close()

def test_file():
    kept.append(socket.socket())

def test_thread():
    kept.append(threading.Thread(target=threading.Event().wait, args=(60,), daemon=True))
    kept[-1].start()

def test_child():
    kept.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True))

def test_failed():
    kept.append(socket.socket())
    assert False

def test_end():
    kept[2].stdin.close()
    kept[2].wait()
"""


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted by way of /proc")
def test_an_open_file_is_seen_until_it_is_closed() -> None:
    before = holdings()
    with socket.socket() as kept:
        assert [text.split()[:2] for text in leaks_since(before, 0)] == [["file", str(kept.fileno())]]
    assert leaks_since(before, 0) == []


def test_a_thread_is_seen_until_it_ends() -> None:
    before = holdings()
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name="lingering")
    thread.start()
    assert leaks_since(before, 0) == ["thread 'lingering'"]
    end.set()
    assert leaks_since(before, 10) == []
    thread.join()


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="child processes are counted by way of /proc")
def test_a_child_is_seen_until_it_is_waited_for() -> None:
    before = holdings()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert any(f"child process {child.pid} " in text for text in leaks_since(before, 0))
    child.communicate(b"\n")
    assert leaks_since(before, 0) == []


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="the watch is complete where there is a /proc")
def test_the_watch_stands_over_every_test(tmp_path: Path) -> None:
    """Each leak is one error, told with its test; a test that failed anyway is not blamed twice."""
    (tmp_path / "test_leaking.py").write_text(LEAKING)
    options = ["-q", "-c", os.devnull, "-o", "settle_seconds=0.1", "-p", "tests.conftest", "-p", "no:cacheprovider"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path)], cwd=REPOSITORY, capture_output=True, text=True, timeout=120
    )
    assert "1 failed, 5 passed, 3 errors" in run.stdout, run.stdout
    for test, what in {"test_file": "file", "test_thread": "thread", "test_child": "child process"}.items():
        told = run.stdout.partition(f"ERROR at teardown of {test} ")[2].partition("____")[2].partition("____ ")[0]
        assert f"left behind: {what}" in told or f", {what}" in told, run.stdout


def test_a_missing_program_fails_under_ci_and_skips_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no-such-program"):
        require_program("no-such-program")
    monkeypatch.setenv("CI", "")
    with pytest.raises(pytest.skip.Exception, match="no-such-program"):
        require_program("no-such-program")


def test_a_program_is_found_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "some-daemon"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert require_program("some-daemon") == str(program)


def test_a_free_port_can_be_bound() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", free_port()))
