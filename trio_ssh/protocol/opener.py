"""IN hot path: received bytes become payloads, one pass a batch (RFC 4253 §6).

Costs: see `sealer.py`. The loop of `open_batch` runs once a packet: no logging, no allocation but memoryview slices, no ``isinstance``,
no ``try``; budgets and statistics are settled once a batch.

The stream is read into the buffer of this object (`space`, `received`), packets are opened in place there, and the sink gets
``(view, start, end)`` of a payload that is valid only during the call. When the sink returns True the batch halts behind that packet:
NEWKEYS changes the key of the bytes that follow, USERAUTH_SUCCESS brings the mux that they are for. `switch_keys` and a further
`open_batch` go on where it stopped.

A length is checked as soon as it can be read, before anything is waited for: nobody can make us buffer more than one packet of
`packet_bytes_max`. In modes that encrypt the length under a plain MAC the first block is decrypted once and remembered.

With a CBC cipher under a plain MAC, when and how a connection dies would tell an attacker about 32 bits of plaintext (CVE-2008-5161). There
a length that cannot be and a tag that is wrong are one error, raised behind the same number of bytes (`_hide`).
"""

from __future__ import annotations

from collections.abc import Callable

from ..crypto.compression import Decompressor
from ..crypto.packet_key import NoOpeningKey, OpeningKey
from ..errors import CryptographyFailed, IntegrityError, RemoteProtocolError, SSHError
from .key_budget import UNLIMITED, KeyBudget

SMALL_BUFFER = 1024
LARGEST_BUFFER_PREAUTH = 96 * 1024
LARGEST_BUFFER = 288 * 1024  # a batch of a peer like us; what is larger falls out of the cache before it is opened
SMALL_READS_BEFORE_SHRINKING = 8
PACKETS_PER_BATCH = 64  # then somebody else's turn (hardening TRI-20)
NOT_READ_YET = -1
HIDDEN_BYTES = 257 * 1024  # more than the largest packet with its length and tag

Sink = Callable[[memoryview, int, int], bool]


class Opener:
    """One direction of one connection: the receive buffer, keys, sequence number and budget."""

    __slots__ = (
        "_budget",
        "_decompressor",
        "_end",
        "_hidden_left",
        "_key",
        "_largest",
        "_length",
        "_on_spent",
        "_packets_at_switch",
        "_small_reads",
        "_start",
        "_view",
        "bytes_opened",
        "bytes_under_key",
        "packet_bytes_max",
        "packets_opened",
        "sequence_number",
    )

    def __init__(self, packet_bytes_max: int, on_spent: Callable[[], None]) -> None:
        """`on_spent()` is called when the peer is past a key's soft limit and has not asked for a rekey itself."""
        self._key: OpeningKey = NoOpeningKey()
        self._budget: KeyBudget = UNLIMITED
        self._on_spent: Callable[[], None] | None = on_spent
        self._decompressor: Decompressor | None = None
        self._hidden_left: int | None = None
        self._view = memoryview(bytearray(SMALL_BUFFER))
        self._start = 0
        self._end = 0
        self._length = NOT_READ_YET
        self._small_reads = 0
        self._packets_at_switch = 0
        self.packet_bytes_max = packet_bytes_max
        self._largest = LARGEST_BUFFER_PREAUTH
        self.sequence_number = 0
        self.packets_opened = 0
        self.bytes_opened = 0
        self.bytes_under_key = 0

    @property
    def pending(self) -> int:
        """Bytes received and not opened yet."""
        return self._end - self._start

    @property
    def bytes_received(self) -> int:
        """All that has come, half packets included."""
        return self.bytes_opened + self.pending

    def trust(self, packet_bytes_max: int) -> None:
        """The peer is authenticated: larger packets and buffers are due to it."""
        self.packet_bytes_max = packet_bytes_max
        self._largest = LARGEST_BUFFER

    def space(self) -> memoryview:
        """Where to put what is received next; tell `received` how much it was."""
        left = self._end - self._start
        size = len(self._view)
        if left == 0:
            self._start = self._end = 0
        elif size - self._end < size // 2:
            if left > size // 2:
                self._resize(2 * size)  # the rest of one packet, so never more than `packet_bytes_max` asks for
            else:
                self._view[:left] = self._view[self._start : self._end]
                self._start, self._end = 0, left
        return self._view[self._end :]

    def received(self, size: int) -> None:
        self._end += size
        if size > SMALL_BUFFER:
            self._small_reads = 0
        else:
            self._small_reads += 1
        largest = self._largest
        if self._end == len(self._view) and len(self._view) < largest:
            self._resize(min(4 * len(self._view), largest))  # it was filled to the brim: there is more where that came from
        elif self._small_reads > SMALL_READS_BEFORE_SHRINKING and len(self._view) > SMALL_BUFFER and self.pending < SMALL_BUFFER:
            self._resize(SMALL_BUFFER)

    def _resize(self, size: int) -> None:
        left = self._end - self._start
        grown = memoryview(bytearray(size))
        grown[:left] = self._view[self._start : self._end]
        self._view, self._start, self._end = grown, 0, left

    def open_batch(self, sink: Sink) -> bool:
        """Open what is complete, at most `PACKETS_PER_BATCH` packets. True: there may be more to open now (halted, or that many done)."""
        if self._decompressor is not None:
            sink = self._inflating(self._decompressor, sink)
        return self._open_hiding(sink) if self._key.hides_errors else self._open(sink)

    def _open(self, sink: Sink) -> bool:
        view = self._view
        start, end = self._start, self._end
        length = self._length
        key = self._key
        head_bytes, tag_bytes, alignment = key.head_bytes, key.tag_bytes, key.alignment
        aligned_part = 4 if key.length_is_aligned else 0
        sequence_number = self.sequence_number
        packets_max = batch_packets = self._allowed_packets()
        halted = False
        batch_start = start
        in_sink = False
        try:
            while packets_max and not halted:
                if length < 0:
                    if end - start < head_bytes:
                        break
                    length = key.packet_length(view, start, sequence_number)
                    if length < 5 or length > self.packet_bytes_max or (length + aligned_part) % alignment:
                        raise self._bad_length(length)
                packet_end = start + 4 + length + tag_bytes
                if end < packet_end:
                    break
                key.open(view, start, length, sequence_number)
                payload_end = start + 4 + length - view[start + 4]
                if payload_end <= start + 5 or view[start + 4] < 4:
                    raise RemoteProtocolError(f"a packet of {length} bytes has {view[start + 4]} bytes of padding (RFC 4253 §6)")
                sequence_number = (sequence_number + 1) & 0xFFFFFFFF
                payload_start = start + 5
                # The packet counts as taken before the sink sees it: the sink may ask for the sequence number, or raise.
                self.sequence_number = sequence_number
                self._start = start = packet_end
                self._length = length = NOT_READ_YET
                packets_max -= 1
                in_sink = True
                halted = sink(view, payload_start, payload_end)
                in_sink = False
        except SSHError:
            raise
        except Exception as error:
            if in_sink:
                raise
            raise CryptographyFailed("opening a packet", error) from error
        self._length = length
        self._settle(batch_packets - packets_max, start - batch_start)
        return halted or (not packets_max and self._end > start)

    def _inflating(self, decompressor: Decompressor, sink: Sink) -> Sink:
        def inflating_sink(view: memoryview, start: int, end: int) -> bool:
            try:
                payload = decompressor.decompress(view[start:end], self.packet_bytes_max)
            except SSHError:
                raise
            except Exception as error:
                raise CryptographyFailed("decompressing a packet", error) from error
            return sink(memoryview(payload), 0, len(payload))

        return inflating_sink

    def _open_hiding(self, sink: Sink) -> bool:
        """As `_open`, but a damaged packet is only reported when `HIDDEN_BYTES` have come from its first byte on."""
        if self._hidden_left is None:
            try:
                return self._open(sink)
            except IntegrityError:
                self._hidden_left = HIDDEN_BYTES
        swallowed = self.pending
        self._hidden_left -= swallowed
        self.bytes_opened += swallowed
        self._start = self._end
        if self._hidden_left <= 0:
            raise IntegrityError
        return False

    def switch_keys(
        self,
        key: OpeningKey,
        budget: KeyBudget,
        on_spent: Callable[[], None],
        *,
        reset_sequence: bool,
        decompressor: Decompressor | None = None,
    ) -> None:
        """What follows the packet opened last is under `key`, and compressed as `decompressor` has it. Strict kex starts the sequence
        numbers anew."""
        self._key = key
        self._decompressor = decompressor
        self._budget = budget
        self._on_spent = on_spent
        self.bytes_under_key = 0
        self._packets_at_switch = self.packets_opened
        if reset_sequence:
            self.sequence_number = 0

    def decompress_with(self, decompressor: Decompressor | None) -> None:
        """Delayed compression: every payload behind the packet opened last is compressed (OpenSSH's zlib@openssh.com)."""
        self._decompressor = decompressor

    def _allowed_packets(self) -> int:
        """How many packets the next batch may have: no sequence number comes twice under one key."""
        left = self._budget.hard_packets - (self.packets_opened - self._packets_at_switch)
        if left <= 0 and self.pending:
            raise self._overdrawn()
        return min(PACKETS_PER_BATCH, left)

    def _overdrawn(self) -> RemoteProtocolError:
        if self._budget is UNLIMITED:
            return RemoteProtocolError("the peer has sent as many packets before the first keys as there are sequence numbers")
        return RemoteProtocolError("the peer goes on under keys that are used up, without agreeing on fresh ones", reason=3)

    def _settle(self, packets: int, size: int) -> None:
        self.packets_opened += packets
        self.bytes_opened += size
        self.bytes_under_key += size
        packets = self.packets_opened - self._packets_at_switch
        if self._budget.is_overdrawn(self.bytes_under_key, packets):
            raise self._overdrawn()
        if self._on_spent is not None and self._budget.is_spent(self.bytes_under_key, packets):
            ask, self._on_spent = self._on_spent, None
            ask()

    def _bad_length(self, length: int) -> RemoteProtocolError:
        if self._key.hides_errors:
            return IntegrityError()
        if length > self.packet_bytes_max:
            return RemoteProtocolError(f"the peer announced a packet of {length} bytes; at most {self.packet_bytes_max} are taken")
        return RemoteProtocolError(f"the peer announced a packet of {length} bytes, which no packet can have (RFC 4253 §6)")
