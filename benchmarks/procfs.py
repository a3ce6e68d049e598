"""What the kernel says about a process and its descendants (Linux)."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PARENT, FIRST_TIME, LAST_TIME = 1, 11, 15  # in /proc/PID/stat, counted behind the name: ppid; utime, stime, cutime, cstime


def shows_memory() -> bool:
    """Not on every system; `pss_kib` is 0 then, and `cpu_seconds` too."""
    return Path("/proc/self/smaps_rollup").exists()


def cpu_seconds(pid: int) -> float:
    """Processor time of `pid` and all that descend from it, the ended and waited-for ones included."""
    return sum(sum(map(int, _stat(member)[FIRST_TIME:LAST_TIME])) for member in family(pid)) / TICKS


def pss_kib(pid: int) -> int:
    """Memory of `pid` and all that descend from it, in KiB; pages that several processes share count once."""
    return sum(_own_pss_kib(member) for member in family(pid))


def family(pid: int) -> list[int]:
    children: dict[int, list[int]] = defaultdict(list)
    for folder in Path("/proc").glob("[0-9]*"):
        fields = _stat(int(folder.name))
        if fields:
            children[int(fields[PARENT])].append(int(folder.name))
    members = [pid]
    for member in members:
        members += children[member]
    return members


def _stat(pid: int) -> list[str]:
    """Empty for a process that has ended meanwhile."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _own_pss_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
