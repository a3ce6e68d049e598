"""The fuzz targets without a fuzzer: over their seeds, over what once found something, and over inputs that hypothesis makes of both."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.registry import NAMES, REGRESSIONS, load, regressions

EXAMPLES = 200

each_target = pytest.mark.parametrize("name", NAMES)


def mutated(seeds: list[bytes]) -> st.SearchStrategy[bytes]:
    """A seed with some bytes exchanged, a piece put in, and its end cut off."""

    def mutate(seed: bytes, edits: list[tuple[int, int]], piece: bytes, at: int, end: int) -> bytes:
        data = bytearray(seed)
        for place, byte in edits:
            if data:
                data[place % len(data)] = byte
        place = at % (len(data) + 1)
        data[place:place] = piece
        return bytes(data[: len(data) - end % (len(data) + 1)] if end % 4 == 0 else data)

    places, byte = st.integers(0, 2000), st.integers(0, 255)
    edits = st.lists(st.tuples(places, byte), max_size=4)
    return st.builds(mutate, st.sampled_from(seeds), edits, st.binary(max_size=4), places, places)


@each_target
def test_asr_02_seeds_and_what_hypothesis_makes_of_them(name):
    target = load(name)
    seeds = target.seeds()
    for seed in [b"", *seeds]:
        target.run(seed)

    @settings(max_examples=EXAMPLES)
    @given(st.one_of(st.binary(max_size=200), mutated(seeds), mutated(seeds)))
    def every_input_is_dealt_with(data: bytes) -> None:
        target.run(data)

    every_input_is_dealt_with()


@each_target
def test_asr_02_what_once_found_something_does_no_more(name):
    target = load(name)
    for data in regressions(name).values():
        target.run(data)


def test_every_regression_has_its_target():
    assert {path.name for path in REGRESSIONS.iterdir() if path.is_dir()} <= set(NAMES)
