"""Mutated frames on the machines, with no cipher in the way (ASR-02): whole packets, length and padding included, among honest ones.

A run of frames is made from its seed alone: `run_seed` makes it again. From the command line: ``python -m tests.fuzz.frames 100000``, or
``python -m tests.fuzz.frames --seed 17 1`` for one run.
"""

from __future__ import annotations

import argparse
import random
import struct
import time

import trio

from tests import pairs
from tests.fuzz.draws import draw
from tests.fuzz.machine import Machine
from tests.fuzz.ours import PEER_ERRORS
from tests.fuzz.peer import Peer
from tests.fuzz.placed import connected, in_login
from tests.fuzz.states import BOTH, GROUP_EXCHANGE, State, reach
from tests.strategies import MESSAGES
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import message_number

FRAMES_MAX = 24
PLACES = [State.S0, State.S1, State.S2, State.S2_SECOND, State.S3, State.S4, State.S5, State.S6, State.S7, State.S7, State.S7, State.S7]
LEGAL = {
    State.S4: (2, 3, 4, 5, 6, 7),
    State.S5: (2, 3, 4, 5, 7, 50, 51, 52, 53, 60, 61),
    State.S6: (2, 3, 4, 5, 7, 50, 51, 53, 60, 61),
    State.S7: (2, 3, 4, 20, 50, *range(80, 83), *range(90, 101), 192, 193),
}
CLASSES = {state: [cls for cls in MESSAGES if message_number(cls) in numbers] for state, numbers in LEGAL.items()}


class Finding(AssertionError):
    """Something came out that must not: the text says how to make it again."""


def machine_at(role: Role, state: State) -> Machine:
    """Behind the first keys it is only placed there: no cipher is in use in any state."""
    if state is State.S7:
        return connected(role)
    if state in (State.S4, State.S5, State.S6):
        return in_login(role, state)
    peer, machine = Peer(role.peer, GROUP_EXCHANGE if state is State.S2_SECOND else pairs.QUICK), Machine(role, state, BOTH)
    for _ in reach(peer, machine, state):
        machine.feed(peer.take())
        peer.feed(machine.take())
    return machine


def frame(payload: bytes) -> bytes:
    """RFC 4253 §6 without a cipher."""
    padding = 8 - (5 + len(payload)) % 8
    padding += 8 if padding < 4 else 0
    return struct.pack(">IB", 1 + len(payload) + padding, padding) + payload + bytes(padding)


def mutated(rng: random.Random, wire: bytes) -> bytes:
    data = bytearray(wire)
    way = rng.randrange(8)
    if way == 0:
        data[:4] = rng.choice((0, 4, 5, 12, 16, 0x10000, 0x10001, 0x7FFFFFFF, 0xFFFFFFFF, len(data))).to_bytes(4, "big")
    elif way == 1:
        data[4] = rng.randrange(256)
    elif way == 2:
        del data[rng.randrange(len(data)) :]
    elif way == 3:
        data[rng.randrange(len(data)) : 0] = rng.randbytes(rng.choice((1, 8, 16)))
    else:
        for _ in range(rng.randrange(1, 4)):
            data[5 + rng.randrange(max(1, len(data) - 5)) if len(data) > 5 else 0] ^= 1 << rng.randrange(8)
    return bytes(data)


def run_seed(seed: int) -> int:
    """Inside `trio.run`. One end of ours and the frames it takes until one of them ends it; gives their number. Raises `Finding`."""
    rng = random.Random(f"frames {seed}")
    role, state = rng.choice(list(Role)), rng.choice(PLACES)
    machine = machine_at(role, state)
    classes = CLASSES.get(state, MESSAGES)
    wires: list[bytes] = []
    try:
        while len(wires) < FRAMES_MAX and not machine.ended:
            wire = frame(draw(rng, rng.choice(classes)).payload)
            wires.append(mutated(rng, wire) if rng.random() < 0.5 else wire)
            machine.feed(wires[-1])
            machine.take()
        assert machine.cause is None or isinstance(machine.cause, PEER_ERRORS), f"it ended by {machine.cause!r}"
    except Exception as error:
        replay = f"python -m tests.fuzz.frames --seed {seed} 1"
        raise Finding(f"{type(error).__name__}: {error}; our {role.name} in {state.name}; again: {replay}\n{wires[-1].hex()}") from error
    return len(wires)


def run(count: int, first_seed: int = 0) -> int:
    """At least `count` frames; gives how many runs that took. Raises `Finding`."""
    seed, frames = first_seed, 0
    while frames < count:
        frames += run_seed(seed)
        seed += 1
    return seed - first_seed


def main() -> None:
    parser = argparse.ArgumentParser(description="Mutated frames")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("count", type=int, nargs="?", default=100_000)
    arguments = parser.parse_args()

    async def go() -> None:
        started = time.monotonic()
        runs = run(arguments.count, arguments.seed)
        print(f"{arguments.count} frames to {runs} ends of ours, {time.monotonic() - started:.0f} s: nothing untyped came out")

    trio.run(go)


if __name__ == "__main__":
    main()
