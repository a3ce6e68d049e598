"""Penalties: what each misdeed costs, how they add up and end, and how many are remembered (hardening RES-04; sshd_config(5))."""

from __future__ import annotations

import ipaddress

import pytest

import trio_ssh
from trio_ssh import (
    ACCEPT,
    NOT_WELCOME,
    REFUSE,
    UNKNOWN_USER,
    AuthAttempted,
    ConnectionLost,
    Limits,
    LocalProtocolError,
    RemoteProtocolError,
    SourcePenalties,
)
from trio_ssh.server.admission import NOT_NOW, Admission, Place, Refusal
from trio_ssh.server.penalties import Conduct, Misdeed, PenaltyBook
from trio_ssh.server.sources import Source

ONE, OTHER, SIXTH = Source(4, 1), Source(4, 2), Source(6, 1)

WHAT_THEY_COST = {
    Misdeed.CRASH: 90,
    Misdeed.AUTH_FAILURE: 5,
    Misdeed.INVALID_USER: 5,
    Misdeed.NO_AUTH: 1,
    Misdeed.GRACE_EXCEEDED: 10,
    Misdeed.REFUSED: 10,
}


def refused_until(book: PenaltyBook, source: Source = ONE, now: float = 0.0) -> float:
    """When the source is let in again, to the second; `now` if it is not refused at all."""
    second = 0
    while book.refuses(source, now + second) is not None:
        second += 1
    return now + second


@pytest.mark.parametrize("misdeed", list(Misdeed), ids=lambda misdeed: misdeed.name)
def test_res_04_penalties_add_up_and_count_when_they_are_more_than_15_s(misdeed: Misdeed):
    seconds = WHAT_THEY_COST[misdeed]
    book = PenaltyBook(SourcePenalties())
    times = 15 // seconds
    for _ in range(times):
        book.note(ONE, misdeed, 0.0)
    assert book.refuses(ONE, 0.0) is None
    assert book.note(ONE, misdeed, 0.0) == seconds * (times + 1)
    assert book.note(OTHER, Misdeed.NO_AUTH, 0.0) == 0
    assert book.refuses(ONE, 0.0) == f"its source {misdeed.value}"
    assert book.refuses(OTHER, 0.0) is book.refuses(SIXTH, 0.0) is None
    assert refused_until(book) == seconds * (times + 1)
    assert len(book) == 0


def test_res_04_penalties_run_off_and_begin_anew():
    book = PenaltyBook(SourcePenalties())
    for turn in range(100):  # five seconds each five seconds: never more than fifteen
        book.note(ONE, Misdeed.AUTH_FAILURE, turn * 5.0)
        assert book.refuses(ONE, turn * 5.0) is None
    book.note(ONE, Misdeed.AUTH_FAILURE, 1000.0)
    assert refused_until(book, now=1000.0) == 1000.0


def test_res_04_a_penalty_is_never_longer_than_600_s():
    book = PenaltyBook(SourcePenalties())
    for _ in range(100):
        book.note(ONE, Misdeed.CRASH, 0.0)
    assert refused_until(book) == 600


def test_a_penalty_of_no_seconds_is_none():
    book = PenaltyBook(SourcePenalties(no_auth_seconds=0, min_seconds=0))
    book.note(ONE, Misdeed.NO_AUTH, 0.0)
    assert len(book) == 0
    book.note(ONE, Misdeed.REFUSED, 0.0)
    assert refused_until(book) == 10


def test_res_04_of_too_many_sources_those_are_forgotten_whose_penalty_ends_first():
    book = PenaltyBook(SourcePenalties(sources_ipv4=3))
    for network in range(1000):
        book.note(Source(4, network), Misdeed.CRASH, network / 1000)
        assert len(book) <= 3
    assert [network for network in range(1000) if book.refuses(Source(4, network), 1.0)] == [997, 998, 999]
    book.note(SIXTH, Misdeed.CRASH, 1.0)  # the other family's are another matter
    assert len(book) == 4


def test_res_04_of_too_many_sources_everybody_is_refused_if_so_wished():
    book = PenaltyBook(SourcePenalties(sources_ipv4=2, deny_all_ipv4=True))
    book.note(ONE, Misdeed.CRASH, 0.0)
    assert book.refuses(OTHER, 0.0) is None
    book.note(OTHER, Misdeed.NO_AUTH, 0.0)  # also what is below the threshold is remembered
    assert book.refuses(Source(4, 3), 0.5) == "2 sources have penalties"
    book.note(Source(4, 3), Misdeed.CRASH, 0.5)
    assert len(book) == 2
    assert book.refuses(SIXTH, 0.5) is None
    assert book.refuses(Source(4, 3), 1.0) is None


def test_res_04_what_is_kept_for_the_order_of_ends_is_bounded_too():
    book = PenaltyBook(SourcePenalties())
    for turn in range(10_000):
        book.note(ONE, Misdeed.NO_AUTH, turn / 100)
    assert len(book._families[4]._ends) <= 66
    assert refused_until(book, now=100.0) == 700.0


def test_who_is_exempt():
    rules = SourcePenalties(exempt=["192.0.2.0/24", "!192.0.2.9"], min_seconds=0)
    admission = Admission(Limits(source_penalties=rules))
    for text, exempt in [("192.0.2.1", True), ("192.0.2.9", False), ("198.51.100.1", False)]:
        place = admission.admit(ipaddress.ip_address(text), 0.0)
        assert isinstance(place, Place)
        assert place.exempt is exempt
    assert isinstance(admission.admit(None, 0.0), Place)
    with pytest.raises(LocalProtocolError, match=r"SourcePenalties.exempt: 'host' is not an address"):
        SourcePenalties(exempt=["host"])


def test_res_04_a_penalised_source_is_told_so_and_takes_no_place(caplog):
    admission = Admission(Limits(source_penalties=SourcePenalties()))
    address = ipaddress.ip_address("2001:db8::1")
    place = admission.admit(address, 0.0)
    assert isinstance(place, Place)
    admission.judge(place, Conduct(0.0), ValueError("a mistake"), 0.0, "somebody")
    assert caplog.messages == ["somebody: its source is refused for 90 s: it made serving it fail"]
    place.leave()
    neighbour = ipaddress.ip_address("2001:db8::2")
    assert admission.admit(neighbour, 89.0) == Refusal(NOT_NOW, "its source made serving it fail")
    assert admission.statistics()[0] == 0
    assert isinstance(admission.admit(neighbour, 90.0), Place)


def test_nothing_is_held_against_who_has_logged_in():
    admission = Admission(Limits(source_penalties=SourcePenalties()))
    place = admission.admit(ipaddress.ip_address("192.0.2.1"), 0.0)
    assert isinstance(place, Place)
    place.leave()
    admission.judge(place, Conduct(0.0), ValueError("a mistake"), 0.0, "somebody")
    assert admission.penalties is not None
    assert len(admission.penalties) == 0


# -- what a connection did ---------------------------------------------------------------------------------------------------------------

LOST = ConnectionLost("the peer closed the connection")
FAULT = RemoteProtocolError("the peer broke a rule")


@pytest.mark.parametrize(
    ("cause", "seconds", "events", "misdeed"),
    [
        (LOST, 0.1, [], Misdeed.NO_AUTH),
        (LOST, 59, [], Misdeed.NO_AUTH),
        (FAULT, 0.1, [], Misdeed.NO_AUTH),
        (FAULT, 10, [], Misdeed.GRACE_EXCEEDED),
        (LOST, 60, [], Misdeed.GRACE_EXCEEDED),
        (LOST, 0.1, [("none", "refused")], Misdeed.NO_AUTH),
        (LOST, 0.1, [("none", "refused"), ("password", "refused")], Misdeed.AUTH_FAILURE),
        (LOST, 0.1, [("publickey", "question")], Misdeed.NO_AUTH),
        (FAULT, 2, [("publickey", "refused")], Misdeed.AUTH_FAILURE),
        (ValueError(), 0.1, [("publickey", "refused")], Misdeed.CRASH),
    ],
)
def test_what_a_connection_is_blamed_for(cause, seconds, events, misdeed):
    conduct = Conduct(100.0)
    for method, outcome in events:
        conduct.observe(AuthAttempted("ada", method, outcome))
    assert conduct.misdeed(cause, Limits(), 100.0 + seconds) is misdeed


@pytest.mark.parametrize(
    ("verdict", "misdeed"),
    [
        (REFUSE, Misdeed.AUTH_FAILURE),
        (UNKNOWN_USER, Misdeed.INVALID_USER),
        (NOT_WELCOME, Misdeed.REFUSED),
        (ACCEPT, Misdeed.AUTH_FAILURE),
    ],
)
def test_what_a_policy_says_of_it(verdict, misdeed):
    seen: list[trio_ssh.Event] = []
    conduct = Conduct(0.0)
    conduct.note_verdict(verdict)
    observer = conduct.watching(seen.append)
    observer(AuthAttempted("ada", "password", "refused"))
    assert seen == [AuthAttempted("ada", "password", "refused")]
    assert conduct.misdeed(LOST, Limits(), 1.0) is misdeed
