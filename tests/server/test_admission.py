"""Who gets a place: bounds, random early drop, shares and the pace of each source (hardening 6.1)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

import attrs
import pytest

from trio_ssh import Limits
from trio_ssh.server.admission import NOT_NOW, TOO_MANY, Admission, Pace, Place, Refusal, RefusalLog
from trio_ssh.server.sources import Source, source_of

HERE = ipaddress.ip_address("192.0.2.1")
THERE = ipaddress.ip_address("198.51.100.1")
CALM = Limits(handshakes_per_source_per_second=None, unauthenticated_per_source=None)
"""Nothing but the bound on all connections and the early drop."""


def addresses(count: int, first: str = "203.0.113.0") -> Iterable[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    start = ipaddress.ip_address(first)
    return (start + i for i in range(count))


def admitted(admission: Admission, address=None, now: float = 0.0) -> Place:
    place = admission.admit(address, now)
    assert isinstance(place, Place), place
    return place


def refused(admission: Admission, address=None, now: float = 0.0) -> Refusal:
    refusal = admission.admit(address, now)
    assert isinstance(refusal, Refusal)
    return refusal


# -- all connections ---------------------------------------------------------------------------------------------------------------------


def test_b17_a_place_that_is_left_can_be_taken_again():
    admission = Admission(attrs.evolve(CALM, unauthenticated_connections=2))
    first, _ = admitted(admission, HERE), admitted(admission)
    assert refused(admission, HERE).line == refused(admission).line == TOO_MANY
    first.leave()
    first.leave()  # once is enough
    assert admission.statistics() == (1, 0)
    admitted(admission, THERE)
    refused(admission, HERE)


def probabilities(limits: Limits) -> list[float]:
    """The share of draws, of a hundred evenly spaced ones, that refuse a newcomer at 0, 1, 2, ... places held."""
    draws = [1 - 2**-53]
    admission = Admission(limits, draw=lambda: draws[0])
    shares = []
    for newcomer in addresses(limits.unauthenticated_connections + 1):
        refusals = 0
        for hundredth in range(100):
            draws[0] = hundredth / 100
            answer = admission.admit(HERE, 0.0)
            if isinstance(answer, Place):
                answer.leave()
            else:
                refusals += 1
        shares.append(refusals / 100)
        draws[0] = 1 - 2**-53
        admission.admit(newcomer, 0.0)
    return shares


def test_res_01_b17_random_early_drop_begins_at_10_with_30_percent_and_grows_evenly_to_100():
    shares = probabilities(attrs.evolve(CALM, unauthenticated_drop_begin=2, unauthenticated_connections=9))
    assert shares == [0.0, 0.0, *(pytest.approx(0.3 + 0.7 * i / 7, abs=0.01) for i in range(7)), 1.0]
    assert (Limits().unauthenticated_drop_begin, Limits().unauthenticated_drop_percent) == (10, 30)
    assert Limits().unauthenticated_connections == 100


@pytest.mark.parametrize("begin", [3, 100])
def test_without_room_between_begin_and_full_there_is_no_early_drop(begin: int):
    admission = Admission(attrs.evolve(CALM, unauthenticated_drop_begin=begin, unauthenticated_connections=3), draw=lambda: 0.0)
    for address in addresses(3):
        admitted(admission, address)
    refused(admission, HERE)


def test_a_drop_of_100_percent_is_a_bound():
    admission = Admission(attrs.evolve(CALM, unauthenticated_drop_begin=4, unauthenticated_drop_percent=100), draw=lambda: 1 - 2**-53)
    for address in addresses(4):
        admitted(admission, address)
    refused(admission, HERE)


def test_res_04_the_one_source_that_holds_most_counts_as_one_for_others():
    limits = attrs.evolve(CALM, unauthenticated_drop_begin=5, unauthenticated_drop_percent=100)
    admission = Admission(limits, draw=lambda: 0.0)
    for _ in range(5):
        admitted(admission, THERE)
    refused(admission, THERE)  # for itself it counts in full
    for address in addresses(4):
        admitted(admission, address)
    refused(admission, HERE)  # one and four


def test_peers_without_an_address_have_no_share_and_no_pace():
    limits = Limits(unauthenticated_per_source=1, handshakes_per_source_per_second=1, unauthenticated_drop_begin=100)
    admission = Admission(limits)
    places = [admitted(admission) for _ in range(100)]
    assert all(place.wait_seconds == 0 and place.exempt for place in places)
    refused(admission)


# -- one source --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::1", "0.0.0.1", False),
    ],
)
def test_res_04_a_source_is_an_ipv4_address_or_an_ipv6_network_of_64_bits(one: str, other: str, same: bool):
    limits = Limits(unauthenticated_per_source=1)
    assert (source_of(ipaddress.ip_address(one), limits) == source_of(ipaddress.ip_address(other), limits)) is same
    admission = Admission(limits)
    admitted(admission, ipaddress.ip_address(one))
    assert isinstance(admission.admit(ipaddress.ip_address(other), 0.0), Refusal) is same


def test_the_size_of_networks_can_be_set():
    limits = Limits(source_ipv4_bits=24, source_ipv6_bits=128)
    assert source_of(HERE, limits) == source_of(ipaddress.ip_address("192.0.2.255"), limits) == Source(4, 0xC00002)
    assert source_of(ipaddress.ip_address("::1"), limits) != source_of(ipaddress.ip_address("::2"), limits)
    everybody = attrs.evolve(limits, source_ipv4_bits=0)
    assert source_of(HERE, everybody) == source_of(THERE, everybody) == Source(4, 0)


def test_res_04_a_source_gets_ten_places_and_others_are_not_touched():
    admission = Admission(Limits(), draw=lambda: 0.5)
    places = [admitted(admission, HERE) for _ in range(10)]
    assert refused(admission, HERE) == Refusal(TOO_MANY, "10 others of its source are logging in")
    admitted(admission, THERE)
    places[0].leave()
    admitted(admission, HERE)


def test_sources_are_forgotten_when_their_places_are_left():
    admission = Admission(Limits())
    for turn, address in enumerate(addresses(1000)):
        admitted(admission, address, now=turn).leave()
    assert admission._by_source == {}
    assert admission.statistics() == (0, 1)


# -- the pace ----------------------------------------------------------------------------------------------------------------------------


SOMEBODY = Source(4, 1)


def begins(pace: Pace, count: int, source: Source = SOMEBODY, now: float = 0.0) -> list[float]:
    """When as many that come at once may begin."""
    return [now + pace.begin(source, now) for _ in range(count)]


def most_in(seconds: float, times: list[float]) -> int:
    return max(sum(start <= time < start + seconds for time in times) for start in times)


@pytest.mark.parametrize("per_second", [1, 2, 3, 4, 5, 20, 100])
def test_a13_at_most_so_many_handshakes_begin_in_any_second(per_second: int):
    times = begins(Pace(per_second), 10 * per_second)
    assert times == sorted(times)
    # 1 - 1e-9: what is evenly spaced to the last bit may be late by a rounding.
    assert most_in(1 - 1e-9, times) <= per_second
    assert most_in(10, times) >= 0.75 * 10 * per_second  # and it is no less by much


def test_a13_a_quarter_may_begin_at_once_and_again_after_a_pause():
    pace = Pace(20)
    assert begins(pace, 6) == [0, 0, 0, 0, 0, pytest.approx(1 / 16)]
    assert begins(pace, 5, now=10.0) == [10.0] * 5


def test_a13_who_comes_steadily_is_not_slowed_down():
    pace = Pace(20)
    assert [pace.begin(Source(4, 1), turn / 16) for turn in range(200)] == [0] * 200


def test_a13_sources_do_not_wait_for_each_other():
    pace = Pace(20)
    begins(pace, 100)
    assert begins(pace, 1, Source(4, 2)) == [0]
    assert begins(pace, 1, Source(6, 1)) == [0]


def test_a13_the_table_of_sources_is_bounded_and_forgets_the_idle():
    pace = Pace(20, sources_max=10)
    for network in range(1000):
        pace.begin(Source(4, network), 0.0)
        assert len(pace) <= 10
    pace.begin(Source(4, 0), 5.0)
    assert len(pace) == 1


def test_a13_the_first_connections_do_not_wait_and_none_do_without_a_limit():
    admission = Admission(Limits(handshakes_per_source_per_second=2))
    assert admitted(admission, HERE).wait_seconds == 0
    assert admitted(admission, HERE).wait_seconds == 0.5
    admission = Admission(Limits(handshakes_per_source_per_second=None))
    assert [admitted(admission, HERE).wait_seconds for _ in range(10)] == [0] * 10


# -- the log -----------------------------------------------------------------------------------------------------------------------------


def test_res_29_refusals_are_logged_once_a_second(caplog):
    log = RefusalLog()
    for turn in range(2001):
        log.note("192.0.2.1 port 9", "for a reason", turn / 1000)
    assert [record.getMessage() for record in caplog.records] == [
        "192.0.2.1 port 9: refused: for a reason",
        *["192.0.2.1 port 9: refused: for a reason; and 999 more before it"] * 2,
    ]
    assert NOT_NOW == b"Not allowed at this time\r\n"
