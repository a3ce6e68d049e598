"""The packet opener under every cipher: bytes as they come from the wire, behind one good packet, in pieces."""

from __future__ import annotations

from functools import cache

from tests.fuzz.choices import Choices
from tests.protocol.ends import MODES, put, sealer_and_opener
from trio_ssh.errors import RemoteProtocolError
from trio_ssh.protocol.opener import Opener

FIRST, SECOND = b"\x02\0\0\0\x05first", b"\x5e second"


@cache
def good_packets(mode: tuple[str, str]) -> tuple[bytes, bytes]:
    """The two that somebody has sealed."""
    sealer, _ = sealer_and_opener(mode)
    sealer.seal(FIRST)
    first = bytes(sealer.take_batch())
    sealer.seal(SECOND)
    return first, bytes(sealer.take_batch())


def delivered(opener: Opener, wire: bytes, piece: int) -> list[bytes]:
    """The payloads that come out before the wire is at its end or refused."""
    payloads: list[bytes] = []

    def sink(view: memoryview, start: int, end: int) -> bool:
        assert end > start, "an empty payload was delivered"
        payloads.append(bytes(view[start:end]))
        return False

    try:
        for start in range(0, len(wire), piece):
            part = wire[start : start + piece]
            while part:
                part = put(opener, part)
                while opener.open_batch(sink):
                    pass
    except RemoteProtocolError:
        pass
    return payloads


def target(data: bytes) -> None:
    choices = Choices(data)
    mode = choices.pick(MODES)
    piece = choices.byte() + 1
    _, opener = sealer_and_opener(mode)
    wire = choices.rest()
    payloads = delivered(opener, good_packets(mode)[0] + wire, piece)
    assert payloads[0] == FIRST
    if mode != MODES[0]:
        assert payloads[1:] in ([], [SECOND]), "something was delivered that nobody sealed"


def seeds() -> list[bytes]:
    return [bytes([index, 7]) + good_packets(mode)[1] for index, mode in enumerate(MODES)]
