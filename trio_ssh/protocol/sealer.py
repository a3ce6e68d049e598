"""OUT hot path: a payload becomes a padded, sealed packet at the end of the outbox (RFC 4253 §6).

What a line here costs (2 shared cores, Python 3.11): AES-GCM of 32 KiB in place 3-5 µs, chacha20-poly1305 15-25 µs, a copy of 32 KiB
1.3 µs, ``os.urandom(4)`` 0.6 µs, one task switch 11-14 µs. At 1 GB/s a 32 KiB packet has 32 µs for everything, kernel included. So:
no logging, no attribute chain in a loop, no allocation but memoryview slices, one `pack_into` for the head, padding from a pool.

Taking a sequence number, sealing and appending is one synchronous act (law 3): nothing in this file can be awaited.

Two buffers take turns: packets are appended to one while the writer sends the other. Both start small and grow with the traffic, because
an idle connection should cost nothing; `take_batch` lets them shrink again after a run of small batches.

The gate holds what RFC 4253 §7.1 demands between our KEXINIT and our NEWKEYS: whoever calls, nothing but 1-4 and 20-49 is sealed then
(in a strict first exchange: nothing but 1 and 20-49).

Where compression was negotiated, channel data makes a payload first and goes the way of all messages; without it, it pays one comparison.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from enum import Enum

from ..crypto.compression import Compressor
from ..crypto.packet_key import NoSealingKey, SealingKey
from ..errors import CryptographyFailed, LocalProtocolError, SSHError
from ..wire.numbers import message_name
from .key_budget import UNLIMITED, KeyBudget

_pack_head = struct.Struct(">IB").pack_into
_pack_data_head = struct.Struct(">IBBII").pack_into
_pack_extended_data_head = struct.Struct(">IBBIII").pack_into
_data_payload_head = struct.Struct(">BII").pack
_extended_data_payload_head = struct.Struct(">BIII").pack

SMALL_BUFFER = 1024
SMALL_BATCHES_BEFORE_SHRINKING = 8
POOL_BYTES = 512


class Gate(Enum):
    """Which message numbers may be sealed now."""

    OPEN = "open"
    KEX = "between our KEXINIT and our NEWKEYS"
    STRICT_KEX = "before the first NEWKEYS"
    CLOSED = "after DISCONNECT"

    def lets(self, number: int) -> bool:
        if self is Gate.OPEN:
            return True
        if self is Gate.CLOSED:
            return False
        return 20 <= number <= 49 or number == 1 or (self is Gate.KEX and 1 <= number <= 4)


def _ignore(failure: SSHError) -> None:
    """Whoever seals is told by the exception."""


class Sealer:
    """One direction of one connection: keys, sequence number, budget and the outbox."""

    __slots__ = (
        "_budget",
        "_capacity",
        "_compressor",
        "_fill",
        "_key",
        "_on_spent",
        "_packets_at_switch",
        "_pool",
        "_pool_left",
        "_random",
        "_small_batches",
        "_spare",
        "_view",
        "bytes_sealed",
        "bytes_under_key",
        "gate",
        "on_broken",
        "packets_sealed",
        "sequence_number",
    )

    def __init__(self, random: Callable[[int], bytes], on_spent: Callable[[], None]) -> None:
        """`random(n)` gives n unpredictable bytes; `on_spent()` is called at the first packet past a key's soft limit."""
        self._random = random
        self._on_spent: Callable[[], None] | None = on_spent
        self._key: SealingKey = NoSealingKey()
        self._budget: KeyBudget = UNLIMITED
        self._compressor: Compressor | None = None
        self._packets_at_switch = 0
        self._pool = memoryview(b"")
        self._pool_left = 0
        self._view = memoryview(bytearray(SMALL_BUFFER))
        self._spare = memoryview(bytearray(SMALL_BUFFER))
        self._capacity = SMALL_BUFFER
        self._fill = 0
        self._small_batches = 0
        self.gate = Gate.OPEN
        self.on_broken: Callable[[SSHError], None] = _ignore
        """Told once when the key fails or is used up for good."""
        self.sequence_number = 0
        self.bytes_sealed = 0
        self.bytes_under_key = 0
        self.packets_sealed = 0

    @property
    def pending(self) -> int:
        """Sealed bytes that wait in the outbox."""
        return self._fill

    def seal(self, payload: bytes) -> None:
        """Append one packet. Raises `LocalProtocolError` when the gate does not let its number pass; nothing has changed then."""
        if self.gate is not Gate.OPEN and not self.gate.lets(payload[0]):
            raise LocalProtocolError(f"{message_name(payload[0])} cannot be sent {self.gate.value}")
        if self._compressor is not None:
            payload = self._compress(self._compressor, payload)
        size = len(payload)
        start, padding_length, end = self._reserve(size)
        _pack_head(self._view, start, end - start - 4, padding_length)
        self._view[start + 5 : start + 5 + size] = payload
        self._finish(start, start + 5 + size, end)

    def seal_channel_data(self, recipient_channel: int, data: memoryview, offset: int, size: int) -> None:
        """CHANNEL_DATA with ``data[offset : offset + size]``, without making a payload first (RFC 4254 §5.2)."""
        if self.gate is not Gate.OPEN:
            raise LocalProtocolError(f"CHANNEL_DATA cannot be sent {self.gate.value}")
        if self._compressor is not None:
            self.seal(_data_payload_head(94, recipient_channel, size) + data[offset : offset + size])
            return
        start, padding_length, end = self._reserve(size + 9)
        _pack_data_head(self._view, start, end - start - 4, padding_length, 94, recipient_channel, size)
        self._view[start + 14 : start + 14 + size] = data[offset : offset + size]
        self._finish(start, start + 14 + size, end)

    def seal_extended_data(self, recipient_channel: int, data_type: int, data: memoryview, offset: int, size: int) -> None:
        """CHANNEL_EXTENDED_DATA, likewise."""
        if self.gate is not Gate.OPEN:
            raise LocalProtocolError(f"CHANNEL_EXTENDED_DATA cannot be sent {self.gate.value}")
        if self._compressor is not None:
            self.seal(_extended_data_payload_head(95, recipient_channel, data_type, size) + data[offset : offset + size])
            return
        start, padding_length, end = self._reserve(size + 13)
        _pack_extended_data_head(self._view, start, end - start - 4, padding_length, 95, recipient_channel, data_type, size)
        self._view[start + 18 : start + 18 + size] = data[offset : offset + size]
        self._finish(start, start + 18 + size, end)

    def append_plain(self, line: bytes) -> None:
        """Bytes that are no packet: our identification, before the first one."""
        end = self._fill + len(line)
        if end > self._capacity:
            self._grow(end)
        self._view[self._fill : end] = line
        self._fill = end

    def switch_keys(
        self,
        key: SealingKey,
        budget: KeyBudget,
        on_spent: Callable[[], None],
        *,
        reset_sequence: bool,
        compressor: Compressor | None = None,
    ) -> None:
        """Everything sealed from here on is under `key`, and goes through `compressor`. Strict kex starts the sequence numbers anew."""
        self._key = key
        self._compressor = compressor
        self._budget = budget
        self._on_spent = on_spent
        self.bytes_under_key = 0
        self._packets_at_switch = self.packets_sealed
        if reset_sequence:
            self.sequence_number = 0

    def compress_with(self, compressor: Compressor | None) -> None:
        """Delayed compression: every payload from here on goes through `compressor` (OpenSSH's zlib@openssh.com)."""
        self._compressor = compressor

    @property
    def packets_under_key(self) -> int:
        """Packets sealed since the last change of keys."""
        return self.packets_sealed - self._packets_at_switch

    def take_batch(self) -> memoryview:
        """Everything sealed so far. The caller must be done with a batch before it takes the next: its buffer is used again."""
        batch = self._view[: self._fill]
        if self._fill > SMALL_BUFFER:
            self._small_batches = 0
        else:
            self._small_batches += 1
            if self._small_batches > SMALL_BATCHES_BEFORE_SHRINKING and len(self._spare) > SMALL_BUFFER:
                self._spare = memoryview(bytearray(SMALL_BUFFER))
        self._view, self._spare = self._spare, self._view
        self._capacity = len(self._view)
        self._fill = 0
        return batch

    def _reserve(self, payload_size: int) -> tuple[int, int, int]:
        """Room for a packet: where it starts, its padding_length, where it ends (before the tag)."""
        key = self._key
        alignment = key.alignment
        aligned = payload_size + 5 if key.length_is_aligned else payload_size + 1
        padding_length = alignment - aligned % alignment
        if padding_length < 4:
            padding_length += alignment
        start = self._fill
        end = start + 5 + payload_size + padding_length
        if end + key.tag_bytes > self._capacity:
            self._grow(end + key.tag_bytes)
        return start, padding_length, end

    def _finish(self, start: int, padding_start: int, end: int) -> None:
        pool_start = self._pool_left - (end - padding_start)
        if pool_start < 0:
            self._pool = memoryview(self._random(POOL_BYTES))
            pool_start = POOL_BYTES - (end - padding_start)
        self._pool_left = pool_start
        view = self._view
        view[padding_start:end] = self._pool[pool_start : pool_start + end - padding_start]
        key = self._key
        try:
            key.seal(view, start, end, self.sequence_number)
        except Exception as error:
            raise self._break(CryptographyFailed("sealing a packet", error)) from error
        self._fill = end = end + key.tag_bytes
        self.sequence_number = (self.sequence_number + 1) & 0xFFFFFFFF
        self.packets_sealed += 1
        self.bytes_sealed += end - start
        self.bytes_under_key = under_key = self.bytes_under_key + end - start
        budget = self._budget
        if under_key > budget.soft_bytes or self.packets_sealed - self._packets_at_switch > budget.soft_packets:
            self._spent(start)

    def _compress(self, compressor: Compressor, payload: bytes) -> bytes:
        try:
            return compressor.compress(payload)
        except Exception as error:
            raise self._break(CryptographyFailed("compressing a packet", error)) from error

    def _break(self, failure: SSHError) -> SSHError:
        """Nothing can be sealed any more, whoever's task it was that found out."""
        self.gate = Gate.CLOSED
        self.on_broken(failure)
        return failure

    def _spent(self, start: int) -> None:
        """The packet at `start` is past the soft limit; one past the hard limit is taken back and nothing follows it."""
        budget = self._budget
        packets = self.packets_sealed - self._packets_at_switch
        if budget.is_overdrawn(self.bytes_under_key, packets):
            self._fill = start
            raise self._break(LocalProtocolError("the peer has not agreed on fresh keys, and the old ones must not be used any longer"))
        if self._on_spent is not None:
            ask, self._on_spent = self._on_spent, None
            ask()

    def _grow(self, needed: int) -> None:
        grown = memoryview(bytearray(max(needed, 2 * self._capacity)))
        grown[: self._fill] = self._view[: self._fill]
        self._view = grown
        self._capacity = len(grown)
