"""Compression of payloads (RFC 4253 §6.2): ``none``, ``zlib`` and ``zlib@openssh.com``, which starts after the login.

One stream lives as long as the keys of its direction, or longer: RFC 4253 §6.2 has it run on through a rekey unless the method changes,
so the sealer and the opener say when a fresh one is made. Each packet ends in a partial flush (RFC 1950 and 1951 §2; it is what every
implementation sends), so that the other side can inflate it before the next one comes.

What a packet inflates to is bounded before it is made (hardening A20): zlib is asked for one byte more than may come out, and input that
is left over then means a bomb. A packet that inflates to nothing would cost its sender nothing and is refused as well.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Protocol

import attrs

from ..errors import CompressionError

_LEVEL = 6  # zlib's own choice: a third of the time of level 9 for nearly its size


class Compressor(Protocol):
    """Compresses our payloads, in the order in which they are sent."""

    def compress(self, payload: bytes | memoryview) -> bytes:
        """One packet's payload, never empty, in a form that can be decompressed as soon as it is there."""


class Decompressor(Protocol):
    """Decompresses the peer's payloads, in the order in which they were sent."""

    def decompress(self, payload: bytes | memoryview, bytes_max: int) -> bytes:
        """One packet's payload: 1 to `bytes_max` bytes. More, none, or input that makes no sense raises `CompressionError`."""


@attrs.frozen
class CompressionRecipe:
    """One compression method. `delayed` means that it starts after the login; ``none`` has neither half."""

    name: str
    delayed: bool
    compressor: Callable[[], Compressor] | None
    decompressor: Callable[[], Decompressor] | None


@attrs.define(eq=False, init=False)
class ZlibCompressor:
    """The sending half of ``zlib`` and ``zlib@openssh.com``: about 256 KiB of memory."""

    _stream: zlib._Compress

    def __init__(self) -> None:
        self._stream = zlib.compressobj(_LEVEL)

    def compress(self, payload: bytes | memoryview) -> bytes:
        """See `Compressor.compress`."""
        return self._stream.compress(payload) + self._stream.flush(zlib.Z_PARTIAL_FLUSH)


@attrs.define(eq=False, init=False)
class ZlibDecompressor:
    """The receiving half of ``zlib`` and ``zlib@openssh.com``: about 40 KiB of memory."""

    _stream: zlib._Decompress

    def __init__(self) -> None:
        self._stream = zlib.decompressobj()

    def decompress(self, payload: bytes | memoryview, bytes_max: int) -> bytes:
        """See `Decompressor.decompress`."""
        stream = self._stream
        try:
            inflated = stream.decompress(payload, bytes_max + 1)
        except zlib.error as error:
            raise CompressionError(f"the peer's compressed packet cannot be inflated: {error}") from None
        if len(inflated) > bytes_max or stream.unconsumed_tail:
            raise CompressionError(f"the peer's compressed packet inflates to more than {bytes_max} bytes")
        if stream.eof:
            raise CompressionError("the peer has ended its compressed stream in the middle of the connection")
        if not inflated:
            raise CompressionError("the peer's compressed packet inflates to nothing")
        return inflated


COMPRESSIONS: dict[str, CompressionRecipe] = {
    "none": CompressionRecipe("none", False, None, None),
    "zlib@openssh.com": CompressionRecipe("zlib@openssh.com", True, ZlibCompressor, ZlibDecompressor),
    "zlib": CompressionRecipe("zlib", False, ZlibCompressor, ZlibDecompressor),
}
"""Name -> recipe; `register_compression` adds to it."""
