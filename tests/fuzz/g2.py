"""G2: every message cut, extended and mutated (hardening §3), against `decode` and against the machine that takes it.

A case is made from a seed and a message class alone: `run_instance` makes it again. From the command line:

    python -m tests.fuzz.g2 1000000          so many cases, from seed 0 on
    python -m tests.fuzz.g2 --seed 17 Debug  one instance, every case printed
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Iterator, Sequence

import attrs
import trio

from tests.fuzz.draws import Drawn, draw
from tests.fuzz.exchanges import give, states_awaiting
from tests.fuzz.mutations import Mutation, mutations
from tests.fuzz.ours import PEER_ERRORS
from tests.fuzz.placed import Supply
from tests.fuzz.states import State
from tests.strategies import MESSAGES
from trio_ssh.errors import DecodeError
from trio_ssh.protocol.limits import Limits
from trio_ssh.protocol.negotiation import Algorithms
from trio_ssh.protocol.negotiator import Negotiator
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import decode, message_number

CLASSES = {cls.__name__: cls for cls in MESSAGES}

Take = Callable[[bytes], object]

LOGIN = [(Role.CLIENT, State.S5), (Role.CLIENT, State.S6), (Role.SERVER, State.S5), (Role.SERVER, State.S6)]
CONNECTED = [(Role.CLIENT, State.S7), (Role.SERVER, State.S7)]
BEFORE_LOGIN = [(Role.CLIENT, State.S4), (Role.SERVER, State.S4)]


@attrs.define
class Tally:
    cases: int = 0
    decoded: int = 0
    """Mutations that are still messages."""

    def add(self, other: Tally) -> None:
        self.cases += other.cases
        self.decoded += other.decoded


class Finding(AssertionError):
    """Something came out that must not: the text says how to make it again."""


def takers_of(number: int) -> list[Take]:
    """Fresh machines that take messages of that number."""
    if number == 20:
        return [_negotiating(role, first=first) for role in Role for first in (True, False)]
    if 30 <= number <= 34:
        return [_exchanging(state) for state in states_awaiting(number)]
    return [Supply(role, state).tell for role, state in _places(number)]


def _places(number: int) -> list[tuple[Role, State]]:
    if number in (5, 6, 7):
        return BEFORE_LOGIN + LOGIN
    if 50 <= number < 80:
        return LOGIN
    return CONNECTED if number >= 80 else BEFORE_LOGIN + CONNECTED


def _exchanging(state: object) -> Take:
    return lambda payload: give(state, payload)  # type: ignore[arg-type]  # one of the typed states


def _negotiating(role: Role, *, first: bool) -> Take:
    other = Negotiator(role.peer, Algorithms(), Limits())
    negotiator = Negotiator(role, Algorithms(), Limits())
    if not first:
        negotiator.receive(other.our_kexinit(bytes(16), first=True))

    def take(payload: bytes) -> None:
        try:
            negotiator.receive(payload)
        except PEER_ERRORS:
            pass

    return take


def rng(seed: int, cls: type) -> random.Random:
    return random.Random(f"{seed} {cls.__name__}")


def drawn(seed: int, cls: type) -> Drawn:
    return draw(rng(seed, cls), cls)


def cases(seed: int, cls: type) -> Iterator[Mutation]:
    """All mutations of one instance."""
    chance = rng(seed, cls)
    return mutations(draw(chance, cls), chance)


def run_instance(seed: int, cls: type, takers: Sequence[Take] | None = None, show: Callable[[str], None] | None = None) -> Tally:
    """Inside `trio.run`. Every case goes to `decode` and to each of the takers: those of the message's number, if not given.

    Raises `Finding`.
    """
    tally = Tally()
    if takers is None:
        takers = takers_of(message_number(cls))
    for what, payload in cases(seed, cls):
        tally.cases += 1
        try:
            decoded = _decodes(cls, payload)
            tally.decoded += decoded
            if show is not None:
                show(f"{'message' if decoded else 'refused'}  {what}: {payload.hex()}")
            for take in takers:
                take(payload)
        except Exception as error:
            replay = f"python -m tests.fuzz.g2 --seed {seed} {cls.__name__}"
            raise Finding(f"{type(error).__name__}: {error}; {cls.__name__} {what}; again: {replay}\n{payload.hex()}") from error
    return tally


def _decodes(cls: type, payload: bytes) -> bool:
    try:
        decode(cls, payload)
    except DecodeError:
        return False
    return True


def run(count: int, first_seed: int = 0) -> Tally:
    """At least `count` cases: all classes under one seed, then under the next. Raises `Finding`."""
    tally = Tally()
    seed = first_seed
    while tally.cases < count:
        for cls in MESSAGES:
            tally.add(run_instance(seed, cls))
        seed += 1
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(description="G2: mutated messages")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("what", nargs="?", default="20000", help="how many cases, or the name of a message class")
    arguments = parser.parse_args()

    async def go() -> None:
        started = time.monotonic()
        if arguments.what in CLASSES:
            run_instance(arguments.seed, CLASSES[arguments.what], show=print)
            return
        tally = run(int(arguments.what), arguments.seed)
        seconds = time.monotonic() - started
        print(f"G2: {tally.cases} cases, {tally.decoded} of them still messages, {seconds:.0f} s: nothing untyped came out")

    trio.run(go)


if __name__ == "__main__":
    main()
