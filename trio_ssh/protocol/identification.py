"""The identification exchange (RFC 4253 §4.2): one line each way before the first packet.

A server may send other lines first, a client may not. Whatever follows the line belongs to the packet layer and is handed over.
"""

from __future__ import annotations

import attrs

from ..errors import RemoteProtocolError, printable
from .limits import Limits
from .role import Role

PROTOCOL_VERSIONS = (b"2.0", b"1.99")  # RFC 4253 §5.1: a server that says 1.99 speaks 2.0


def identification_line(software: str) -> bytes:
    """Our line without CR LF, as it enters the exchange hash."""
    return b"SSH-2.0-" + software.encode("ascii")


@attrs.frozen
class Identification:
    """The peer's line without its line end, and the bytes that came behind it."""

    line: bytes
    trailing: bytes

    @property
    def software(self) -> str:
        return self.line.split(b"-", 2)[2].decode("utf-8", "backslashreplace")


@attrs.define(eq=False)
class IdentificationReader:
    """Feed it what arrives; it answers with the identification, None for "more", or `RemoteProtocolError`."""

    role: Role
    limits: Limits = attrs.field(factory=Limits)
    _buffer: bytearray = attrs.field(factory=bytearray)
    first_line: bytes = b""
    """What a server said before, or instead of, its identification."""
    _lines: int = 0
    _bytes: int = 0

    def feed(self, data: bytes | bytearray | memoryview) -> Identification | None:
        self._buffer += data
        while True:
            end = self._buffer.find(b"\n")
            self._refuse_oversize(len(self._buffer) if end < 0 else end + 1)
            if end < 0:
                return None
            line = bytes(self._buffer[: end + 1])
            del self._buffer[: end + 1]
            if line.startswith(b"SSH-"):
                return Identification(self._check(line), bytes(self._buffer))
            self._count_other_line(line)

    def _refuse_oversize(self, line_bytes: int) -> None:
        is_version_line = self._buffer.startswith(b"SSH-"[: len(self._buffer)])
        if self.role is Role.SERVER and not is_version_line:
            raise self._not_ssh()
        allowed = self.limits.identification_line_bytes if is_version_line else self.limits.identification_pre_bytes - self._bytes
        if line_bytes > allowed:
            raise RemoteProtocolError(f"the peer's identification is longer than {allowed} bytes", reason=None)

    def _count_other_line(self, line: bytes) -> None:
        self.first_line = self.first_line or line
        self._lines += 1
        self._bytes += len(line)
        if self._lines > self.limits.identification_pre_lines or self._bytes > self.limits.identification_pre_bytes:
            raise RemoteProtocolError(f"the peer sent {self._lines} lines without identifying itself as an SSH server", reason=None)

    def _not_ssh(self) -> RemoteProtocolError:
        shown = printable(bytes(self._buffer[:40]))
        return RemoteProtocolError(
            f"the peer does not speak SSH: it began with {shown!r}", reason=None, plain_text=b"Invalid SSH identification string.\r\n"
        )

    def _check(self, line: bytes) -> bytes:
        line = line[:-2] if line.endswith(b"\r\n") else line[:-1]
        parts = line.split(b"-", 2)
        shown = printable(line)
        largest = 0xFF if self.limits.identification_eight_bit else 0x7E
        if any(byte < 0x20 or byte == 0x7F or byte > largest for byte in line):
            raise RemoteProtocolError(f"the peer's identification {shown!r} is not printable US-ASCII", reason=None)
        if len(parts) < 3 or not parts[2]:
            raise RemoteProtocolError(f"the peer's identification {shown!r} names no software", reason=None)
        if parts[1] not in PROTOCOL_VERSIONS:
            raise RemoteProtocolError(
                f"the peer speaks SSH protocol {printable(parts[1])}, not 2.0",
                reason=None,
                plain_text=b"Protocol major versions differ.\r\n" if parts[1].startswith(b"1.") else b"",
            )
        return line
