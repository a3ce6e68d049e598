"""G1 of hardening §3, for every pull request: all of it on the machines, a sixteenth of it on whole connections.

``FUZZ_SEED`` (default 0) chooses which sixteenth: sixteen seeds in a row see every case once. `make fuzz` plays all of them.
"""

from __future__ import annotations

import os

import pytest

from tests.fuzz.g1 import cases, run_on_machine, run_on_whole
from tests.fuzz.states import IN_FIRST_KEX, State
from trio_ssh.protocol.role import Role

ONE_IN = 16
SEED = int(os.environ.get("FUZZ_SEED", "0"))

each_role = pytest.mark.parametrize("role", list(Role), ids=[role.name.lower() for role in Role])


def in_states(states):
    in_order = [state for state in State if state in states]
    return pytest.mark.parametrize("state", in_order, ids=[state.name.lower() for state in in_order])


def test_g1_has_21504_cases():
    assert len(set(cases())) == 21_504
    assert sum(case.is_in_sample(seed, ONE_IN) for case in cases() for seed in range(ONE_IN)) == 21_504


@each_role
@in_states(State)
async def test_g1_asr_01_a04_b01_every_message_on_the_machines(role, state):
    complaints = [complaint for case in cases([role], [state]) if (complaint := run_on_machine(case))]
    assert not complaints, "\n".join(complaints)


@each_role
@in_states(IN_FIRST_KEX - {State.S0})
async def test_g1_sm_035_sm_057_sm_060_every_message_without_strict_kex(role, state):
    complaints = [complaint for case in cases([role], [state]) if (complaint := run_on_machine(case, strict=False))]
    assert not complaints, "\n".join(complaints)


@each_role
async def test_g1_asr_01_every_sixteenth_message_on_whole_connections(role):
    sample = [case for case in cases([role]) if case.is_in_sample(SEED, ONE_IN)]
    complaints = [complaint for case in sample if (complaint := await run_on_whole(case))]
    assert not complaints, "\n".join(complaints)
