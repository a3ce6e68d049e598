"""A session's process that cannot be started: told to the client, and nobody is signalled (hardening E12)."""

from __future__ import annotations

import errno
import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import attrs
import pytest

import trio_ssh
from tests import pairs

ACCOUNT = getpass.getuser()
STARTER = "trio/_subprocess.py"
SIGNALLING = frozenset({"kill", "killpg", "pidfd_send_signal"})


@attrs.define(eq=False)
class Watch:
    """What happened while starting failed."""

    attempts: int = 0
    signalled: list[str] = attrs.field(factory=list)


@contextmanager
def nothing_can_be_started(error: OSError) -> Iterator[Watch]:
    """Each start of a process raises `error`, as fork does when the machine is full; every signal to a process is noted."""
    watch = Watch()

    def hook(frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_name in ("open_process", "_open_process") and code.co_filename.endswith(STARTER):
            watch.attempts += 1
            raise error
        if event == "c_call" and getattr(argument, "__name__", "") in SIGNALLING:
            watch.signalled.append(f"{argument} from {code.co_name}")

    sys.setprofile(hook)
    try:
        yield watch
    finally:
        sys.setprofile(None)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


async def run(client: trio_ssh.Client, way: str) -> tuple[int | None, bytes]:
    """The exit status, and all that came."""
    if way == "command":
        result = await client.run_process("echo fine", check=False)
        return result.exit_status, result.stdout + result.stderr
    output = bytearray()
    async with client.open_shell(trio_ssh.Terminal()) as process:
        async for chunk in process.stdout:
            output += chunk
        return await process.wait(), bytes(output)


FULL = [OSError(number, os.strerror(number)) for number in (errno.EAGAIN, errno.ENOMEM, errno.EMFILE)]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts the files that are open by /proc")
@pytest.mark.parametrize("way", ["command", "shell at a terminal"])
@pytest.mark.parametrize("error", FULL, ids=lambda error: errno.errorcode[error.errno])
async def test_e12_a_process_that_cannot_be_started(error, way):
    """The client gets a status and the reason; no process is signalled, no file stays open, and the next command runs."""
    async with pairs.connected(trio_ssh.login_shell(account=ACCOUNT)) as ends:
        assert await run(ends.client, "command") == (0, b"fine\n")
        before = open_files()
        with nothing_can_be_started(error) as watch:
            status, output = await run(ends.client, way)
        assert status not in (0, None)
        assert error.strerror.encode() in output
        assert watch.attempts > 0
        assert watch.signalled == []
        assert open_files() == before
        assert await run(ends.client, "command") == (0, b"fine\n")


async def test_e12_signals_for_what_could_not_be_started():
    """The client asks for signals and leaves: there is nobody who could be meant, and so nobody gets any."""
    with nothing_can_be_started(FULL[0]) as watch:
        async with pairs.connected(trio_ssh.login_shell(account=ACCOUNT), leaves_channels=True) as ends:
            async with ends.client.open_process("echo") as process:
                process.send_signal("KILL")
                process.send_signal("TERM")
                assert await process.wait() not in (0, None)
    assert watch.attempts == 1
    assert watch.signalled == []


def test_e12_no_module_signals_by_number_but_through_what_has_started():
    """`os.kill` and its like stand in one module, and that one asserts that the number is a process group's."""
    root = Path(trio_ssh.__file__).parent
    calls = {
        f"{path.relative_to(root)}"
        for path in root.rglob("*.py")
        for call in ("os.kill(", "os.killpg(", "signal.pthread_kill(", "pidfd_send_signal(")
        if call in path.read_text()
    }
    assert calls == {"server/process_groups.py"}
