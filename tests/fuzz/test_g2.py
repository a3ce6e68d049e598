"""G2 of hardening §3 for every pull request: 20,000 mutated messages and 100,000 frames; `make fuzz` goes on to a million of each."""

from __future__ import annotations

import pytest
import trio

import trio_ssh
from tests.fuzz import frames, g2
from tests.fuzz.draws import ED25519_BLOB
from tests.fuzz.mutations import mutations
from tests.strategies import MESSAGES, UINT32, WITH_LENGTH
from trio_ssh.wire.connection import ChannelOpen
from trio_ssh.wire.transport import Debug, ExtInfo

SEEDS = range(5)
FRAMES, RUNS_OF_FRAMES = 100_000, 8

each_class = pytest.mark.parametrize("cls", MESSAGES, ids=[cls.__name__ for cls in MESSAGES])


@each_class
async def test_g2_asr_01_mutated_messages(cls):
    for seed in SEEDS:
        g2.run_instance(seed, cls)


def test_g2_has_20_000_cases():
    assert sum(1 for seed in SEEDS for cls in MESSAGES for _ in g2.cases(seed, cls)) >= 20_000


@pytest.mark.parametrize("part", range(RUNS_OF_FRAMES))
async def test_g2_asr_02_mutated_frames(part):
    frames.run(FRAMES // RUNS_OF_FRAMES, first_seed=part * FRAMES)


# -- that it does what it says -----------------------------------------------------------------------------------------------------------


def test_the_key_that_is_drawn_is_one():
    assert trio_ssh.PublicKey.from_blob(ED25519_BLOB).bits == 256


def test_an_instance_is_made_again_from_its_seed():
    for cls in MESSAGES:
        assert list(g2.cases(3, cls)) == list(g2.cases(3, cls))
    assert list(g2.cases(3, ChannelOpen)) != list(g2.cases(4, ChannelOpen))


def test_every_length_and_count_is_tried():
    drawn = next(d for seed in range(99) if (d := g2.drawn(seed, ExtInfo)).counts)
    said = {what.split(" says ")[0] for what, _ in mutations(drawn, g2.rng(0, ExtInfo)) if " says " in what}
    assert said == {"count at 1"}
    for cls in (Debug, ChannelOpen):
        drawn = g2.drawn(0, cls)
        lengths = [start for kind, start, _ in drawn.places if kind in WITH_LENGTH]
        assert lengths
        found = [what for what, _ in mutations(drawn, g2.rng(0, cls)) if what.startswith("length at")]
        assert len(found) == 6 * len(lengths)
        assert sum(what.startswith("cut to") for what, _ in mutations(drawn, g2.rng(0, cls))) == len(drawn.payload) - 1
    assert any(kind == UINT32 for kind, _, _ in drawn.places)


async def test_a_finding_says_how_it_is_made_again():
    def fragile(payload: bytes) -> None:
        if len(payload) == 3:
            raise IndexError("an oversight")

    with pytest.raises(
        g2.Finding, match=r"IndexError: an oversight; Debug cut to 3 bytes; again: python -m tests.fuzz.g2 --seed 0 Debug\n04"
    ):
        g2.run_instance(0, Debug, takers=[fragile])
    await trio.lowlevel.checkpoint()
