"""Logins by an agent's keys over whole connections, both ends ours, in memory: what the agent is told of the session holds."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from contextlib import asynccontextmanager

import attrs
import pytest
import trio
import trio.testing

import trio_ssh
from tests import pairs
from tests.agent.double import Reach, SoftwareAgent
from tests.agent.keyring import certified, key_of, security_key
from trio_ssh.agent import AgentCredential, Confirm
from trio_ssh.agent.messages import SignRequest
from trio_ssh.keys.certificate_signing import CertificateRequest, sign_certificate
from trio_ssh.keys.certificates import Certificate, CertificateKind, CertifiedKey

KEY = key_of("ssh-ed25519")


@attrs.frozen
class Certified:
    """Takes any certificate, so that the server shows one."""

    seen: list[Certificate] = attrs.field(factory=list)

    async def check(self, host: str, port: int, key: trio_ssh.PublicKey) -> None:
        raise trio_ssh.HostKeyUnknown("no certificate")

    async def check_certificate(self, host: str, port: int, certificate: Certificate) -> None:
        self.seen.append(certificate)

    async def key_types(self, host: str, port: int) -> Sequence[str]:
        return ("ssh-ed25519-cert-v01@openssh.com",)


@asynccontextmanager
async def server(host_key: trio_ssh.PrivateKey | CertifiedKey, *users: trio_ssh.PublicKey, limits: trio_ssh.Limits | None = None):
    """The client's end of a stream to it."""
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        policy = trio_ssh.AuthorizedKeys.of(users)

        async def serve() -> None:
            with contextlib.suppress(trio_ssh.ConnectionLost):
                await trio_ssh.serve_stream(pairs.commands, theirs, host_keys=[host_key], authenticate=policy, limits=limits)

        nursery.start_soon(serve)
        yield ours


async def test_e03_the_agent_can_verify_what_the_session_is_bound_to(agent: SoftwareAgent, reach: Reach) -> None:
    agent.hold(KEY)
    async with server(pairs.HOST_KEY, KEY.public_key) as stream:
        async with pairs.connecting(stream, credentials=[AgentCredential(reach)]) as client:
            await client.rekey()
            await pairs.check_works(client)
    assert [bind.host_key_blob for bind in agent.bound] == [pairs.HOST_KEY.public_key.blob] * 2
    assert len({bind.session_id for bind in agent.bound}) == 1


async def test_e03_bound_by_a_host_certificate(agent: SoftwareAgent, reach: Reach) -> None:
    request = CertificateRequest(public_key=pairs.HOST_KEY.public_key, kind=CertificateKind.HOST, principals=("server.test",))
    host_key = CertifiedKey(pairs.HOST_KEY, sign_certificate(KEY, request))
    agent.hold(KEY)
    policy = Certified()
    async with server(host_key, KEY.public_key) as stream:
        async with pairs.connecting(stream, credentials=[AgentCredential(reach)], host_keys=policy, algorithms=trio_ssh.Algorithms()):
            pass
    assert policy.seen == [host_key.certificate]
    assert [bind.host_key_blob for bind in agent.bound] == [host_key.certificate.blob] * 2


@pytest.mark.parametrize("key_type", ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp521", "sk-ssh-ed25519@openssh.com"])
async def test_every_kind_of_key(agent: SoftwareAgent, reach: Reach, key_type: str) -> None:
    if key_type.startswith("sk-"):
        agent.plug_in(security_key(key_type))
    agent.hold(key_of(key_type))
    async with server(pairs.HOST_KEY, key_of(key_type).public_key) as stream:
        async with pairs.connecting(stream, credentials=[AgentCredential(reach)]) as client:
            assert client.authenticated_by == ("publickey",)


async def test_only_the_key_that_the_server_takes_signs(agent: SoftwareAgent, reach: Reach) -> None:
    for key in (key_of("ssh-rsa"), certified("ssh-ed25519"), KEY):
        agent.hold(key)
    async with server(pairs.HOST_KEY, KEY.public_key) as stream:
        async with pairs.connecting(stream, credentials=[AgentCredential(reach)]):
            pass
    assert [request.key_blob for request in agent.requests if isinstance(request, SignRequest)] == [KEY.public_key.blob]


async def test_a_person_who_never_answers_has_as_long_as_the_server_waits(agent: SoftwareAgent, reach: Reach, autojump_clock) -> None:
    """Then the connection ends, and with it the question."""

    async def never(key: trio_ssh.PublicKey) -> bool:
        await trio.sleep_forever()
        return True

    agent.confirm = never
    async with await reach.open() as client:
        await client.add(KEY, constraints=[Confirm()])
    async with server(pairs.HOST_KEY, KEY.public_key, limits=trio_ssh.Limits(login_seconds=300)) as stream:
        began = trio.current_time()
        with pytest.raises(trio_ssh.ConnectionLost):
            async with pairs.connecting(stream, credentials=[AgentCredential(reach)]):
                pass
    assert 290 < trio.current_time() - began < 310


async def test_a_user_who_says_no_is_told_of(agent: SoftwareAgent, reach: Reach) -> None:
    async def no(key: trio_ssh.PublicKey) -> bool:
        return False

    agent.confirm = no
    async with await reach.open() as client:
        await client.add(KEY, constraints=[Confirm()])
    async with server(pairs.HOST_KEY, KEY.public_key) as stream:
        with pytest.raises(trio_ssh.AuthenticationFailed, match="its user said no"):
            async with pairs.connecting(stream, credentials=[AgentCredential(reach)]):
                pass
    await trio.testing.wait_all_tasks_blocked()
    assert agent.open_connections == 0
