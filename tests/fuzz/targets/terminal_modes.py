"""Encoded terminal modes (RFC 4254 §8), given to a terminal of this machine: any bytes set it somehow."""

from __future__ import annotations

import os
import struct

from trio_ssh.server.terminal_modes import apply_modes, decode_modes, encode_modes


def target(data: bytes) -> None:
    decoded = decode_modes(data)
    assert all(0 < opcode < 160 for opcode in decoded)
    controller, terminal = os.openpty()
    try:
        apply_modes(terminal, data)
        decode_modes(encode_modes(terminal))
    finally:
        os.close(controller)
        os.close(terminal)


def seeds() -> list[bytes]:
    pairs = [(1, 3), (2, 255), (3, 0xFFFFFFFF), (36, 1), (53, 1), (53, 0), (93, 1), (128, 9600), (129, 38400), (129, 1), (159, 1), (42, 1)]
    encoded = [struct.pack(">BI", *pair) for pair in pairs]
    return [*encoded, b"".join(encoded) + b"\0", b"\0", b"\xff" * 10, encoded[0][:3]]
