"""What the machine's processor can do, as far as it decides which cipher is the fastest."""

from __future__ import annotations

import platform
import sys
from functools import cache

from .suites import CHACHA20_POLY1305, DEFAULT_CIPHERS

CPUINFO_PATH = "/proc/cpuinfo"
CPUINFO_BYTES_MAX = 65536
"""The first processor's lines are enough; a machine of many has megabytes."""

_FLAG_LINES = ("flags", "features")  # x86; ARM
_HAVE_ALWAYS = frozenset(["ppc64le", "s390x"])  # their flags are told in other words, and all that Linux runs on have them
_HAVE_NEARLY_ALWAYS = frozenset(["amd64", "arm64", "aarch64", "x86_64"]) | _HAVE_ALWAYS


def default_ciphers() -> tuple[str, ...]:
    """The default order for this machine: AES-GCM first where the processor knows AES, else chacha20-poly1305."""
    if has_aes_instructions():
        return DEFAULT_CIPHERS
    return (CHACHA20_POLY1305, *(name for name in DEFAULT_CIPHERS if name != CHACHA20_POLY1305))


@cache
def has_aes_instructions() -> bool:
    """Does the processor have instructions for AES, with which AES-GCM is several times as fast as chacha20-poly1305?"""
    return processor_has_aes(_cpuinfo(), platform.machine())


def processor_has_aes(cpuinfo: str, machine: str) -> bool:
    """The same for a machine of which these are the text of /proc/cpuinfo ("" where there is none) and `platform.machine()`."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip().lower() in _FLAG_LINES and value.strip():
            return "aes" in value.lower().split() or machine in _HAVE_ALWAYS
    return machine.lower() in (_HAVE_ALWAYS if cpuinfo else _HAVE_NEARLY_ALWAYS)


def _cpuinfo() -> str:
    if sys.platform != "linux":
        return ""
    try:
        with open(CPUINFO_PATH, "rb") as file:
            return file.read(CPUINFO_BYTES_MAX).decode("ascii", "replace")
    except OSError:
        return ""
