"""The packet opener under every cipher, with a tag that is right: packet_length, padding and payload are the fuzzer's."""

from __future__ import annotations

import struct

from tests.fuzz.choices import Choices
from tests.fuzz.targets.packets import delivered
from tests.protocol.ends import MODES, keys_for, sealer_and_opener


def target(data: bytes) -> None:
    choices = Choices(data)
    mode = choices.pick(MODES)
    honest = choices.byte() % 4 > 0
    body = choices.sized()
    key, _ = keys_for(mode)
    length = len(body) if honest else int.from_bytes(choices.sized()[:4].rjust(4, b"\0"), "big")
    wire = bytearray(struct.pack(">I", length) + body + bytes(key.tag_bytes))
    aligned = (len(body) + (4 if key.length_is_aligned else 0)) % key.alignment == 0
    if aligned:
        key.seal(memoryview(wire), 0, 4 + len(body), 0)
    _, opener = sealer_and_opener(mode)
    payloads = delivered(opener, bytes(wire), 50)
    if honest and aligned and _is_legal(body):
        assert payloads == [body[1 : len(body) - body[0]]]
    elif honest:
        assert payloads == []


def _is_legal(body: bytes) -> bool:
    """RFC 4253 §6: four bytes of padding or more, one of payload or more; and not so small that a plain MAC's block is not filled."""
    return len(body) >= 5 and 4 <= body[0] <= len(body) - 2


def seeds() -> list[bytes]:
    bodies = [bytes([padding]) + bytes(size - 1) for size in (12, 16, 28, 32, 44) for padding in (0, 4, 6, size - 2, size - 1, 255)]
    return [bytes([index, honest]) + len(b).to_bytes(2, "big") + b for index in range(len(MODES)) for honest in (0, 1) for b in bodies[::3]]
