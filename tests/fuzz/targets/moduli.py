"""A moduli(5) file: any bytes are groups, or a `KeyFileError`; and a client's wishes among them."""

from __future__ import annotations

from tests.fuzz.choices import Choices, check_text
from tests.fuzz.methods import BUILT_IN
from trio_ssh.crypto.moduli import Moduli
from trio_ssh.errors import KeyExchangeError, KeyFileError


def target(data: bytes) -> None:
    choices = Choices(data)
    sizes = [choices.byte() << 6 for _ in range(3)]
    try:
        moduli = Moduli.from_text(choices.rest(), "fuzzed")
    except KeyFileError as error:
        check_text(error)
        return
    try:
        group = moduli.choose(sizes[0], sizes[1], sizes[2], bytes)
    except KeyExchangeError:
        return
    assert sizes[0] <= group.bits <= sizes[2]
    assert 2048 <= group.bits <= 8192


def seeds() -> list[bytes]:
    lines = [f"20240101000000 2 6 100 {group.bits - 1} 2 {group.prime:X}\n".encode() for group in BUILT_IN.groups[:3]]
    return [bytes([32, 48, 128]) + line for line in (*lines, b"# comment\n" + b"".join(lines), lines[0].replace(b" 2 6", b" 4 6"), b"")]
