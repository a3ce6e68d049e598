"""G1: every state × every message number × three bodies, for both roles (hardening §3): what our end does, held against `expected`."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Generator, Iterable, Iterator

import attrs

from tests import pairs
from tests.fuzz.bodies import Body, payload_for
from tests.fuzz.expected import callbacks_expected, expected
from tests.fuzz.machine import Machine
from tests.fuzz.ours import PEER_ERRORS
from tests.fuzz.peer import Peer
from tests.fuzz.states import BOTH, CANARY, Calls, OurEnd, State, due, finish_exchange, reach
from tests.fuzz.whole import Whole, whole
from trio_ssh.protocol.negotiation import Algorithms
from trio_ssh.protocol.role import Role

EXT_INFO, UNIMPLEMENTED = 7, 3


@attrs.frozen
class Case:
    role: Role
    """Of our end."""
    state: State
    number: int
    body: Body

    def __str__(self) -> str:
        return f"our {self.role.name.lower()} in {self.state.name} gets {self.number} {self.body.value}"

    def is_in_sample(self, seed: int, one_in: int) -> bool:
        """Which cases a seed chooses depends on the case's name alone, so that `one_in` seeds in a row choose each of them once."""
        digest = hashlib.sha256(str(self).encode()).digest()
        return (int.from_bytes(digest[:4], "big") + seed) % one_in == 0


def cases(roles: Iterable[Role] = Role, states: Iterable[State] = State) -> Iterator[Case]:
    for role, state, number, body in itertools.product(roles, states, range(256), Body):
        yield Case(role, state, number, body)


def play(case: Case, peer: Peer, ours: OurEnd) -> Generator[None, None, str]:
    """The case's one message, sent in its state; gives what came of it in the words of `expected`."""
    yield from reach(peer, ours, case.state)
    assert peer.disconnect is None or case.state is State.S8, f"{case}: not even its state was reached: {peer.disconnect}"
    seen, calls = len(peer.received), attrs.evolve(ours.calls)
    payload = payload_for(case.number, case.body, peer, case.state)
    sequence_number = peer.next_sequence_number
    (peer.send_bytes if case.state is State.S0 else peer.send)(payload)
    yield
    outcome = _outcome(peer, ours, seen, case.state)
    _check_calls(case, calls, ours.calls)
    assert CANARY.encode() not in peer.clear_bytes, "the password went out in clear"
    if outcome == f"answer {UNIMPLEMENTED}":
        assert peer.received[-1][1:] == sequence_number.to_bytes(4, "big"), "UNIMPLEMENTED names another packet"
    if outcome != "quiet" or case.state is State.S8:
        return outcome
    if case.state is State.S0:
        peer.send_bytes(peer.line + b"\r\n")
    else:
        peer.send(due(peer, case.state))
    yield
    if ours.ended or case.state is not State.R1:
        return "turned" if ours.ended else "quiet"
    yield from finish_exchange(peer)
    return _late_answers(peer, seen)


def _late_answers(peer: Peer, seen: int) -> str:
    """What waited for the end of the exchange."""
    numbers = [payload[0] for payload in peer.received[seen:] if not 20 <= payload[0] <= 49]
    return "late " + " ".join(map(str, numbers)) if numbers else "quiet"


def _outcome(peer: Peer, ours: OurEnd, seen: int, state: State) -> str:
    numbers = [payload[0] for payload in peer.received[seen:] if payload[0] not in (EXT_INFO, 1)]
    words = []
    if numbers:
        words.append("answer " + " ".join(map(str, numbers)))
    if state is not State.S8 and (ours.ended or peer.disconnect is not None):
        assert ours.ended, "a DISCONNECT, and not the end"
        assert isinstance(ours.cause, PEER_ERRORS), f"it ended by {ours.cause!r}"
        words.append("end" if peer.disconnect is None else f"end {peer.disconnect.reason_code}")
    return ", ".join(words) or "quiet"


def _check_calls(case: Case, before: Calls, after: Calls) -> None:
    made = {name: getattr(after, name) - getattr(before, name) for name in ("trust", "policy", "open")}
    assert made == callbacks_expected(case.role, case.state, case.number, case.body), f"the application was asked: {made}"


def complaint(case: Case, outcome: str, *, strict: bool = True) -> str | None:
    """None if it came as it must."""
    wanted = expected(case.role, case.state, case.number, case.body, strict=strict)
    if outcome == wanted or (wanted == "end *" and outcome.startswith("end")):
        return None
    return f"{case}: {outcome!r}, not {wanted!r}"


def run_on_machine(case: Case, algorithms: Algorithms = BOTH, *, strict: bool = True) -> str | None:
    """To be called inside `trio.run`. Gives the complaint; what is no `SSHError` comes out, with the case's name."""
    peer = Peer(case.role.peer, pairs.QUICK, strict=strict)
    machine = Machine(case.role, case.state, algorithms)
    script = play(case, peer, machine)
    try:
        while True:
            next(script)
            machine.feed(peer.take())
            peer.feed(machine.take())
    except StopIteration as end:
        return complaint(case, end.value, strict=strict)
    except AssertionError as error:
        return f"{case}: {error}"
    except Exception as error:
        error.add_note(str(case))
        raise


async def run_on_whole(case: Case, algorithms: Algorithms = BOTH, *, strict: bool = True) -> str | None:
    """The same with a `Connection` and its tasks."""
    peer = Peer(case.role.peer, pairs.QUICK, strict=strict)
    outcome = ""
    try:
        async with whole(case.role, case.state, algorithms) as ours:
            try:
                outcome = await _played(play(case, peer, ours), peer, ours)
            except AssertionError as error:
                return f"{case}: {error}"
    except Exception as error:
        error.add_note(str(case))
        raise
    return complaint(case, outcome, strict=strict)


async def _played(script: Generator[None, None, str], peer: Peer, ours: Whole) -> str:
    async def pump() -> None:
        ours.feed(peer.take())
        await ours.settle()
        peer.feed(ours.take())

    outcome = ""
    try:
        while True:
            next(script)
            await pump()
    except StopIteration as end:
        outcome = end.value
    ours.let_go()
    await pump()  # the peer complains of anything behind a DISCONNECT
    return outcome
