"""The life of a channel: hardening SM-128 to SM-149 stated once more as a table, compared entry by entry, and walks through it."""

from __future__ import annotations

import itertools

import pytest

from trio_ssh.errors import RemoteProtocolError
from trio_ssh.protocol.channel_state import CHANNEL_NUMBERS, JOINT, ChannelState, Side, Verdict

CONFIRMATION, FAILURE, ADJUST, DATA, EXT_DATA, EOF, CLOSE, REQUEST, SUCCESS, REFUSAL = range(91, 101)
NUMBERS = tuple(range(91, 101))
OPENING, OPEN, ENDED, CLOSED = Side.OPENING, Side.OPEN, Side.EOF, Side.CLOSED

TAKE, DROP, ILLEGAL = {Verdict.TAKE}, {Verdict.DROP}, {Verdict.ILLEGAL}
TAKE_OR_DROP = TAKE | DROP  # it ends their side; whether it is acted on is all the same when we have closed
DROP_OR_ILLEGAL = DROP | ILLEGAL

# What a state means, (ours, theirs): what we have sent and what they have.
WAITING = [(OPENING, OPENING)]  # our OPEN is out (SM-132)
BOTH_OPEN = [(OPEN, OPEN), (ENDED, OPEN)]  # whether we have sent EOF says nothing about what they may send
THEY_ENDED = [(OPEN, ENDED), (ENDED, ENDED)]  # EOF_IN
THEY_CLOSED = [(OPEN, CLOSED), (ENDED, CLOSED)]  # their CLOSE came, ours is on its way
WE_CLOSED = [(CLOSED, OPEN)]  # CLOSE_SENT (SM-148)
WE_CLOSED_THEY_ENDED = [(CLOSED, ENDED)]

EXPECTED: list[tuple[list[tuple[Side, Side]], dict[int, set[Verdict]]]] = [
    # SM-132 for 93-98; an answer to no request of ours, 99 and 100, has no meaning either (SM-130: ignored, RFC 4254 §5.1: illegal)
    (WAITING, {CONFIRMATION: TAKE, FAILURE: TAKE, SUCCESS: DROP_OR_ILLEGAL, REFUSAL: DROP_OR_ILLEGAL}),
    # SM-125, 126: no second confirmation
    (BOTH_OPEN, dict.fromkeys((ADJUST, DATA, EXT_DATA, EOF, CLOSE, REQUEST, SUCCESS, REFUSAL), TAKE)),
    # SM-141, 142, 143, 144
    (THEY_ENDED, {EOF: DROP, **dict.fromkeys((ADJUST, CLOSE, REQUEST, SUCCESS, REFUSAL), TAKE)}),
    # SM-145, 147; what RFC 4254 §5.3 has them send no more is not worth a connection only for 93, 99, 100 (SM-129, 130)
    (THEY_CLOSED, {ADJUST: DROP_OR_ILLEGAL, SUCCESS: DROP_OR_ILLEGAL, REFUSAL: DROP_OR_ILLEGAL}),
    # SM-148
    (WE_CLOSED, {EOF: TAKE_OR_DROP, CLOSE: TAKE, **dict.fromkeys((ADJUST, DATA, EXT_DATA, REQUEST, SUCCESS, REFUSAL), DROP)}),
    (WE_CLOSED_THEY_ENDED, {EOF: DROP, CLOSE: TAKE, **dict.fromkeys((ADJUST, REQUEST, SUCCESS, REFUSAL), DROP)}),
]


def test_the_joint_table():
    for pairs, row in EXPECTED:
        for pair in pairs:
            for number in NUMBERS:
                found = JOINT[pair].get(number, Verdict.ILLEGAL)
                assert found in row.get(number, ILLEGAL), (pair, number, found)


def test_states_that_cannot_be_take_nothing():
    """A channel is OPENING on both sides or on none, and both CLOSED is forgotten: its number is answered for elsewhere."""
    stated = {pair for pairs, _ in EXPECTED for pair in pairs}
    for pair in set(itertools.product(Side, Side)) - stated:
        taken = {number for number, verdict in JOINT[pair].items() if verdict is Verdict.TAKE}
        assert taken <= {CONFIRMATION, FAILURE}
        assert OPENING in pair or not taken


def test_only_channel_messages_are_in_the_table():
    assert set(JOINT) == set(itertools.product(Side, Side))
    assert all(set(row) <= set(NUMBERS) for row in JOINT.values())
    assert set(CHANNEL_NUMBERS) == set(NUMBERS)


def channel(ours: Side, theirs: Side) -> ChannelState:
    """A channel that has got there the legal way."""
    state = ChannelState(OPENING, OPENING)
    if ours is not OPENING:
        state.opened()
    if theirs is ENDED:
        assert state.received(EOF)
    elif theirs is CLOSED:
        assert state.received(CLOSE)
    if ours is ENDED:
        state.sent_eof()
    elif ours is CLOSED:
        state.sent_close()
    assert (state.ours, state.theirs) == (ours, theirs)
    return state


REACHABLE = [pair for pairs, _ in EXPECTED for pair in pairs]


@pytest.mark.parametrize(("ours", "theirs"), REACHABLE, ids=lambda side: side.name)
def test_every_message_in_every_state(ours, theirs):
    for number in NUMBERS:
        verdict = JOINT[ours, theirs].get(number, Verdict.ILLEGAL)
        state = channel(ours, theirs)
        assert state.data_in == (JOINT[ours, theirs].get(DATA) is Verdict.TAKE)
        if verdict is Verdict.ILLEGAL:
            with pytest.raises(RemoteProtocolError) as refusal:
                state.received(number)
            assert refusal.value.reason == 2
            assert (state.ours, state.theirs) == (ours, theirs)
            continue
        assert state.received(number) is (verdict is Verdict.TAKE)
        assert state.ours is ours
        after = {EOF: ENDED, CLOSE: CLOSED}.get(number, theirs)
        assert state.theirs is after
        assert state.data_in == (JOINT[state.ours, state.theirs].get(DATA) is Verdict.TAKE)


@pytest.mark.parametrize("number", NUMBERS)
def test_sm_148_behind_our_close_until_theirs(number):
    """Everything they may have sent before they heard of it: nothing of it reaches anybody."""
    if number in (CONFIRMATION, FAILURE):
        return
    state = channel(CLOSED, OPEN)
    state.received(number)
    assert not state.data_in
    assert state.is_over == (number == CLOSE)


@pytest.mark.parametrize("we_close_first", [True, False])
@pytest.mark.parametrize("our_eof", [True, False])
@pytest.mark.parametrize("their_eof", [True, False])
def test_a_life(we_close_first, our_eof, their_eof):
    state = ChannelState(OPENING, OPENING)
    assert state.received(CONFIRMATION)
    assert not state.data_in
    state.opened()
    assert state.data_in
    if our_eof:
        state.sent_eof()
        assert state.data_in  # half-closed: they go on
    if their_eof:
        state.received(EOF)
        assert not state.data_in
    assert not state.is_over
    if we_close_first:
        state.sent_close()
        assert not state.is_over
        assert state.received(CLOSE)
    else:
        assert state.received(CLOSE)
        assert not state.is_over
        state.sent_close()
    assert state.is_over
    assert not state.data_in
    for number in (DATA, EOF, CLOSE, REQUEST):
        with pytest.raises(RemoteProtocolError):
            state.received(number)


def test_a_refused_open_is_over():
    state = ChannelState(OPENING, OPENING)
    assert state.received(FAILURE)
    state.refused()
    assert state.is_over
    assert not state.data_in


def test_sm_142_sm_143_data_behind_eof_even_when_we_have_closed():
    for ours in (OPEN, ENDED, CLOSED):
        for number in (DATA, EXT_DATA):
            with pytest.raises(RemoteProtocolError):
                channel(ours, ENDED).received(number)


def test_the_error_names_the_message_and_the_states():
    with pytest.raises(RemoteProtocolError, match="CHANNEL_DATA") as refusal:
        channel(OPEN, ENDED).received(DATA)
    assert refusal.value.received == "CHANNEL_DATA"
