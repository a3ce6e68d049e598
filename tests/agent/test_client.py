"""`AgentClient` against an agent in software: every request, every refusal, and every answer that is none."""

from __future__ import annotations

import contextlib
import struct
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing

from tests.agent.double import Reach, Session, SoftwareAgent
from tests.agent.keyring import ALL_TYPES, all_keys, certified, key_of, security_key
from tests.agent.samples import ANSWERS, CONSTRAINTS, HOST, mutated
from tests.faults.cancelling import cancel_everywhere
from tests.fuzz.choices import check_text
from trio_ssh import DecodeError, LocalProtocolError, PrivateKey
from trio_ssh.agent import (
    AgentClient,
    AgentError,
    AgentIdentity,
    AgentLimits,
    AgentLocked,
    AgentLost,
    AgentProtocolError,
    AgentRefused,
    Confirm,
    Destination,
    Hop,
    Lifetime,
    RestrictDestination,
    SecurityKeyProvider,
)
from trio_ssh.agent import messages as m
from trio_ssh.agent.frames import FrameStream
from trio_ssh.keys.certificates import CertifiedKey
from trio_ssh.keys.security_keys import SECURITY_KEY_TYPES, WEBAUTHN_SK_ECDSA, security_key_use

KEY = key_of("ssh-ed25519")
PUBLIC = KEY.public_key
SESSION = Session.of(PrivateKey.generate())


def public_of(key):
    return key.certificate if isinstance(key, CertifiedKey) else key.public_key


async def add(client: AgentClient, agent: SoftwareAgent, key_type: str):
    """Any key of the ring, security keys with what they need; its public half."""
    key = all_keys()[key_type]
    plain = key.key if isinstance(key, CertifiedKey) else key
    constraints = []
    if plain.security_key is not None:
        agent.plug_in(security_key(plain.public_key.algorithm))
        constraints = [SecurityKeyProvider()]
    await client.add(key, constraints=constraints)
    return public_of(key)


# --- what it is for --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key_type", ALL_TYPES)
async def test_add_list_sign_remove(client, agent, key_type) -> None:
    public = await add(client, agent, key_type)
    [identity] = await client.list_identities()
    assert identity.read_key() == public
    assert identity.algorithm == key_type
    for algorithm in public.all_signature_algorithms:
        if not algorithm.startswith("webauthn-"):
            signature = await client.sign(identity, b"data", algorithm)
            assert public.verify(algorithm, signature, b"data", legacy=True)
    assert public.verify(public.signature_algorithms[0], await client.sign(public, b"more"), b"more")
    await client.remove(public)
    assert await client.list_identities() == ()


async def test_comments(client) -> None:
    await client.add(PrivateKey.generate(comment="its own"))
    await client.add(PrivateKey.generate(comment="its own"), "another \x1b[2J")
    await client.add(certified("ssh-ed25519"))
    assert [identity.comment for identity in await client.list_identities()] == ["its own", "another \x1b[2J", "my ssh-ed25519"]


@pytest.mark.parametrize(("algorithm", "flags"), [("rsa-sha2-256", 2), ("rsa-sha2-512", 4), ("ssh-rsa", 0), ("", 4)])
async def test_rsa_flags(client, agent, algorithm, flags) -> None:
    agent.hold(key_of("ssh-rsa"))
    await client.sign(key_of("ssh-rsa").public_key, b"data", algorithm)
    assert agent.requests == [m.SignRequest(key_of("ssh-rsa").public_key.blob, b"data", flags)]


async def test_rsa_flags_of_certificates(client, agent) -> None:
    key = certified("ssh-rsa")
    agent.hold(key)
    await client.sign(key.certificate, b"data", "rsa-sha2-256-cert-v01@openssh.com")
    assert agent.requests == [m.SignRequest(key.certificate.blob, b"data", 2)]


@pytest.mark.parametrize("key_type", SECURITY_KEY_TYPES)
async def test_security_keys_sign_through_the_agent(client, agent, key_type) -> None:
    """The handle is given to the agent, the authenticator signs, and what it vouches for comes through."""
    key = agent.plug_in(security_key(key_type))
    with pytest.raises(AgentRefused):
        await client.add(key)  # it does not know how to reach it
    await client.add(key, constraints=[SecurityKeyProvider("internal")])
    signature = await client.sign(key.public_key, b"data")
    use = security_key_use(signature)
    assert use is not None
    assert (use.touched, use.verified, use.counter) == (True, False, 7)


async def test_lock_and_unlock(client, agent, reach) -> None:
    agent.hold(KEY)
    await client.lock("pässword")
    assert agent.passphrase == "pässword".encode()
    assert await client.list_identities() == ()
    for refused in (partial(client.sign, PUBLIC, b"data"), partial(client.add, KEY), client.remove_all, partial(client.lock, "again")):
        with pytest.raises(AgentLocked, match="it is locked; unlock it first"):
            await refused()
    other = await reach.open()
    with pytest.raises(AgentRefused, match="or it is locked") as caught:
        await other.sign(PUBLIC, b"data")
    assert not isinstance(caught.value, AgentLocked), "who has not locked it cannot know"
    with pytest.raises(AgentLocked, match="did not unlock: the passphrase is another one"):
        await client.unlock("password")
    await client.unlock("pässword")
    assert len(await client.list_identities()) == 1
    with pytest.raises(AgentRefused) as caught:
        await client.remove(key_of("ssh-rsa").public_key)
    assert not isinstance(caught.value, AgentLocked)


async def test_it_was_unlocked_by_somebody_else(client, agent, reach) -> None:
    await client.lock("secret")
    await (await reach.open()).unlock(b"secret")
    await client.add(KEY)
    with pytest.raises(AgentRefused) as caught:
        await client.remove(key_of("ssh-rsa").public_key)
    assert not isinstance(caught.value, AgentLocked)


async def test_lifetime(client, autojump_clock) -> None:
    await client.add(KEY, constraints=[Lifetime(60)])
    await trio.sleep(59)
    assert len(await client.list_identities()) == 1
    await trio.sleep(2)
    assert await client.list_identities() == ()


async def test_confirmation_may_take_its_time(client, agent, autojump_clock) -> None:
    """No deadline of ours: a person is asked."""

    async def an_hour_later(key) -> bool:
        await trio.sleep(3600)
        return key == PUBLIC

    agent.confirm = an_hour_later
    await client.add(KEY, constraints=[Confirm()])
    assert PUBLIC.verify("ssh-ed25519", await client.sign(PUBLIC, b"data"), b"data")


async def test_confirmation_denied(client, agent) -> None:
    async def no(key) -> bool:
        return False

    agent.confirm = no
    await client.add(KEY, constraints=[Confirm()])
    with pytest.raises(AgentRefused, match=r"refused to sign with the key SHA256:\S+: .* its user said no"):
        await client.sign(PUBLIC, b"data")
    assert len(await client.list_identities()) == 1, "a refusal is an answer: the connection goes on"


async def test_remove_all(client, agent) -> None:
    agent.hold(KEY)
    agent.hold(certified("ssh-rsa"))
    await client.remove_all()
    assert agent.held == {}


@pytest.mark.parametrize("answers_as", [m.ExtensionResponse, m.Success])
async def test_query(client, agent, answers_as) -> None:
    """In the form of RFC 9987 and in that of the drafts before it."""
    agent.answers_query_as = answers_as
    assert await client.query_extensions() == ("query", "session-bind@openssh.com")


async def test_query_of_an_agent_that_knows_none(client, agent) -> None:
    agent.extensions = ()
    with pytest.raises(AgentRefused, match="'query'"):
        await client.query_extensions()


# --- E03: binding, constraints ---------------------------------------------------------------------------------------------------------


async def test_e03_session_bind(client, agent) -> None:
    await client.bind_session(SESSION)
    assert agent.bound == [m.SessionBind(SESSION.host_key_blob, SESSION.session_id, SESSION.signature, False)]
    with pytest.raises(AgentRefused):
        await client.bind_session(SESSION)  # for good


async def test_e03_session_bind_for_forwarding(client, agent, reach) -> None:
    for number in range(3):
        await client.bind_session(Session.of(PrivateKey.generate(), bytes([number])), is_forwarding=True)
    assert [bind.is_forwarding for bind in agent.bound] == [True] * 3


async def test_e03_what_the_host_key_has_not_signed_is_not_bound(client, agent) -> None:
    with pytest.raises(AgentRefused, match="session-bind"):
        await client.bind_session(Session(b"another id", SESSION.host_key_blob, SESSION.signature))
    assert agent.bound == []


async def test_e03_bind_while_locked(client, agent) -> None:
    await client.lock("secret")
    with pytest.raises(AgentLocked):
        await client.bind_session(SESSION)
    assert agent.bound == []
    await client.unlock("secret")
    await client.bind_session(SESSION)


@pytest.mark.parametrize("with_others", [False, True])
@pytest.mark.parametrize("constraint", CONSTRAINTS, ids=lambda constraint: type(constraint).__name__)
async def test_e02_e03_a_constraint_that_the_agent_does_not_know_is_never_dropped(client, agent, constraint, with_others) -> None:
    agent.knows_constraints = [type(other) for other in CONSTRAINTS if type(other) is not type(constraint)]
    others = [other for other in CONSTRAINTS if with_others and other is not constraint]
    with pytest.raises(AgentRefused, match=rf"{type(constraint).__name__}.*without them it was not added"):
        await client.add(KEY, constraints=[*others, constraint])
    assert agent.held == {}
    assert len(agent.requests) == 1, "it was not tried again with less"


async def test_e03_constraints_arrive_whole(client, agent) -> None:
    agent.knows_constraints = [type(constraint) for constraint in CONSTRAINTS]
    await client.add(KEY, constraints=CONSTRAINTS)
    [held] = agent.held.values()
    assert held.constraints == CONSTRAINTS
    restriction = RestrictDestination((Destination(Hop(), HOST),))
    await client.add(certified("ssh-rsa"), constraints=[restriction])
    assert [held.constraints for held in agent.held.values()] == [CONSTRAINTS, (restriction,)]


async def test_e01_no_request_of_ours_loads_a_library(client, agent) -> None:
    """There is no verb for it; and the three requests that do have no other sender."""
    for key_type in ALL_TYPES:
        await add(client, agent, key_type)
    await client.list_identities()
    assert not any(isinstance(request, m.LOADS_LIBRARIES) for request in agent.requests)
    assert [name for name in dir(client) if "card" in name or "token" in name or "load" in name] == []


# --- our own caller's mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key_type", "algorithm"), [("ssh-ed25519", "ssh-rsa"), ("ssh-rsa", "\x1b"), ("sk-ecdsa-sha2-nistp256@openssh.com", WEBAUTHN_SK_ECDSA)]
)
async def test_an_algorithm_that_is_not_the_keys(client, agent, key_type, algorithm) -> None:
    with pytest.raises(LocalProtocolError, match="cannot sign by") as caught:
        await client.sign(key_of(key_type).public_key, b"data", algorithm)
    check_text(caught.value)
    assert agent.requests == []


async def test_e02_a_key_that_is_none_is_not_asked_for(client, agent) -> None:
    short = AgentIdentity(struct.pack(">I", 11) + b"ssh-ed25519" + struct.pack(">I", 31) + bytes(31))
    with pytest.raises(DecodeError):
        await client.sign(short, b"data")
    assert agent.requests == []


async def test_what_is_too_large_harms_nothing(client, agent) -> None:
    agent.hold(KEY)
    with pytest.raises(LocalProtocolError, match="too large for an agent"):
        await client.sign(PUBLIC, bytes(AgentLimits().frame_bytes))
    assert await client.sign(PUBLIC, b"less")


# --- E02: an agent that talks nonsense -------------------------------------------------------------------------------------------------


class Scripted:
    """An agent that answers everything with the same bytes."""

    def __init__(self, *answers: bytes, limits: AgentLimits | None = None, closes: bool = False) -> None:
        self._answers, self._closes = answers, closes
        ours, self._theirs = trio.testing.memory_stream_pair()
        self.client = AgentClient(ours, limits or AgentLimits())
        self.requests = 0

    async def run(self) -> None:
        frames = FrameStream(self._theirs, AgentLimits().frame_bytes)
        try:
            while await frames.receive() is not None:
                self.requests += 1
                for answer in self._answers:
                    await self._theirs.send_all(answer)
                if self._closes:
                    return
        except trio.BrokenResourceError:
            pass
        finally:
            await trio.aclose_forcefully(self._theirs)


def frame(message: bytes) -> bytes:
    return struct.pack(">I", len(message)) + message


REQUESTS = {
    "list": lambda client: client.list_identities(),
    "sign": lambda client: client.sign(PUBLIC, b"data to sign"),
    "add": lambda client: client.add(KEY),
    "add constrained": lambda client: client.add(KEY, constraints=[Lifetime(1)]),
    "remove": lambda client: client.remove(PUBLIC),
    "remove all": lambda client: client.remove_all(),
    "lock": lambda client: client.lock("secret"),
    "unlock": lambda client: client.unlock("secret"),
    "query": lambda client: client.query_extensions(),
    "bind": lambda client: client.bind_session(SESSION),
    "extend": lambda client: client.extend("x@example.com", b"contents"),
}
FIT: dict[str, set[type]] = {"list": {m.IdentitiesAnswer}, "sign": {m.SignResponse}, "query": {m.Success, m.ExtensionResponse}}
each_request = pytest.mark.parametrize("request_name", REQUESTS)


async def ask(agent: Scripted, request_name: str) -> Any:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(agent.run)
        try:
            return await REQUESTS[request_name](agent.client)
        except AgentError as error:
            check_text(error)
            return error
        finally:
            await agent.client.aclose()


@each_request
@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: type(answer).__name__)
async def test_e02_every_answer_to_every_request(request_name, answer) -> None:
    result = await ask(Scripted(frame(m.encode_message(answer))), request_name)
    if isinstance(answer, (m.Failure, m.ExtensionFailure)):
        assert isinstance(result, AgentRefused)
    elif type(answer) in FIT.get(request_name, {m.Success}):
        assert not isinstance(result, Exception)
    else:
        assert isinstance(result, AgentProtocolError)


@each_request
@pytest.mark.parametrize(
    "answer",
    [
        frame(b""),
        frame(b"\xff"),
        frame(b"\0"),
        frame(b"\x0b"),
        frame(b"\x07"),
        struct.pack(">I", 2**32 - 1) + bytes(100),
        struct.pack(">I", 256 * 1024 + 1),
    ],
    ids=["empty", "unknown", "zero", "a request", "seven", "4 GiB", "one byte too many"],
)
async def test_e02_malformed_and_unknown_replies(request_name, answer) -> None:
    agent = Scripted(answer)
    result = await ask(agent, request_name)
    assert isinstance(result, AgentProtocolError)
    assert "the agent broke the protocol" in str(result)
    with pytest.raises(AgentLost, match="broke the protocol"):
        await REQUESTS[request_name](agent.client)
    assert agent.requests == 1


@each_request
async def test_e02_g2_damaged_replies(request_name) -> None:
    """Whatever it is, it is a result that can be believed, or one typed error."""
    fit = {"list": 2, "sign": 3, "query": 5}.get(request_name, 1)
    for payload in mutated(m.encode_message(ANSWERS[fit])):
        result = await ask(Scripted(frame(payload)), request_name)
        assert not isinstance(result, Exception) or isinstance(result, AgentError)
        if request_name == "sign" and isinstance(result, bytes):
            assert PUBLIC.verify("ssh-ed25519", result, b"data to sign")


@each_request
async def test_e02_an_agent_that_closes(request_name) -> None:
    for sent in (b"", frame(b"\5")[:-1], frame(b"\5")[:3]):
        result = await ask(Scripted(sent, closes=True), request_name)
        assert isinstance(result, AgentProtocolError if sent else AgentLost)


async def test_e02_success_with_bytes_behind_it() -> None:
    for request_name in REQUESTS:
        result = await ask(Scripted(frame(b"\6\0")), request_name)
        assert isinstance(result, AgentProtocolError) or request_name in ("bind", "extend")


@pytest.mark.parametrize("count", [2048, 2049])
async def test_e02_2048_identities_and_one_more(count) -> None:
    """AgentLimits.identities."""
    assert AgentLimits().identities == 2048
    answer = m.write_identities([AgentIdentity(bytes(4), "c")] * count)
    result = await ask(Scripted(frame(m.encode_message(answer))), "list")
    if count == 2048:
        assert len(result) == 2048
    else:
        assert isinstance(result, AgentProtocolError)
        assert "a list of 2049 keys; 2048 are taken at most" in str(result)


async def test_e02_a_smaller_limit_of_identities_and_of_bytes() -> None:
    answer = frame(m.encode_message(m.write_identities([AgentIdentity(bytes(4))] * 3)))
    assert len(await ask(Scripted(answer, limits=AgentLimits(identities=3)), "list")) == 3
    assert isinstance(await ask(Scripted(answer, limits=AgentLimits(identities=2)), "list"), AgentProtocolError)
    assert isinstance(await ask(Scripted(answer, limits=AgentLimits(frame_bytes=len(answer) - 5)), "list"), AgentProtocolError)


async def test_e02_a_count_without_entries() -> None:
    result = await ask(Scripted(frame(b"\x0c" + struct.pack(">I", 2048))), "list")
    assert isinstance(result, AgentProtocolError)


@pytest.mark.parametrize(
    "signature",
    [
        KEY.sign("ssh-ed25519", b"other data"),
        PrivateKey.generate().sign("ssh-ed25519", b"data to sign"),
        key_of("ssh-rsa").sign("rsa-sha2-512", b"data to sign"),
        b"",
    ],
    ids=["other data", "another key", "another algorithm", "none"],
)
async def test_e02_a_signature_that_does_not_hold(signature) -> None:
    result = await ask(Scripted(frame(m.encode_message(m.SignResponse(signature)))), "sign")
    assert isinstance(result, AgentProtocolError)


async def test_e02_an_old_agent_that_ignores_the_flags() -> None:
    """Asked for SHA-2, it signs with SHA-1: no signature is better than that."""
    key = key_of("ssh-rsa")
    agent = Scripted(frame(m.encode_message(m.SignResponse(key.sign("ssh-rsa", b"data")))))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(agent.run)
        with pytest.raises(AgentProtocolError, match="asked for a signature by rsa-sha2-512, it gave one by 'ssh-rsa'"):
            await agent.client.sign(key.public_key, b"data")


async def test_e02_answers_that_nobody_asked_for() -> None:
    agent = Scripted(frame(b"\6") + frame(b"\6"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(agent.run)
        await agent.client.remove_all()
        with pytest.raises(AgentProtocolError, match="not asked for"):
            await agent.client.list_identities()
        await agent.client.aclose()


# --- turns, cancellation, closing ------------------------------------------------------------------------------------------------------


async def test_requests_take_turns_in_order(client, agent) -> None:
    """Twenty tasks, one connection: each gets its own answer, in the order in which they asked."""
    order = []
    for number in range(20):
        agent.hold(PrivateKey.generate(), str(number))
    keys = [held.public for held in agent.held.values()]

    async def sign(number: int) -> None:
        signature = await client.sign(keys[number], b"%d" % number)
        assert keys[number].verify("ssh-ed25519", signature, b"%d" % number)
        order.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(sign, number)
    assert [request.data for request in agent.requests] == [b"%d" % number for number in order]


async def test_a_request_cancelled_while_it_waits_for_its_turn_harms_nothing(client, agent, nursery) -> None:
    asked, answer = trio.Event(), trio.Event()

    async def confirm(key) -> bool:
        asked.set()
        await answer.wait()
        return True

    agent.confirm = confirm
    await client.add(KEY, constraints=[Confirm()])
    nursery.start_soon(client.sign, PUBLIC, b"first")
    await asked.wait()
    with trio.CancelScope() as scope:
        scope.cancel()
        await client.list_identities()
    with trio.CancelScope() as scope:
        nursery.start_soon(trio.testing.wait_all_tasks_blocked)
        scope.deadline = trio.current_time()
        await client.remove_all()
    assert scope.cancelled_caught
    answer.set()
    assert len(await client.list_identities()) == 1


async def test_a_request_cancelled_under_way_ends_the_connection_and_says_so(client, agent, nursery) -> None:
    agent.confirm = never
    await client.add(KEY, constraints=[Confirm()])
    with trio.CancelScope() as scope:
        nursery.start_soon(cancel_when_blocked, scope)
        await client.sign(PUBLIC, b"data")
    assert scope.cancelled_caught
    with pytest.raises(AgentLost, match="a request to the agent was cancelled before its answer had come: open another connection"):
        await client.list_identities()


async def never(key) -> bool:
    await trio.sleep_forever()
    return True


async def cancel_when_blocked(scope: trio.CancelScope) -> None:
    await trio.testing.wait_all_tasks_blocked()
    scope.cancel()


@pytest.mark.parametrize("request_name", REQUESTS)
async def test_cancelled_at_every_step_it_answers_rightly_or_not_at_all(reach: Reach, agent, request_name) -> None:
    """The next request over the same connection gets its own answer, or `AgentLost`; nothing stays open."""
    agent.extensions = (*agent.extensions, "x@example.com")
    client = await reach.open()

    async def operation() -> None:
        nonlocal client
        agent.hold(KEY)
        agent.passphrase = b"secret" if request_name == "unlock" else None
        client = await reach.open()
        await REQUESTS[request_name](client)

    async def check() -> None:
        agent.passphrase = None
        agent.hold(KEY)
        with contextlib.suppress(AgentLost):
            assert PUBLIC.verify("ssh-ed25519", await client.sign(PUBLIC, b"afterwards"), b"afterwards")
        await client.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert agent.open_connections <= 1

    await cancel_everywhere(operation, check)


async def test_closing_while_a_request_is_under_way(client, agent, nursery) -> None:
    agent.confirm = never
    await client.add(KEY, constraints=[Confirm()])

    async def close() -> None:
        await trio.testing.wait_all_tasks_blocked()
        await client.aclose()

    nursery.start_soon(close)
    with pytest.raises(AgentLost, match="was closed"):
        await client.sign(PUBLIC, b"data")
    with pytest.raises(AgentLost, match="was closed: open another"):
        await client.list_identities()


async def test_a_block_closes(reach, agent) -> None:
    async with await reach.open() as client:
        await client.list_identities()
        assert agent.open_connections == 1
    await trio.testing.wait_all_tasks_blocked()
    assert agent.open_connections == 0
