"""Who is left in a process group."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio

from trio_ssh.server.process_groups import existing, living, signal_group


async def test_who_has_ended_exists_and_does_not_live() -> None:
    """Until it is reaped; and then not even that."""
    process = await trio.lowlevel.open_process(["sleep", "1000"], start_new_session=True)
    group = {process.pid}
    assert existing(group) == await living(group) == group
    signal_group(process.pid, 9)
    await trio.to_thread.run_sync(os.waitid, os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert existing(group) == group
    if Path("/proc/self/stat").exists():  # noqa: ASYNC240
        assert await living(group) == set()
    await process.wait()
    assert existing(group) == set()
    signal_group(process.pid, 9)


@pytest.mark.parametrize("group", [-1, 0, 1])
def test_never_everybody(group: int) -> None:
    with pytest.raises(AssertionError):
        signal_group(group, 0)
