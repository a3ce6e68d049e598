"""The identification line (RFC 4253 §4.2), for both roles, in pieces: how it was cut must not matter."""

from __future__ import annotations

from tests.fuzz.choices import Choices
from trio_ssh.errors import RemoteProtocolError
from trio_ssh.protocol.identification import Identification, IdentificationReader
from trio_ssh.protocol.limits import Limits
from trio_ssh.protocol.role import Role

LIMITS = (Limits(), Limits(identification_eight_bit=True), Limits(identification_pre_lines=2, identification_pre_bytes=40))


def target(data: bytes) -> None:
    choices = Choices(data)
    role, limits, piece = choices.pick(list(Role)), choices.pick(LIMITS), choices.byte() % 16 + 1
    text = choices.rest()
    whole = _read(role, limits, text, len(text) + 1)
    pieces = _read(role, limits, text, piece)
    # An error may come earlier when the line comes in pieces, but what is taken and what is refused is the same.
    assert whole == pieces, (whole, pieces)


def _read(role: Role, limits: Limits, text: bytes, piece: int) -> object:
    reader = IdentificationReader(role, limits)
    found: Identification | None = None
    try:
        for start in range(0, len(text), piece):
            found = reader.feed(text[start : start + piece])
            if found is not None:
                _ = found.software
                return found.line, found.trailing + text[start + piece :]
    except RemoteProtocolError as error:
        return type(error)
    return found


def seeds() -> list[bytes]:
    lines = [b"SSH-2.0-x\r\n", b"SSH-1.99-x y\n", b"hello\r\nSSH-2.0-x\r\nrest", b"SSH-3.0-x\r\n", b"SSH-2.0-\r\n", b"SSH-2.0-\xc3\xa9\r\n"]
    lines += [b"\n" * 30 + b"SSH-2.0-x\n", b"SSH-2.0-" + b"x" * 300, b"GET / HTTP/1.1\r\n\r\n"]
    return [bytes([role, limits, 3]) + line for line in lines for role in (0, 1) for limits in (0, 1, 2)]
