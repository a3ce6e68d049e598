"""Compressed payloads, before they are inflated the fuzzer's: bad streams, bombs, packets that inflate to nothing (A20)."""

from __future__ import annotations

import zlib

from tests.fuzz.choices import Choices, sized
from tests.fuzz.targets.packets import delivered
from tests.protocol.ends import never, new_sealer
from trio_ssh.crypto.compression import ZlibCompressor, ZlibDecompressor
from trio_ssh.protocol.opener import Opener

BYTES_MAX = 2000


def target(data: bytes) -> None:
    choices = Choices(data)
    sealer, opener = new_sealer(), Opener(BYTES_MAX, never)
    opener.decompress_with(ZlibDecompressor())
    compressor = ZlibCompressor()
    while choices:
        honest = choices.byte() % 2
        payload = choices.sized()[:BYTES_MAX]
        if payload:
            sealer.seal(compressor.compress(payload) if honest else payload)
    for payload in delivered(opener, bytes(sealer.take_batch()), 300):
        assert 0 < len(payload) <= BYTES_MAX


def seeds() -> list[bytes]:
    bomb = zlib.compress(bytes(20_000))
    raw = [bomb, bomb[:12], zlib.compress(b"\x02hello"), b"\x78\x9c", b"\x00\x00\x00\xff\xff"]
    return [*(b"\0" + sized(part) for part in raw), b"\1" + sized(b"\x02hello") + b"\1" + sized(b"\x02again")]
