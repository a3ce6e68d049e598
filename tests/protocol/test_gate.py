"""What may be sealed when: the gate of RFC 4253 §7.1 and hardening 4.1's "Outgoing", held by the sealer whoever calls."""

from __future__ import annotations

from functools import partial

import pytest

from tests.protocol.ends import REPRESENTATIVE_MODES, open_all, refused_locally, sealer_and_opener
from trio_ssh.errors import LocalProtocolError
from trio_ssh.protocol.sealer import Gate

# Between our 20 and our 21: 1-4 and 20-49, in a strict first exchange of 1-4 only 1. Never 5, 6, 7 or 50 and above, no PONG.
LETS = {
    Gate.OPEN: set(range(256)),
    Gate.KEX: {*range(1, 5), *range(20, 50)},
    Gate.STRICT_KEX: {1, *range(20, 50)},
    Gate.CLOSED: set(),
}


@pytest.mark.parametrize("gate", list(Gate))
def test_every_number_at_every_gate(gate):
    sealer, opener = sealer_and_opener(REPRESENTATIVE_MODES[1])
    sealer.gate = gate
    let = {number for number in range(1, 256) if not refused_locally(partial(sealer.seal, bytes([number, 1, 2, 3])))}
    assert let == LETS[gate] - {0}
    assert {number for number in range(1, 256) if gate.lets(number)} == let
    assert [payload[0] for payload in open_all(opener, bytes(sealer.take_batch()))] == sorted(let)


def test_there_is_no_message_0():
    assert not Gate.KEX.lets(0)


@pytest.mark.parametrize("gate", [Gate.KEX, Gate.STRICT_KEX, Gate.CLOSED])
def test_sm_066_channel_data_does_not_slip_through(gate):
    sealer, _ = sealer_and_opener(REPRESENTATIVE_MODES[1])
    sealer.gate = gate
    data = memoryview(b"data")
    for seal in (
        lambda: sealer.seal_channel_data(0, data, 0, 4),
        lambda: sealer.seal_extended_data(0, 1, data, 0, 4),
        lambda: sealer.seal(b"\x5d" + bytes(8)),
        lambda: sealer.seal(b"\xc1\0\0\0\0"),
    ):
        with pytest.raises(LocalProtocolError):
            seal()


@pytest.mark.parametrize("gate", [Gate.KEX, Gate.STRICT_KEX, Gate.CLOSED])
def test_what_is_refused_changes_nothing(gate):
    """P3 as well: behind DISCONNECT there is no output at all."""
    sealer, opener = sealer_and_opener(REPRESENTATIVE_MODES[1])
    sealer.seal(b"\x02before")
    state = (sealer.pending, sealer.sequence_number, sealer.packets_sealed, sealer.bytes_sealed, sealer.bytes_under_key)
    sealer.gate = gate
    for number in set(range(256)) - LETS[gate] - {0}:
        assert refused_locally(partial(sealer.seal, bytes([number])))
    assert (sealer.pending, sealer.sequence_number, sealer.packets_sealed, sealer.bytes_sealed, sealer.bytes_under_key) == state
    sealer.gate = Gate.OPEN
    sealer.seal(b"\x5eafter")
    assert open_all(opener, bytes(sealer.take_batch())) == [b"\x02before", b"\x5eafter"]
