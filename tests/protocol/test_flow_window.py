"""Flow control (RFC 4254 §5.2): a sender that obeys its window never meets the receiver's refusal, and credit comes back at half."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_ssh.errors import RemoteProtocolError
from trio_ssh.protocol.flow_window import ReceiveWindow, SendWindow

UINT32_MAX = 2**32 - 1

steps = st.lists(st.tuples(st.sampled_from(["send", "take"]), st.integers(0, 300)), max_size=80)


@given(st.integers(1, 500), steps)
def test_p8_a_sender_never_exceeds_and_nothing_is_lost(size, steps):
    """Two ends, adjusts that arrive at once: what is unread, what is to come and what is not given back yet are always the window."""
    sender, receiver = SendWindow(size), ReceiveWindow.of(size)
    unread = taken = given_back = 0
    for step, amount in steps:
        if step == "send":
            amount = min(amount, sender.credit)
            sender.credit -= amount
            receiver.consume(amount)
            unread += amount
        else:
            amount = min(amount, unread)
            unread -= amount
            taken += amount
            back = receiver.release(amount)
            given_back += back
            if back:
                sender.add(back)
                assert 2 * back >= size
        assert sender.credit == receiver.credit >= 0
        assert unread + receiver.credit + receiver.taken == size
        assert given_back == taken - receiver.taken
        assert 2 * receiver.taken < size
    if unread == 0:
        assert sender.credit > 0  # an application that has read all leaves nobody waiting for ever


@given(st.integers(1, 1000), st.integers(1, 1000))
def test_credit_returns_at_half_and_not_before(size, step):
    window = ReceiveWindow.of(size)
    taken = 0
    while taken + step <= size:
        window.consume(step)
        taken += step
        back = window.release(step)
        assert back == (taken if 2 * taken >= size else 0)
        if back:
            return


@given(st.integers(0, 1000), st.integers(0, 2000))
def test_sm_135_sm_140_one_byte_over_the_window_is_refused(size, amount):
    window = ReceiveWindow.of(size)
    if amount <= size:
        window.consume(amount)
        return
    with pytest.raises(RemoteProtocolError) as refusal:
        window.consume(amount)
    assert refusal.value.reason == 2


def test_sm_138_empty_data_costs_nothing():
    window = ReceiveWindow.of(0)
    for _ in range(10):
        window.consume(0)
    assert window.credit == 0


def test_sm_141_an_adjust_past_the_largest_window():
    for credit, size in ((UINT32_MAX, 1), (1, UINT32_MAX), (UINT32_MAX, UINT32_MAX), (2**31, 2**31)):
        window = SendWindow(credit)
        with pytest.raises(RemoteProtocolError) as refusal:
            window.add(size)
        assert refusal.value.reason == 2
        assert window.credit == credit
    for credit, size in ((UINT32_MAX, 0), (0, UINT32_MAX), (2**31 - 1, 2**31), (0, 0)):
        window = SendWindow(credit)
        window.add(size)
        assert window.credit == credit + size
