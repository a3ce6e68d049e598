"""`AgentCredential`: what it offers, in which order, and how it gets its signatures."""

from __future__ import annotations

import logging
from functools import partial

import attrs
import pytest
import trio
import trio.testing

from tests.agent.double import Reach, Session, SoftwareAgent
from tests.agent.keyring import ALL_TYPES, all_keys, certified, key_of, security_key
from tests.agent.test_client import Scripted, frame, public_of
from tests.faults.cancelling import cancel_everywhere
from trio_ssh import PrivateKey
from trio_ssh.agent import AgentCredential, AgentIdentity, AgentRefused, Confirm, SecurityKeyProvider
from trio_ssh.agent import messages as m
from trio_ssh.keys.certificates import CertifiedKey

SESSION = Session.of(PrivateKey.generate(), b"the session id")
KEY = key_of("ssh-ed25519")
OTHER = key_of("ecdsa-sha2-nistp256")
CERTIFIED = certified("ssh-ed25519")


@pytest.fixture
def credential(reach: Reach) -> AgentCredential:
    return AgentCredential(reach)


async def offered(credential: AgentCredential) -> list[bytes]:
    return [offer.key_blob for offer in await credential.offers(SESSION)]


async def test_everything_in_the_agents_order(agent, credential) -> None:
    for key in all_keys().values():
        agent.hold(key)
    blobs = [public_of(key).blob for key in all_keys().values()]
    assert await offered(credential) == blobs
    agent.held = dict(reversed(agent.held.items()))
    assert await offered(credential) == blobs[::-1]


@pytest.mark.parametrize("key_type", ALL_TYPES)
async def test_signatures(agent, credential, key_type) -> None:
    key = all_keys()[key_type]
    plain = key.key if isinstance(key, CertifiedKey) else key
    if plain.security_key is not None:
        agent.plug_in(security_key(plain.public_key.algorithm))
    agent.hold(key)
    [offer] = await credential.offers(SESSION)
    assert offer.ask_first
    assert list(offer.algorithms) == [name for name in public_of(key).all_signature_algorithms if not name.startswith("webauthn-")]
    for algorithm in offer.algorithms:
        assert public_of(key).verify(algorithm, await offer.sign(algorithm, b"data"), b"data", legacy=True)


async def test_only_some_of_them(agent, reach) -> None:
    """IdentitiesOnly: a certificate and its key are two."""
    for key in (KEY, OTHER, CERTIFIED, key_of("ssh-rsa")):
        agent.hold(key)
    assert await offered(AgentCredential(reach, only=[OTHER.public_key])) == [OTHER.public_key.blob]
    assert await offered(AgentCredential(reach, only=[CERTIFIED.certificate])) == [CERTIFIED.certificate.blob]
    assert await offered(AgentCredential(reach, only=[PrivateKey.generate().public_key])) == []
    assert await offered(AgentCredential(reach, only=[])) == []


async def test_a_certificate_of_ours_with_the_agents_key(agent, reach) -> None:
    agent.hold(KEY)
    agent.hold(OTHER)
    credential = AgentCredential(reach, only=[OTHER.public_key], certificates=[CERTIFIED.certificate, certified("ssh-rsa").certificate])
    first, second = await credential.offers(SESSION)
    assert [first.key_blob, second.key_blob] == [CERTIFIED.certificate.blob, OTHER.public_key.blob]
    algorithm = first.algorithms[0]
    assert algorithm == "ssh-ed25519-cert-v01@openssh.com"
    assert CERTIFIED.certificate.verify(algorithm, await first.sign(algorithm, b"data"), b"data")
    assert agent.requests[-1] == m.SignRequest(KEY.public_key.blob, b"data", 0)


async def test_a_certificate_that_both_have_is_offered_once(agent, reach) -> None:
    agent.hold(KEY)
    agent.hold(CERTIFIED)
    assert await offered(AgentCredential(reach, certificates=[CERTIFIED.certificate])) == [KEY.public_key.blob, CERTIFIED.certificate.blob]


async def test_a_certificate_with_rsa_flags(agent, reach) -> None:
    rsa = certified("ssh-rsa")
    agent.hold(rsa.key)
    credential = AgentCredential(reach, only=[], certificates=[rsa.certificate])
    [offer] = await credential.offers(SESSION)
    await offer.sign("rsa-sha2-256-cert-v01@openssh.com", b"data")
    assert agent.requests[-1] == m.SignRequest(rsa.key.public_key.blob, b"data", 2)


async def test_e03_every_connection_is_bound_before_anything_else(agent, credential) -> None:
    agent.hold(KEY)
    [offer] = await credential.offers(SESSION)
    await offer.sign("ssh-ed25519", b"one")
    await offer.sign("ssh-ed25519", b"two")
    bind = m.SessionBind(SESSION.host_key_blob, SESSION.session_id, SESSION.signature, False)
    assert agent.bound == [bind] * 3
    assert agent.connections == 3
    kinds = [type(request) for request in agent.requests]
    assert kinds == [m.Extension, m.RequestIdentities, *([m.Extension, m.SignRequest] * 2)]
    await trio.testing.wait_all_tasks_blocked()
    assert agent.open_connections == 0


async def test_an_agent_without_session_bind(agent, credential) -> None:
    agent.extensions = ()
    agent.hold(KEY)
    [offer] = await credential.offers(SESSION)
    assert KEY.public_key.verify("ssh-ed25519", await offer.sign("ssh-ed25519", b"data"), b"data")


async def test_keys_of_types_that_we_do_not_know_are_skipped(agent, credential, caplog) -> None:
    caplog.set_level(logging.INFO)
    for blob in (b"\0\0\0\7ssh-dss" + bytes(8), b"", b"\0\0\0\x0bssh-ed25519\0\0\0\1x"):
        agent.held[blob] = attrs.evolve(agent.held.get(blob) or _held("odd \x1b[2J"))
    agent.hold(KEY)
    assert await offered(credential) == [KEY.public_key.blob]
    assert len(caplog.records) == 3
    assert all(record.getMessage().isprintable() for record in caplog.records)
    assert "is not used: key type 'ssh-dss' is not supported" in caplog.text


def _held(comment: str):
    agent = SoftwareAgent()
    agent.hold(KEY, comment)
    return agent.held[KEY.public_key.blob]


async def test_an_agent_that_is_not_there(caplog, monkeypatch) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)

    async def broken() -> trio.abc.Stream:
        raise ConnectionRefusedError("nobody")

    for setting in (None, "none", "/nowhere/agent", broken):
        assert await offered(AgentCredential(setting)) == []
    assert [record.levelname for record in caplog.records] == ["INFO"] * 4
    assert "SSH_AUTH_SOCK is not set" in caplog.text


@pytest.mark.parametrize("answer", [b"", b"\xff", b"\6", b"\x0c\xff\xff\xff\xff", b"\5"])
async def test_e02_an_agent_that_talks_nonsense_offers_nothing(answer, caplog, nursery) -> None:
    async def connect() -> trio.abc.Stream:
        agent = Scripted(frame(answer))
        nursery.start_soon(agent.run)
        return agent.client.stream

    assert await offered(AgentCredential(connect)) == []
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_the_user_says_no(agent, credential) -> None:
    async def no(key) -> bool:
        return False

    agent.confirm = no
    agent.held[KEY.public_key.blob] = attrs.evolve(_held("mine"), constraints=(Confirm(),))
    [offer] = await credential.offers(SESSION)
    with pytest.raises(AgentRefused, match="its user said no"):
        await offer.sign("ssh-ed25519", b"data")
    await trio.testing.wait_all_tasks_blocked()
    assert agent.open_connections == 0


async def test_a_person_may_take_an_hour(agent, reach, credential, autojump_clock) -> None:
    """To touch the key, or to confirm: no deadline of ours."""

    async def slowly(key) -> bool:
        await trio.sleep(3600)
        return True

    agent.confirm = slowly
    handle = agent.plug_in(security_key("sk-ssh-ed25519@openssh.com"))
    async with await reach.open() as client:
        await client.add(handle, constraints=[Confirm(), SecurityKeyProvider()])
    [offer] = await credential.offers(SESSION)
    signature = await offer.sign("sk-ssh-ed25519@openssh.com", b"data")
    assert handle.public_key.verify("sk-ssh-ed25519@openssh.com", signature, b"data")


async def test_cancelled_at_every_step_nothing_stays_open(agent, credential) -> None:
    agent.hold(KEY)

    async def log_in() -> None:
        [offer] = await credential.offers(SESSION)
        await offer.sign("ssh-ed25519", b"data")

    async def check() -> None:
        await trio.testing.wait_all_tasks_blocked()
        assert agent.open_connections == 0

    await cancel_everywhere(log_in, check)


async def test_several_at_once(agent, credential) -> None:
    """Logins at the same time share nothing."""
    agent.hold(KEY)
    sessions = [Session.of(PrivateKey.generate(), bytes([number])) for number in range(10)]

    async def log_in(session: Session) -> None:
        [offer] = await credential.offers(session)
        assert KEY.public_key.verify("ssh-ed25519", await offer.sign("ssh-ed25519", session.session_id), session.session_id)

    async with trio.open_nursery() as nursery:
        for session in sessions:
            nursery.start_soon(partial(log_in, session))
    assert len(agent.bound) == 20


def test_the_list_may_hold_anything() -> None:
    credential = AgentCredential(only=iter([KEY.public_key]), certificates=iter([CERTIFIED.certificate]))
    assert credential.only == (KEY.public_key,)
    assert credential.certificates == (CERTIFIED.certificate,)
    assert AgentIdentity(KEY.public_key.blob).read_key() == KEY.public_key
