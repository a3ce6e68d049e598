"""The same bad input to us and to OpenSSH: the same becomes of it, but for what `deviations` lists (hardening ASR-03)."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable
from functools import cache

import pytest

from tests.interop.oracle.clients import play_to_our_client, play_to_ssh
from tests.interop.oracle.deviations import DEVIATIONS, MEASURED, Deviation
from tests.interop.oracle.outcomes import Outcome
from tests.interop.oracle.scripts import CLIENT_SCRIPTS, SERVER_SCRIPTS
from tests.interop.oracle.servers import play_to_our_server, play_to_sshd
from tests.interop.oracle.steps import Script
from tests.support import require_program

DECIDED = [10, 12, 21, 36, 42, 44, 57, 60, 72, 73, 82, 84, 86, 87, 97, 100, 103, 104, 105, 114, 120, 135, 136, 142, 151, 159]
DECIDED += [45, 78, 117, 122]
"""The differences that were decided on from the start. (SM-115 takes a server that forwards.)"""


def each(scripts: Iterable[Script]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("script", [pytest.param(script, id=script.name) for script in scripts])


def by_name(names: Callable[[Deviation], Iterable[str]]) -> dict[str, Deviation]:
    return {name: deviation for deviation in DEVIATIONS for name in names(deviation)}


OF_SERVERS = by_name(lambda deviation: deviation.server_scripts)
OF_CLIENTS = by_name(lambda deviation: deviation.client_scripts)


@cache
def openssh_version() -> tuple[int, int]:
    told = subprocess.run([require_program("ssh"), "-V"], capture_output=True, text=True, check=True, timeout=30).stderr
    found = re.match(r"OpenSSH_(\d+)\.(\d+)", told)
    assert found, told
    return int(found[1]), int(found[2])


def check(name: str, listed: Deviation | None, ours: Outcome, theirs: Outcome) -> None:
    """As the list says. Another version of OpenSSH may have changed its mind: then its side is shown, and fails nothing."""
    told = f"{name}: we: {ours}; OpenSSH: {theirs}"
    if listed is not None:
        assert ours == listed.ours, told
    as_listed = ours.is_like(theirs) if listed is None else theirs == listed.openssh
    if not as_listed and openssh_version() != MEASURED:
        pytest.xfail(f"OpenSSH {openssh_version()} is not {MEASURED}: {told}")
    assert as_listed, told


@each(SERVER_SCRIPTS)
async def test_asr_03_servers(script, sshd_of_oracle):
    ours = await play_to_our_server(script.run)
    theirs = await play_to_sshd(script.run, sshd_of_oracle)
    check(script.name, OF_SERVERS.get(script.name), ours, theirs)


@each(CLIENT_SCRIPTS)
async def test_asr_03_clients(script, keyring):
    ours = await play_to_our_client(script.run)
    theirs = await play_to_ssh(script.run, keyring)
    check(script.name, OF_CLIENTS.get(script.name), ours, theirs)


def test_asr_03_every_deviation_is_shown_by_scripts():
    for names, scripts in [(OF_SERVERS, SERVER_SCRIPTS), (OF_CLIENTS, CLIENT_SCRIPTS)]:
        assert set(names) <= {script.name for script in scripts}
    shown = [deviation.server_scripts + deviation.client_scripts for deviation in DEVIATIONS]
    assert all(shown)
    assert len(OF_SERVERS) + len(OF_CLIENTS) == sum(map(len, shown)), "a script is named twice"


def test_every_deviation_is_one():
    same = [deviation for deviation in DEVIATIONS if deviation.openssh == deviation.ours]
    assert not same


def test_what_was_decided_to_differ_is_listed():
    missing = {f"SM-{number:03}" for number in DECIDED} - {deviation.case for deviation in DEVIATIONS}
    assert not missing


def test_script_names_are_unique():
    for scripts in (SERVER_SCRIPTS, CLIENT_SCRIPTS):
        assert len({script.name for script in scripts}) == len(scripts)
