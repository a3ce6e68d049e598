"""What must become of every message in every state: read off hardening 4.1 and 4.2, and from nothing in the library.

Each row of 4.1 is written down once more, in the words below; a number that a row does not name ends the connection with reason 2.

    quiet       taken or ignored, and the message that is due is still taken behind it
    turned      taken without an answer, and what was due before is due no longer
    answer N M  these message numbers come back (an EXT_INFO among them does not count: it is due where it comes)
    late N      as quiet, and these come back when the key exchange that runs is over
    end N       DISCONNECT with reason N, then the end
    end         the end without a DISCONNECT
    end *       the end, with or without
"""

from __future__ import annotations

from tests.fuzz.bodies import Body
from tests.fuzz.states import State
from trio_ssh.protocol.role import Role

Row = dict[int, str]

ILLEGAL = "end 2"


def _all(numbers: list[int], outcome: str) -> Row:
    return dict.fromkeys(numbers, outcome)


NOISE = [2, 3, 4]
UNASSIGNED = [*range(8, 20), *range(54, 60), *range(83, 90), *range(101, 128), *range(128, 192), *range(194, 256)]  # SM-158
BYE: Row = {1: "end"}  # SM-163: their DISCONNECT is not answered
QUIET_NOISE = _all(NOISE, "quiet")

# What both roles have in common. "Noise" of the first exchange is left out: under strict kex it is illegal.
_CONNECTED: Row = {
    **QUIET_NOISE,
    **_all(UNASSIGNED, "answer 3"),
    80: "answer 82",  # SM-111
    81: "quiet",  # SM-112
    82: "quiet",
    93: "quiet",
    94: "quiet",
    95: "quiet",
    96: "quiet",
    97: "answer 97",
    98: "answer 100",  # SM-133
    99: "quiet",  # SM-130
    100: "quiet",
    192: "answer 193",  # SM-161
    193: "quiet",  # SM-162
}
# A row's answers wait for the end of the exchange while our own KEXINIT is out; 1-4 may leave at once (4.1, "Outgoing").
_ASKED: Row = {number: outcome if outcome == "answer 3" else outcome.replace("answer", "late") for number, outcome in _CONNECTED.items()}
_QUIET_REKEY: Row = {**QUIET_NOISE, 192: "quiet", 193: "quiet"}
_QUIET_LOGIN: Row = {**QUIET_NOISE, 192: "quiet", 7: "quiet"}

SERVER: dict[State, Row] = {
    State.S1: {20: "turned"},
    State.S2: {30: "answer 31 21"},
    State.S2_SECOND: {32: "answer 33 21"},
    State.S3: {21: "turned"},
    State.S4: {**_QUIET_LOGIN, 5: "answer 6"},
    State.S5: {**QUIET_NOISE, 192: "quiet", 5: "answer 6", 50: "answer 52"},
    # A question about a key is over with its answer: what a server then waits for is what it waits for in S5.
    State.S6: {**QUIET_NOISE, 192: "quiet", 5: "answer 6", 50: "answer 52"},
    State.S7: {**_CONNECTED, 5: "answer 3", 20: "answer 20", 50: "quiet", 90: "answer 91"},  # SM-081, SM-104
    State.R1: {**_ASKED, 5: "answer 3", 20: "turned", 50: "quiet", 90: "late 91"},
    State.R2: {**_QUIET_REKEY, 30: "answer 31 21"},
    State.R2_SECOND: {**_QUIET_REKEY, 32: "answer 33 21"},
    State.R3: {**_QUIET_REKEY, 21: "turned"},
}

CLIENT: dict[State, Row] = {
    State.S1: {20: "answer 30"},
    State.S2: {31: "answer 21 5"},
    State.S2_SECOND: {33: "answer 21 5"},
    State.S3: {21: "turned"},
    State.S4: {**_QUIET_LOGIN, 6: "answer 50"},
    # With nothing left to try, a FAILURE is the end. 60 would be PASSWD_CHANGEREQ, which this client never obeys (B21).
    State.S5: {**_QUIET_LOGIN, 51: "end 14", 52: "turned", 53: "quiet", 60: "end *"},
    # 52 is illegal here, stricter than 4.1: a question about a key cannot be answered by letting us in (B02).
    State.S6: {**_QUIET_LOGIN, 51: "end 14", 53: "quiet", 60: "answer 50"},
    State.S7: {**_CONNECTED, 20: "answer 20 30", 53: "quiet", 90: "answer 92"},  # SM-108, SM-123
    State.R1: {**_ASKED, 20: "answer 30", 53: "quiet", 90: "late 92"},
    State.R2: {**_QUIET_REKEY, 31: "answer 21"},
    State.R2_SECOND: {**_QUIET_REKEY, 33: "answer 21"},
    State.R3: {**_QUIET_REKEY, 21: "turned"},
}

ROWS = {Role.SERVER: SERVER, Role.CLIENT: CLIENT}

NO_BODY = frozenset([21, 52, 81, 82])
"""Well formed when empty."""


def expected(role: Role, state: State, number: int, body: Body, *, strict: bool = True) -> str:
    """`role` is that of our end. `strict`: both sides know strict key exchange."""
    if state is State.S0:
        return _in_place_of_identification(role, number, body)
    if state is State.S8:
        return "quiet"  # read and dropped
    row = {**_noise_of_first_exchange(state, strict), **ROWS[role][state], **BYE}
    outcome = row.get(number, ILLEGAL)
    if outcome == ILLEGAL or body is Body.WELL_FORMED or (body is Body.EMPTY and number in NO_BODY):
        return outcome
    return _malformed(state, number, body, outcome)


def _noise_of_first_exchange(state: State, strict: bool) -> Row:
    if state is State.S1:
        return _all(NOISE, "turned" if strict else "quiet")  # SM-034, SM-035: the KEXINIT behind it says which
    return QUIET_NOISE if state in (State.S2, State.S2_SECOND, State.S3) and not strict else {}  # SM-056, SM-057


def _malformed(state: State, number: int, body: Body, well_formed: str) -> str:
    """A number that is legal here, with a body that is not of its form."""
    if number == 1:
        return "end *"  # C19
    connected = state in (State.S7, State.R1)
    if well_formed == "answer 3":
        return well_formed
    if number == 193 or (number == 192 and not connected):
        return "quiet"  # ignored is not read
    if connected and number in (50, 53):
        return "quiet"
    if number == 60 and state is State.S5:
        return "end *"
    if body is Body.TRAILING and number in (80, 81, 98):
        return well_formed  # the fields of an unknown type, and of an answer to nothing, are whatever they are (SM-116)
    return "end 3" if 30 <= number <= 34 else ILLEGAL  # SM-063; SM-033, SM-038, SM-061, SM-094, SM-119 and their like


def _in_place_of_identification(role: Role, number: int, body: Body) -> str:
    if role is Role.CLIENT:
        return "quiet"  # the beginning of one more line before the identification (SM-015)
    if number == ord("S") and body is Body.EMPTY:
        return "turned"  # it might have become "SSH-", but what follows does not fit
    return "end"  # SM-004, SM-005: a line of text, no DISCONNECT


def callbacks_expected(role: Role, state: State, number: int, body: Body) -> dict[str, int]:
    """How often the application is asked between the case's message and its end: the host key, a login, a channel."""
    calls = {"trust": 0, "policy": 0, "open": 0}
    if role is Role.CLIENT and body is Body.WELL_FORMED:
        calls["trust"] = int((state, number) in ((State.S2, 31), (State.S2_SECOND, 33)))
    if role is Role.SERVER and body is Body.WELL_FORMED:
        calls["policy"] = int(state in (State.S5, State.S6) and number == 50)
        calls["open"] = int(state in (State.S7, State.R1) and number == 90)
    return calls
