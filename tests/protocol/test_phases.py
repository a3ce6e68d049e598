"""Which message is legal when: hardening 4.1 stated once more, as data, and compared number by number; then walks through the phases."""

from __future__ import annotations

import pytest

from trio_ssh.errors import RemoteProtocolError
from trio_ssh.protocol.key_exchange import inbound_numbers
from trio_ssh.protocol.phases import PREAUTH, ROUTES, TABLE, Phase, PhaseTracker, Route
from trio_ssh.protocol.role import Role

S, C = Role.SERVER, Role.CLIENT

# What the peer gets for a message: one word each.
MEANING = {
    Route.ILLEGAL: "illegal",
    Route.CONNECTION: "mux",
    Route.KEX: "kex",
    Route.AUTH: "auth",
    Route.DISCONNECT: "end",
    Route.NOISE: "noise",
    Route.DROP: "ignored",
    Route.PING: "pong",
    Route.LATE_AUTH: "ignored",
    Route.UNKNOWN: "unimplemented",
}

# Hardening 4.1, with what 4.2 says otherwise; a number that is not named is illegal. 1 is legal everywhere.
# S7's "U" numbers are those of SM-158 and, for a server, a late SERVICE_REQUEST (SM-081); a late banner is ignored (SM-108), a late
# USERAUTH_REQUEST too (SM-104). Of the method-specific 60-79, what fits the running method is for the machine to say.
CONNECTED = (
    "1 end, 2-4 noise, 20 kex, 80-82 mux, 90-100 mux, 192-193 pong,"
    " 8-19 unimplemented, 54-59 unimplemented, 83-89 unimplemented, 101-191 unimplemented, 194-255 unimplemented"
)
IN_REKEY = "1 end, 2-4 noise, 192-193 ignored"

LEGAL: dict[tuple[Role, Phase], str] = {
    (S, Phase.AWAIT_KEXINIT): "1 end, 2-4 noise, 20 kex",
    (C, Phase.AWAIT_KEXINIT): "1 end, 2-4 noise, 20 kex",
    (S, Phase.IN_KEX): "1 end, 2-4 noise, 30 kex",
    (C, Phase.IN_KEX): "1 end, 2-4 noise, 31 kex",
    (S, Phase.IN_KEX_STRICT): "1 end, 30 kex",
    (C, Phase.IN_KEX_STRICT): "1 end, 31 kex",
    (S, Phase.AWAIT_NEWKEYS): "1 end, 2-4 noise, 21 kex",
    (C, Phase.AWAIT_NEWKEYS): "1 end, 2-4 noise, 21 kex",
    (S, Phase.AWAIT_NEWKEYS_STRICT): "1 end, 21 kex",
    (C, Phase.AWAIT_NEWKEYS_STRICT): "1 end, 21 kex",
    (S, Phase.FIRST_PACKET): "1 end, 2-4 noise, 5 auth, 7 auth, 192 ignored",
    (C, Phase.FIRST_PACKET): "1 end, 2-4 noise, 6 auth, 7 auth, 192 ignored",
    (S, Phase.AWAIT_SERVICE): "1 end, 2-4 noise, 5 auth, 192 ignored",
    (C, Phase.AWAIT_SERVICE): "1 end, 2-4 noise, 6 auth, 192 ignored",
    (S, Phase.AUTH): "1 end, 2-4 noise, 5 auth, 50 auth, 61-79 auth, 192 ignored",
    (C, Phase.AUTH): "1 end, 2-4 noise, 7 auth, 51-53 auth, 60-79 auth, 192 ignored",
    (S, Phase.CONNECTION): CONNECTED + ", 5 unimplemented, 50 ignored",
    (C, Phase.CONNECTION): CONNECTED + ", 53 ignored",
    (S, Phase.REKEY_ASKED): CONNECTED + ", 5 unimplemented, 50 ignored",
    (C, Phase.REKEY_ASKED): CONNECTED + ", 53 ignored",
    (S, Phase.REKEY): IN_REKEY + ", 30 kex",
    (C, Phase.REKEY): IN_REKEY + ", 31 kex",
    (S, Phase.REKEY_AWAIT_NEWKEYS): IN_REKEY + ", 21 kex",
    (C, Phase.REKEY_AWAIT_NEWKEYS): IN_REKEY + ", 21 kex",
}


def row_of(text: str) -> list[str]:
    row = ["illegal"] * 256
    for entry in text.split(","):
        numbers, meaning = entry.split()
        first, _, last = numbers.partition("-")
        for number in range(int(first), int(last or first) + 1):
            assert row[number] == "illegal"
            row[number] = meaning
    return row


def in_phase(role: Role, phase: Phase) -> PhaseTracker:
    """A tracker that has got there the legal way."""
    tracker = PhaseTracker(role)
    strict = "STRICT" in phase.name
    steps = [
        lambda: tracker.received_kexinit(strict=strict, method_numbers=inbound_numbers("curve25519-sha256", role), sequence_number=0),
        lambda: tracker.received_kex_message(inbound_numbers("curve25519-sha256", role)[0]),
        tracker.received_newkeys,
        lambda: tracker.received_packet(2),
        lambda: tracker.received_packet(5 if role is S else 6),
        tracker.authentication_succeeded,
        tracker.sent_kexinit,
        lambda: tracker.received_kexinit(strict=False, method_numbers=inbound_numbers("curve25519-sha256", role), sequence_number=77),
        lambda: tracker.received_kex_message(inbound_numbers("curve25519-sha256", role)[0]),
    ]
    while tracker.phase is not phase:
        steps.pop(0)()
    return tracker


def meaning_of(role: Role, phase: Phase, number: int) -> str:
    """The table's answer and, for a key exchange method's message, whether it is its turn."""
    tracker = in_phase(role, phase)
    route = tracker.routes[number]
    if route is Route.KEX and number >= 30:
        try:
            tracker.received_kex_message(number)
        except RemoteProtocolError:
            return "illegal"
    return MEANING[route]


@pytest.mark.parametrize(("role", "phase"), LEGAL, ids=lambda part: part.name)
def test_g1_every_number_in_every_phase(role, phase):
    expected = row_of(LEGAL[role, phase])
    found = [meaning_of(role, phase, number) for number in range(256)]
    assert {n: (found[n], expected[n]) for n in range(256) if found[n] != expected[n]} == {}


def test_every_phase_of_both_roles_is_stated():
    assert set(LEGAL) == set(TABLE) == set(ROUTES) == {(role, phase) for role in Role for phase in Phase}
    assert all(len(routes) == 256 for routes in ROUTES.values())


def test_preauth_is_all_before_the_connection_protocol():
    """P1: nothing of the connection protocol has a route before."""
    for (role, phase), routes in ROUTES.items():
        assert (phase in PREAUTH) == (Route.CONNECTION not in routes and not phase.name.startswith("REKEY"))
        assert in_phase(role, phase).authenticated == (phase not in PREAUTH)


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("strict", [True, False])
def test_walk_a_handshake_and_rekeys_begun_by_each_side(role, strict):
    kex_number = inbound_numbers("curve25519-sha256", role)[0]
    tracker = PhaseTracker(role)
    phases = []

    def step(act, *args, **kwargs):
        act(*args, **kwargs)
        phases.append(tracker.phase)
        assert tracker.routes is ROUTES[role, tracker.phase]

    step(tracker.sent_kexinit)
    step(tracker.received_kexinit, strict=strict, method_numbers=(kex_number,), sequence_number=0)
    step(tracker.received_kex_message, kex_number)
    step(tracker.received_newkeys)
    step(tracker.received_packet, 7)
    step(tracker.received_packet, 5 if role is S else 6)
    step(tracker.received_packet, 50 if role is S else 51)
    step(tracker.authentication_succeeded)
    in_kex, await_newkeys = (Phase.IN_KEX_STRICT, Phase.AWAIT_NEWKEYS_STRICT) if strict else (Phase.IN_KEX, Phase.AWAIT_NEWKEYS)
    assert phases == [
        Phase.AWAIT_KEXINIT,
        in_kex,
        await_newkeys,
        Phase.FIRST_PACKET,
        Phase.AWAIT_SERVICE,
        Phase.AUTH,
        Phase.AUTH,
        Phase.CONNECTION,
    ]
    for ours_first in (True, False, True):
        phases.clear()
        if ours_first:
            step(tracker.sent_kexinit)
        step(tracker.received_kexinit, strict=False, method_numbers=(kex_number,), sequence_number=9)
        if not ours_first:
            step(tracker.sent_kexinit)
        step(tracker.received_kex_message, kex_number)
        step(tracker.received_newkeys)
        middle = [Phase.REKEY_ASKED, Phase.REKEY] if ours_first else [Phase.REKEY, Phase.REKEY]
        assert phases == [*middle, Phase.REKEY_AWAIT_NEWKEYS, Phase.CONNECTION]
        assert tracker.strict is strict


def test_sm_034_strict_needs_the_kexinit_to_be_the_first_packet():
    for role in Role:
        for sequence_number in (1, 2, 2**32 - 1):
            tracker = PhaseTracker(role)
            with pytest.raises(RemoteProtocolError) as refusal:
                tracker.received_kexinit(strict=True, method_numbers=(30,), sequence_number=sequence_number)
            assert refusal.value.reason == 2


def test_sm_035_without_strict_noise_may_come_first():
    tracker = PhaseTracker(S)
    tracker.received_kexinit(strict=False, method_numbers=(30,), sequence_number=3)
    assert tracker.phase is Phase.IN_KEX


def test_sm_049_a_rekey_does_not_change_what_strict_is():
    for strict in (True, False):
        tracker = PhaseTracker(C)
        tracker.received_kexinit(strict=strict, method_numbers=(31,), sequence_number=0)
        tracker.received_kex_message(31)
        tracker.received_newkeys()
        tracker.authentication_succeeded()
        tracker.received_kexinit(strict=not strict, method_numbers=(31,), sequence_number=5)
        assert tracker.strict is strict
        assert tracker.phase is Phase.REKEY


@pytest.mark.parametrize("phase", [Phase.IN_KEX, Phase.IN_KEX_STRICT, Phase.REKEY])
def test_sm_058_a04_each_kex_message_once_and_in_its_turn(phase):
    """A method of two steps, as group exchange has it."""
    tracker = in_phase(S, phase)
    tracker.received_kexinit(strict="STRICT" in phase.name, method_numbers=(34, 32), sequence_number=0)
    for wrong in (30, 31, 32, 33):
        with pytest.raises(RemoteProtocolError) as refusal:
            tracker.received_kex_message(wrong)
        assert refusal.value.reason == 2
    tracker.received_kex_message(34)
    with pytest.raises(RemoteProtocolError):
        tracker.received_kex_message(34)
    tracker.received_kex_message(32)
    assert "AWAIT_NEWKEYS" in tracker.phase.name


ONE_BY_ONE: list[tuple[str, Phase, list[int]]] = [
    ("sm_054", Phase.AWAIT_KEXINIT, [5, 6, 7, 21, 30, 31]),
    ("sm_055", Phase.AWAIT_KEXINIT, [50, 52, 80, 90, 98]),
    ("sm_055", Phase.IN_KEX, [50, 52, 80, 90, 98]),
    ("sm_055", Phase.IN_KEX_STRICT, [50, 52, 80, 90, 98]),
    ("sm_056", Phase.IN_KEX_STRICT, [2, 3, 4, 5, 6, 7, 20, 21, 150, 192, 200]),
    ("sm_057", Phase.IN_KEX, [5, 6, 7, 20, 21, 150, 192, 200]),
    ("sm_059", Phase.AWAIT_NEWKEYS_STRICT, [2]),
    ("sm_060", Phase.IN_KEX, [*range(22, 30), *range(35, 50)]),
    ("sm_060", Phase.IN_KEX_STRICT, [*range(22, 30), *range(35, 50)]),
    ("sm_060", Phase.REKEY, [*range(22, 30), *range(35, 50)]),
    ("sm_062", Phase.IN_KEX, [21]),
    ("sm_066", Phase.REKEY, list(range(50, 192))),
    ("sm_066", Phase.REKEY_AWAIT_NEWKEYS, list(range(50, 192))),
    ("sm_072", Phase.CONNECTION, [21]),
    ("sm_073", Phase.CONNECTION, [30, 31, 32, 33, 34]),
    ("sm_075", Phase.REKEY, [20]),
    ("sm_075", Phase.REKEY_AWAIT_NEWKEYS, [20]),
    ("sm_076", Phase.FIRST_PACKET, [20]),
    ("sm_076", Phase.AWAIT_SERVICE, [20]),
    ("sm_076", Phase.AUTH, [20]),
    ("sm_087", Phase.REKEY, [7]),
    ("sm_087", Phase.CONNECTION, [7]),
    ("sm_105", Phase.AUTH, [*range(80, 128)]),
    ("sm_159", Phase.AUTH, [*range(8, 20), *range(54, 60), 83, 101, 128, 191, 194, 255]),
    ("sm_027", Phase.AUTH, [0]),
    ("sm_027", Phase.CONNECTION, [0]),
]
"""The rows of hardening 4.2 that the table alone decides: illegal for both roles."""


@pytest.mark.parametrize(("case", "phase", "numbers"), ONE_BY_ONE, ids=lambda part: getattr(part, "name", str(part)[:20]))
def test_rows_that_the_table_alone_decides(case, phase, numbers):
    for role in Role:
        for number in numbers:
            assert meaning_of(role, phase, number) == "illegal", (case, role, number)


def test_sm_067_what_the_peer_sent_before_its_kexinit_is_taken():
    for role in Role:
        assert all(meaning_of(role, Phase.REKEY_ASKED, number) == "mux" for number in (*range(80, 83), *range(90, 101)))


def test_sm_082_sm_103_sm_106_messages_of_the_other_direction():
    for number in (6, 51, 52, 53, 60):
        for phase in Phase:
            assert meaning_of(S, phase, number) == "illegal"
    for number in (5, 50):
        for phase in Phase:
            assert meaning_of(C, phase, number) == "illegal"
    for phase in (Phase.CONNECTION, Phase.REKEY_ASKED, Phase.REKEY, Phase.REKEY_AWAIT_NEWKEYS):
        assert meaning_of(C, phase, 52) == "illegal"


def test_sm_085_ext_info_first_or_not_at_all():
    for role in Role:
        assert meaning_of(role, Phase.FIRST_PACKET, 7) == "auth"
        assert meaning_of(role, Phase.AWAIT_SERVICE, 7) == "illegal"
    assert meaning_of(S, Phase.AUTH, 7) == "illegal"


def test_a10_no_pong_before_login_or_in_a_rekey():
    for role in Role:
        answered = {phase for phase in Phase if meaning_of(role, phase, 192) == "pong"}
        assert answered == {Phase.CONNECTION, Phase.REKEY_ASKED}


def test_an_illegal_message_is_named_in_the_error():
    error = PhaseTracker(S).illegal(90)
    assert (error.reason, error.expected, error.received) == (2, "AWAIT_KEXINIT", "CHANNEL_OPEN")
    assert "CHANNEL_OPEN" in str(error)
    assert "message 200" in str(PhaseTracker(S).illegal(200))
