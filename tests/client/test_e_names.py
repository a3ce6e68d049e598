"""Hostile names at the API: refused before anything is dialled, or given on exactly as they are (hardening E11)."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import pytest
import trio
from trio.testing import memory_stream_pair

import trio_ssh
from tests import pairs
from tests.hostile_names import HOSTILE, STARTED, audited


@attrs.define(eq=False)
class Noting:
    """A host key policy that notes which host it is asked about."""

    hosts: list[str] = attrs.field(factory=list)

    async def check(self, host: str, port: int, key: trio_ssh.PublicKey) -> None:
        self.hosts.append(host)

    async def key_types(self, host: str, port: int) -> Sequence[str]:
        self.hosts.append(host)
        return ()


def test_e11_there_are_sixty():
    assert len(set(HOSTILE)) >= 60


@pytest.mark.parametrize("host", HOSTILE, ids=ascii)
async def test_e11_hosts(autojump_clock, host):
    """No control character, no blank, no leading hyphen; what passes is what the policy sees. No shell, no program either way."""
    policy = Noting()
    client, server = memory_stream_pair()
    refused = not host or host.startswith("-") or any(c.isspace() or not c.isprintable() for c in host)
    credentials = [trio_ssh.PrivateKeyCredential(pairs.USER_KEY)]
    dialling = trio_ssh.connect(host, username="ada", stream=client, host_keys=policy, algorithms=pairs.QUICK, credentials=credentials)
    with audited() as heard:
        async with pairs.served(stream=server):
            if refused:
                with pytest.raises(trio_ssh.LocalProtocolError) as refusal:
                    await dialling.__aenter__()
                assert str(refusal.value).isprintable()
                assert policy.hosts == []
            else:
                async with dialling as connection:
                    await pairs.check_works(connection)
                assert set(policy.hosts) == {host}
    assert [event for event, _ in heard if event in STARTED] == []


@attrs.define(eq=False)
class Resolver(trio.abc.HostnameResolver):
    """Knows nobody, and notes who was looked for."""

    asked: list[str] = attrs.field(factory=list)

    async def getaddrinfo(self, host, port, family=0, type=0, proto=0, flags=0):
        self.asked.append(host if isinstance(host, str) else host.decode("idna"))
        raise OSError("nobody is here")

    async def getnameinfo(self, sockaddr, flags):
        raise OSError("nobody is here")


@pytest.mark.parametrize("host", HOSTILE, ids=ascii)
async def test_e11_hosts_that_are_dialled(host):
    """A resolver sees the name as it was given, or does not see it at all."""
    resolver = Resolver()
    old = trio.socket.set_custom_hostname_resolver(resolver)
    try:
        with pytest.raises((trio_ssh.LocalProtocolError, trio_ssh.ConnectionLost)):
            async with trio_ssh.connect(host, username="ada", host_keys=Noting(), credentials=[]):
                pytest.fail("connected")
    finally:
        trio.socket.set_custom_hostname_resolver(old)
    assert resolver.asked in ([], [host])


@pytest.mark.parametrize("username", HOSTILE, ids=ascii)
async def test_e11_usernames(autojump_clock, username):
    """Refused by the client or by the server, or seen there as it was given; no program is started on either side."""
    seen: list[str] = []

    async def policy(attempt):
        seen.append(attempt.username)
        return trio_ssh.ACCEPT

    client, server = memory_stream_pair()
    told = ""
    with audited() as heard:
        async with pairs.served(stream=server, authenticate=policy):
            try:
                async with pairs.connecting(client, username=username) as connection:
                    await pairs.check_works(connection)
            except trio_ssh.SSHError as error:
                told = str(error)
    assert [event for event, _ in heard if event in STARTED] == []
    assert told.isprintable()
    if told:
        assert seen == []
        assert not username.isprintable() or username.startswith("-") or not username
    else:
        assert set(seen) == {username}
        assert username.isprintable()
