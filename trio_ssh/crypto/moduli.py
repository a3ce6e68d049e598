"""The groups that a server chooses from in a group exchange (RFC 4419 §3): the built-in ones, or those of a moduli(5) file.

A file's line is ``time type tests tries size generator modulus``: `size` is one less than the modulus's bits, all numbers but the modulus
are decimal. A line is taken if its modulus is a safe prime (type 2) that was tested by more than a sieve and not found composite, and is of
a size that may be chosen; any other line is skipped.
"""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Callable
from functools import cache

import attrs

from ..errors import KeyExchangeError, KeyFileError, printable
from .group_exchange import BITS_MAX, BITS_MIN, BUILT_IN, Group

MODULI_FILE_BYTES_MAX = 1 << 20
"""Debian's file has 0.6 MB."""

_SAFE_PRIME = 2
_COMPOSITE = 1
_PROBABILISTIC_TESTS = 0x04 | 0x08 | 0x10  # Miller-Rabin, Jacobi, elliptic curve; 0x02 is a sieve only
_TRIALS_MIN = 4
_LINE = re.compile(rb"\d{1,14}[ \t]+(\d{1,3})[ \t]+(\d{1,3})[ \t]+(\d{1,9})[ \t]+(\d{1,5})[ \t]+(\d{1,9})[ \t]+([0-9A-Fa-f]{1,4096})")

_log = logging.getLogger("trio_ssh.moduli")


@attrs.frozen
class Moduli:
    """Groups to choose from; at least one, each of 2048 to 8192 bits. Make it by one of the functions below."""

    groups: tuple[Group, ...] = attrs.field(repr=lambda groups: f"{len(groups)} groups")

    @classmethod
    def built_in(cls) -> Moduli:
        """Groups 14 to 18 of RFC 3526, of 2048 to 8192 bits."""
        return _built_in()

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Moduli:
        """The groups of a moduli(5) file of at most 1 MiB. Raises `KeyFileError` if it cannot be read or has no group that can be used."""
        return cls.from_text(_read(path), path)

    @classmethod
    def from_text(cls, text: bytes | str, path: str | os.PathLike[str]) -> Moduli:
        """The same from the file's content; `path` is for error texts. How many lines were skipped is logged, if any were."""
        content = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
        lines = [line for line in map(bytes.strip, content.split(b"\n")) if line and not line.startswith(b"#")]
        taken = [group for line in lines if (group := _group(line)) is not None]
        shown = printable(os.fspath(path))
        if not taken:
            raise KeyFileError(f"{shown}: no group of {BITS_MIN} to {BITS_MAX} bits in it; make some with: ssh-keygen -M", path=shown)
        if len(taken) < len(lines):
            _log.warning("%s: skipped %d of %d lines: no tested safe prime of a size to use", shown, len(lines) - len(taken), len(lines))
        return cls(tuple(dict.fromkeys(taken)))

    def choose(self, bits_min: int, bits_wanted: int, bits_max: int, random: Callable[[int], bytes]) -> Group:
        """The group for a client that asks for these sizes: a random one of the smallest size that is as big as wanted, else the biggest.

        `random(n)` gives n unpredictable bytes. Raises `KeyExchangeError` for a request that makes no sense (hardening A17: the wanted
        size must lie within the other two and be 2048 to 8192), or when there is no group between the bounds.
        """
        if not (BITS_MIN <= bits_wanted <= BITS_MAX and bits_min <= bits_wanted <= bits_max):
            raise KeyExchangeError(f"the client asks for a group of {bits_min}, {bits_wanted}, {bits_max} bits, which makes no sense here")
        sizes = {group.bits for group in self.groups if bits_min <= group.bits <= bits_max}
        if not sizes:
            raise KeyExchangeError(f"there is no group of {bits_min} to {bits_max} bits here, as the client asks for")
        size = min((bits for bits in sizes if bits >= bits_wanted), default=max(sizes))
        fitting = [group for group in self.groups if group.bits == size]
        return fitting[int.from_bytes(random(8), "big") % len(fitting)]


@cache
def _built_in() -> Moduli:
    return Moduli(BUILT_IN)


def _group(line: bytes) -> Group | None:
    """The group of a line, or None for a line that is skipped."""
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    kind, tests, tries, size, generator = map(int, found.groups()[:5])
    prime = int(found[6], 16)
    is_tested = tests & _PROBABILISTIC_TESTS and not tests & _COMPOSITE and tries >= _TRIALS_MIN
    if kind != _SAFE_PRIME or not is_tested:
        return None
    # sshd takes a size that is off by one as well: old files have the modulus's own.
    if size not in (prime.bit_length() - 1, prime.bit_length()) or not BITS_MIN <= prime.bit_length() <= BITS_MAX:
        return None
    return Group(prime, generator) if prime % 2 == 1 and 1 < generator < prime - 1 else None


def _read(path: str | os.PathLike[str]) -> bytes:
    """A regular file of bounded size; never blocks on anything else."""
    shown = printable(os.fspath(path))
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise KeyFileError(f"{shown}: not a regular file", path=shown)
            with open(descriptor, "rb", closefd=False) as file:
                content = file.read(MODULI_FILE_BYTES_MAX + 1)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a path"
        raise KeyFileError(f"{shown}: cannot be read: {reason}", path=shown) from None
    if len(content) > MODULI_FILE_BYTES_MAX:
        raise KeyFileError(f"{shown}: longer than {MODULI_FILE_BYTES_MAX} bytes, which no moduli file is", path=shown)
    return content
