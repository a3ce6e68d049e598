"""Process groups: to signal one, and to see who is left in some."""

from __future__ import annotations

import contextlib
import os

import trio


def signal_group(group: int, number: int) -> None:
    """To everybody in it whom we may signal; it may be gone already."""
    assert group > 1  # 0 would be our own group, -1 and 1 would be everybody
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def existing(groups: set[int]) -> set[int]:
    """Those that somebody is in, be it somebody who has ended and is not reaped."""
    found = set()
    for group in groups:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            continue
        except PermissionError:  # somebody is, who is not ours
            pass
        found.add(group)
    return found


async def living(groups: set[int]) -> set[int]:
    """Those that somebody is in who has not ended. In a thread: on Linux all processes have to be looked at; elsewhere it is `existing`."""
    return await trio.to_thread.run_sync(_living, groups)


def _living(groups: set[int]) -> set[int]:
    if not os.path.exists("/proc/self/stat"):
        return existing(groups)
    found = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            # It ends while we look, or we may not look at it.
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                state, _parent, group = file.read().rpartition(b")")[2].split()[:3]  # proc_pid_stat(5); the name may hold anything
                if state not in b"ZX":
                    found.add(int(group))
    return found & groups
