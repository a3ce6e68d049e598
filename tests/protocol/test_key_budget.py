"""Key budgets: POL-06's thresholds alone and in each direction; soft asks exactly once, hard refuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.ends import REPRESENTATIVE_MODES, keys_for, never, new_sealer, open_all, put, sealer_and_opener
from trio_ssh.crypto.suites import supported_ciphers
from trio_ssh.errors import LocalProtocolError, RemoteProtocolError
from trio_ssh.protocol.key_budget import UNLIMITED, KeyBudget, budget_for
from trio_ssh.protocol.limits import Limits
from trio_ssh.protocol.opener import PACKETS_PER_BATCH, Opener
from trio_ssh.protocol.sealer import Gate, Sealer

GIB = 2**30
HUGE = 2**63
MODE = REPRESENTATIVE_MODES[1]


@pytest.mark.parametrize("cipher", supported_ciphers())
def test_pol_06_what_each_cipher_may_carry(cipher):
    """2^32 blocks of 16 bytes, 1 GiB for chacha20-poly1305 and for blocks of 8 bytes, 2^31 packets; sequence numbers never wrap."""
    budget = budget_for(cipher, Limits())
    assert budget.soft_bytes == (GIB if cipher.startswith(("chacha", "3des")) else 2**32 * 16)
    assert budget.soft_packets == 2**31
    assert budget.soft_bytes < budget.hard_bytes <= 2 * budget.soft_bytes
    assert budget.soft_packets < budget.hard_packets < 2**32


def test_limits_of_the_user_only_make_it_less():
    assert budget_for("aes128-ctr", Limits(rekey_bytes=16)).soft_bytes == 16
    assert budget_for("aes128-ctr", Limits(rekey_bytes=2**50)).soft_bytes == 2**36
    assert budget_for("aes128-ctr", Limits(rekey_packets=5)).soft_packets == 5
    assert budget_for("aes128-ctr", Limits(rekey_packets=2**40)).soft_packets == 2**31
    assert budget_for("aes128-ctr", Limits(rekey_bytes=16, rekey_packets=1)).hard_bytes == 2**37


@given(st.integers(1, 100), st.integers(1, 100), st.integers(0, 300), st.integers(0, 300))
def test_spent_is_past_a_soft_limit_and_overdrawn_past_a_hard_one(soft_bytes, soft_packets, size, packets):
    budget = KeyBudget(soft_bytes, soft_packets, 2 * soft_bytes, 2 * soft_packets)
    assert budget.is_spent(size, packets) == (size > soft_bytes or packets > soft_packets)
    assert budget.is_overdrawn(size, packets) == (size > 2 * soft_bytes or packets > 2 * soft_packets)
    assert budget.is_spent(size, packets) or not budget.is_overdrawn(size, packets)


class Ends:
    """A sealer and an opener under one budget, and how often each has asked for fresh keys."""

    def __init__(self, budget: KeyBudget) -> None:
        self.asked = {"sealer": 0, "opener": 0}
        self.sealer = new_sealer(self._ask("sealer"))
        self.opener = Opener(65536, self._ask("opener"))
        self.switch(budget)

    def _ask(self, who: str):
        def ask() -> None:
            self.asked[who] += 1

        return ask

    def switch(self, budget: KeyBudget) -> None:
        sealing, opening = keys_for(MODE)
        self.sealer.switch_keys(sealing, budget, self._ask("sealer"), reset_sequence=False)
        self.opener.switch_keys(opening, budget, self._ask("opener"), reset_sequence=False)

    def send(self, size: int = 3) -> int:
        """One packet; its size on the wire."""
        self.sealer.seal(bytes([94]) * size)
        wire = bytes(self.sealer.take_batch())
        assert len(open_all(self.opener, wire)) == 1
        return len(wire)

    def both_asked(self, times: int) -> bool:
        return self.asked == {"sealer": times, "opener": times}


def test_pol_06_soft_packets_ask_once_until_the_keys_change():
    ends = Ends(KeyBudget(HUGE, 5, HUGE, HUGE))
    for _ in range(3):
        before = ends.asked["sealer"]
        for _ in range(5):
            ends.send()
        assert ends.both_asked(before)
        for _ in range(20):
            ends.send()
            assert ends.both_asked(before + 1)
        ends.switch(KeyBudget(HUGE, 5, HUGE, HUGE))


def test_pol_06_soft_bytes_ask_once_at_the_first_packet_past_them():
    size = Ends(UNLIMITED).send()
    for soft, allowed in ((3 * size, 3), (3 * size - 1, 2), (3 * size + 1, 3)):
        ends = Ends(KeyBudget(soft, HUGE, HUGE, HUGE))
        for _ in range(allowed):
            ends.send()
        assert ends.both_asked(0)
        for _ in range(4):
            ends.send()
            assert ends.both_asked(1)


def test_pol_06_counting_starts_anew_with_each_key():
    ends = Ends(KeyBudget(HUGE, 10, HUGE, HUGE))
    for _ in range(7):
        for _ in range(10):
            ends.send()
        ends.switch(KeyBudget(HUGE, 10, HUGE, HUGE))
    assert ends.both_asked(0)
    assert ends.sealer.packets_sealed == ends.opener.packets_opened == 70


def test_pol_06_each_direction_is_counted_by_itself():
    ends = Ends(KeyBudget(HUGE, 2, HUGE, HUGE))
    for _ in range(4):
        ends.sealer.seal(b"\x02")
    assert ends.asked == {"sealer": 1, "opener": 0}


def test_the_smallest_limits_let_one_packet_pass():
    """A limit of 16 bytes or no packet at all asks at every key's first packet, and goes on."""
    for budget in (KeyBudget(16, HUGE, HUGE, HUGE), KeyBudget(0, HUGE, HUGE, HUGE), KeyBudget(HUGE, 0, HUGE, HUGE)):
        ends = Ends(budget)
        for times in range(1, 6):
            ends.send()
            assert ends.both_asked(times)
            ends.switch(budget)


def test_the_wish_may_act_on_the_sealer_at_once():
    """The wish is told when the packet is complete: it may seal the KEXINIT itself."""
    sealed: list[bytes] = []

    def ask() -> None:
        sealer.gate = Gate.KEX
        sealer.seal(b"\x14kexinit")
        sealed.append(b"asked")

    sealer, opener = sealer_and_opener(MODE)
    sealing, opening = keys_for(MODE)
    sealer.switch_keys(sealing, KeyBudget(HUGE, 1, HUGE, HUGE), ask, reset_sequence=True)
    opener.switch_keys(opening, UNLIMITED, never, reset_sequence=True)
    for payload in (b"\x5eone", b"\x5etwo"):
        sealer.seal(payload)
    assert open_all(opener, bytes(sealer.take_batch())) == [b"\x5eone", b"\x5etwo", b"\x14kexinit"]
    assert sealed == [b"asked"]


@pytest.mark.parametrize("kind", ["packets", "bytes"])
def test_the_sealer_refuses_past_a_hard_limit(kind):
    size = Ends(UNLIMITED).send()
    ends = Ends(KeyBudget(HUGE, 2, HUGE, 6) if kind == "packets" else KeyBudget(2 * size, HUGE, 6 * size, HUGE))
    for _ in range(6):
        ends.sealer.seal(b"\x5exx")
    assert ends.asked["sealer"] == 1
    with pytest.raises(LocalProtocolError):
        ends.sealer.seal(b"\x5exx")
    assert ends.sealer.gate is Gate.CLOSED
    for number in range(1, 256):
        with pytest.raises(LocalProtocolError):
            ends.sealer.seal(bytes([number]))
    with pytest.raises(LocalProtocolError):
        ends.sealer.seal_channel_data(0, memoryview(b""), 0, 0)


def test_the_packet_past_a_hard_limit_is_not_sent():
    """`LocalProtocolError`: nothing was sent."""
    ends = Ends(KeyBudget(HUGE, 2, HUGE, 6))
    for _ in range(6):
        ends.sealer.seal(b"\x5exx")
    pending = ends.sealer.pending
    with pytest.raises(LocalProtocolError):
        ends.sealer.seal(b"\x5exx")
    assert ends.sealer.pending == pending


@pytest.mark.parametrize("kind", ["packets", "bytes"])
def test_the_opener_refuses_past_a_hard_limit(kind):
    size = Ends(UNLIMITED).send()
    budget = KeyBudget(HUGE, 2, HUGE, 6) if kind == "packets" else KeyBudget(2 * size, HUGE, 6 * size, HUGE)
    ends = Ends(UNLIMITED)
    ends.opener.switch_keys(keys_for(MODE)[1], budget, ends._ask("opener"), reset_sequence=False)
    for _ in range(6):
        ends.send()
    assert ends.asked["opener"] == 1
    with pytest.raises(RemoteProtocolError) as refusal:
        ends.send()
    assert refusal.value.reason == 3


@pytest.mark.parametrize("kind", ["packets", "bytes"])
def test_what_the_opener_delivers_up_to_a_hard_limit(kind):
    """No packet too many, so that no sequence number comes twice; bytes are settled once a batch."""
    size = Ends(UNLIMITED).send()
    ends = Ends(UNLIMITED)
    budget = KeyBudget(HUGE, 2, HUGE, 100) if kind == "packets" else KeyBudget(2 * size, HUGE, 100 * size, HUGE)
    ends.opener.switch_keys(keys_for(MODE)[1], budget, ends._ask("opener"), reset_sequence=False)
    for _ in range(1000):
        ends.sealer.seal(b"\x5exx")
    delivered = 0

    def sink(view: memoryview, start: int, end: int) -> bool:
        nonlocal delivered
        delivered += 1
        return False

    def receive_all() -> None:
        wire = bytes(ends.sealer.take_batch())
        while wire:
            wire = put(ends.opener, wire)
            while ends.opener.open_batch(sink):
                pass

    with pytest.raises(RemoteProtocolError) as refusal:
        receive_all()
    assert refusal.value.reason == 3
    assert ends.asked["opener"] == 1
    assert delivered == 100 if kind == "packets" else 100 <= delivered <= 100 + PACKETS_PER_BATCH


@pytest.mark.parametrize("in_one_batch", [0, 1, 2, 63, 64])
def test_newkeys_may_be_the_last_packet_that_is_allowed(in_one_batch):
    """Behind it counts the next budget, wherever the batches end."""
    ends = Ends(UNLIMITED)
    ends.opener.switch_keys(keys_for(MODE)[1], KeyBudget(HUGE, HUGE, HUGE, 65), never, reset_sequence=False)
    for _ in range(64 - in_one_batch):
        ends.send()
    for _ in range(in_one_batch):
        ends.sealer.seal(b"\x5e")
    ends.sealer.seal(b"\x15")
    sealing, opening = keys_for(MODE)
    ends.sealer.switch_keys(sealing, UNLIMITED, never, reset_sequence=False)
    ends.sealer.seal(b"\x5elater")
    received: list[bytes] = []

    def sink(view: memoryview, start: int, end: int) -> bool:
        received.append(bytes(view[start:end]))
        return view[start] == 0x15

    wire = bytes(ends.sealer.take_batch())
    while wire:
        wire = put(ends.opener, wire)
        while ends.opener.open_batch(sink):
            if received[-1] == b"\x15":
                ends.opener.switch_keys(opening, UNLIMITED, never, reset_sequence=False)
    assert received == [b"\x5e"] * in_one_batch + [b"\x15", b"\x5elater"]


NOISE = b"\0\0\0\x0c\x0a\x02" + bytes(10)


def test_a27_the_sealer_ends_before_its_sequence_numbers_wrap_in_the_first_exchange():
    sealer = Sealer(lambda size: bytes(size), never)
    sealer.packets_sealed = sealer.sequence_number = 2**32 - 1
    with pytest.raises(LocalProtocolError):
        sealer.seal(b"\x02")
    assert sealer.gate is Gate.CLOSED


def test_a27_the_opener_ends_before_its_sequence_numbers_wrap_in_the_first_exchange():
    opener = Opener(65536, never)
    opener.packets_opened = opener.sequence_number = 2**32 - 1
    with pytest.raises(RemoteProtocolError):
        open_all(opener, NOISE)


def test_a27_no_sequence_number_comes_twice_within_a_batch_either():
    opener = Opener(65536, never)
    opener.packets_opened = opener.sequence_number = UNLIMITED.hard_packets
    numbers: list[int] = []

    def sink(view: memoryview, start: int, end: int) -> bool:
        numbers.append(opener.sequence_number)
        return False

    put(opener, NOISE * 60)
    with pytest.raises(RemoteProtocolError):
        opener.open_batch(sink)
    assert not numbers
