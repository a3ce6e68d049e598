"""Our agent client at Debian's `ssh-agent`, with `ssh-add` as the judge; and `ssh-add` at the codec of ours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import trio

from tests.agent.double import Held, Session, SoftwareAgent
from tests.agent.keyring import ALL_TYPES, KINDS, PLAIN_TYPES, all_keys, certified, key_of
from tests.interop.agents import Place, listening, running_agent
from tests.interop.keyring import KEY_TYPES, Keyring
from tests.support import require_program
from trio_ssh import PrivateKey
from trio_ssh.agent import (
    AgentClient,
    AgentLocked,
    AgentRefused,
    AssociatedCertificates,
    Confirm,
    Destination,
    Hop,
    HostKeySpec,
    Lifetime,
    RestrictDestination,
    SecurityKeyProvider,
    open_agent,
)
from trio_ssh.agent import messages as m
from trio_ssh.keys.certificates import CertifiedKey
from trio_ssh.keys.security_keys import SECURITY_KEY_TYPES
from trio_ssh.wire.codec import encode
from trio_ssh.wire.userauth import PublicKeyFields, SignedPublicKeyRequest, UserauthRequest, string_field

KNOWN_TYPES = [key_type for key_type in ALL_TYPES if "ed448" not in key_type]  # OpenSSH has no ed448
SIGNING_TYPES = [key_type for key_type in KNOWN_TYPES if not key_type.startswith("sk-")]
KEY = key_of("ssh-ed25519")
PUBLIC = KEY.public_key


@pytest.fixture
def place(tmp_path: Path, deadline: None) -> Iterator[Place]:
    with running_agent(tmp_path) as running:
        yield running


@pytest.fixture
async def client(place: Place) -> AsyncIterator[AgentClient]:
    async with await open_agent(place.path) as opened:
        yield opened


def public_of(key):
    return key.certificate if isinstance(key, CertifiedKey) else key.public_key


def constraints_of(key_type: str) -> list[SecurityKeyProvider]:
    return [SecurityKeyProvider("internal")] if key_type.startswith("sk-") else []


# --- ours to theirs --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key_type", KNOWN_TYPES)
async def test_what_we_add_ssh_add_lists_and_the_other_way_round(key_type, client, place) -> None:
    key = all_keys()[key_type]
    await client.add(key, "added by us", constraints_of(key_type))
    assert await place.listed() == [public_of(key).to_openssh_line()]
    [identity] = await client.list_identities()
    assert (identity.read_key(), identity.comment) == (public_of(key), "added by us")
    await client.remove(identity)
    assert await place.listed() == []
    with pytest.raises(AgentRefused):
        await client.remove(identity)


@pytest.mark.parametrize("key_type", SIGNING_TYPES)
async def test_signatures_by_every_algorithm(key_type, client) -> None:
    key = all_keys()[key_type]
    await client.add(key)
    public = public_of(key)
    for algorithm in public.signature_algorithms:
        assert public.verify(algorithm, await client.sign(public, b"data", algorithm), b"data")


@pytest.mark.parametrize("key_type", SECURITY_KEY_TYPES)
async def test_security_keys_need_their_authenticator(key_type, client) -> None:
    """It takes the handle, but there is no authenticator here. Our agent in software has one (test_agent_logins)."""
    await client.add(key_of(key_type), constraints=[SecurityKeyProvider()])
    with pytest.raises(AgentRefused, match="refused to sign"):
        await client.sign(key_of(key_type).public_key, b"data")


async def test_a_type_that_it_does_not_know(client) -> None:
    with pytest.raises(AgentRefused, match="it may not know this type of key"):
        await client.add(key_of("ssh-ed448"))
    assert await client.list_identities() == ()


async def test_remove_all(client, place) -> None:
    for key_type in KINDS:
        if key_type != "ssh-ed448":
            await client.add(key_of(key_type))
    assert len(await place.listed()) == len(KINDS) - 1
    await client.remove_all()
    assert await place.listed() == []


async def test_lock_here_unlock_there_and_back(client, place) -> None:
    await client.add(KEY)
    await client.lock("secret")
    assert await place.listed() == []
    assert await client.list_identities() == ()
    for refused in (client.add(key_of("ssh-rsa")), client.sign(PUBLIC, b"data"), client.remove_all(), client.lock("x")):
        with pytest.raises(AgentLocked):
            await refused
    with pytest.raises(AgentLocked, match="passphrase is another one"):
        await client.unlock("wrong")
    place.say("secret")
    await place.ssh_add("-X")
    assert len(await client.list_identities()) == 1
    await place.ssh_add("-x")
    with pytest.raises(AgentRefused):
        await client.remove(PUBLIC)
    await client.unlock("secret")
    assert await client.sign(PUBLIC, b"data")


async def test_lifetime(client) -> None:
    """A second later it is forgotten: asked for until then."""
    await client.add(KEY, constraints=[Lifetime(1)])
    await client.add(key_of("ssh-rsa"), constraints=[Lifetime(3600)])
    while len(await client.list_identities()) == 2:  # noqa: ASYNC110 - nothing tells when
        await trio.sleep(0.05)
    assert [identity.algorithm for identity in await client.list_identities()] == ["ssh-rsa"]
    with pytest.raises(AgentRefused, match="no such key"):
        await client.sign(PUBLIC, b"data")


async def test_confirm(client, place) -> None:
    await client.add(KEY, "the precious one", [Confirm()])
    assert await client.sign(PUBLIC, b"data")
    place.say("no")
    with pytest.raises(AgentRefused, match="its user said no"):
        await client.sign(PUBLIC, b"data")
    asked = [line for line in place.asked() if "the precious one" in line]
    assert len(asked) == 2


async def test_query(client) -> None:
    """OpenSSH 9.2 has no such extension; later ones name what they know."""
    try:
        names = await client.query_extensions()
    except AgentRefused:
        names = (m.SESSION_BIND,)
    assert m.SESSION_BIND in names


async def test_an_extension_that_nobody_knows(client) -> None:
    with pytest.raises(AgentRefused, match="it does not know that extension"):
        await client.extend("nothing@example.com", b"contents")


async def test_e02_constraints_that_make_no_sense_to_it(client, place) -> None:
    """A provider without a security key, and certificates of a token without a token."""
    with pytest.raises(AgentRefused, match=r"constraints SecurityKeyProvider, .*without them it was not added"):
        await client.add(KEY, constraints=[SecurityKeyProvider("internal")])
    with pytest.raises(AgentRefused, match=r"constraints Lifetime, AssociatedCertificates, "):
        await client.add(KEY, constraints=[Lifetime(60), AssociatedCertificates((certified("ssh-ed25519").certificate.blob,))])
    assert await place.listed() == []


TOKEN_WORDS = {m.AddSmartcardKey: ["-s"], m.RemoveSmartcardKey: ["-e"], m.AddSmartcardKeyConstrained: ["-c", "-s"]}


@pytest.mark.parametrize("request_class", m.LOADS_LIBRARIES)
async def test_e01_ssh_add_cannot_make_an_agent_of_ours_load_a_library(request_class, tmp_path: Path, deadline) -> None:
    """The codec knows the requests, so that they are refused and nothing else."""
    agent = SoftwareAgent()
    async with listening(agent, tmp_path) as place:
        done = await place.ssh_add(*TOKEN_WORDS[request_class], "/usr/lib/x.so", check=False)
    assert done.returncode != 0
    assert [type(request) for request in agent.requests] == [request_class]


# --- E03: sessions and destinations ----------------------------------------------------------------------------------------------------

HOST, OTHER_HOST = PrivateKey.generate(), PrivateKey.generate("ecdsa", 256)
HERE = Session.of(HOST, b"session one".ljust(32))
THERE = Session.of(OTHER_HOST, b"session two".ljust(32))


def login_data(session: Session, username: str = "ada", method: str = "publickey-hostbound-v00@openssh.com") -> bytes:
    """What is signed to log in (RFC 4252 §7), with the server's key in it (OpenSSH's PROTOCOL §3.1) or without."""
    host_key = string_field(session.host_key_blob) if "hostbound" in method else b""
    fields = PublicKeyFields(True, "ssh-ed25519", PUBLIC.blob, host_key)
    request = UserauthRequest(username, "ssh-connection", method, encode(fields))
    return encode(SignedPublicKeyRequest(session.session_id, encode(request)))


def only_to(key: PrivateKey, username: str = "", hostname: str = "host.example") -> RestrictDestination:
    return RestrictDestination((Destination(Hop(), Hop(hostname, (HostKeySpec(key.public_key.blob),), username)),))


async def test_e03_session_bind(client) -> None:
    await client.bind_session(HERE)
    with pytest.raises(AgentRefused):
        await client.bind_session(THERE)  # it is bound for a login, for good


async def test_e03_what_the_host_key_has_not_signed_is_not_bound(client) -> None:
    with pytest.raises(AgentRefused):
        await client.bind_session(Session(THERE.session_id, HERE.host_key_blob, HERE.signature))
    await client.bind_session(HERE)


async def test_e03_bind_while_locked(client) -> None:
    await client.add(KEY, constraints=[only_to(HOST)])
    await client.lock("secret")
    with pytest.raises(AgentLocked):
        await client.bind_session(HERE)
    await client.unlock("secret")
    with pytest.raises(AgentRefused):
        await client.sign(PUBLIC, login_data(HERE))  # it is not bound
    await client.bind_session(HERE)
    assert await client.sign(PUBLIC, login_data(HERE))


@pytest.mark.parametrize(
    ("bound", "data", "granted"),
    [
        ([(HERE, False)], login_data(HERE), True),
        ([(HERE, False)], login_data(HERE, method="publickey"), True),
        ([(HERE, False)], login_data(Session(HERE.session_id, THERE.host_key_blob, b"")), False),
        ([(HERE, False)], login_data(HERE, "ben"), False),
        ([(HERE, False)], login_data(THERE), False),
        ([(HERE, False)], b"anything else", False),
        ([(THERE, False)], login_data(THERE), False),
        ([], login_data(HERE), False),
        ([(HERE, True)], login_data(HERE), False),
        ([(THERE, True), (HERE, False)], login_data(HERE), False),
        ([(HERE, True), (THERE, False)], login_data(THERE), False),
    ],
    ids=[
        "right",
        "right, not host-bound",
        "host in the request",
        "user",
        "session",
        "no login",
        "host",
        "unbound",
        "forwarded only",
        "by way of another",
        "onwards",
    ],
)
async def test_e03_matrix_of_destinations(bound, data, granted, client, place) -> None:
    """A key for ada at one host, from here: nothing else gets a signature, and a key without a constraint all of them."""
    free = key_of("ecdsa-sha2-nistp256")
    await client.add(KEY, constraints=[only_to(HOST, "ada")])
    await client.add(free)
    for session, is_forwarding in bound:
        await client.bind_session(session, is_forwarding=is_forwarding)
    assert await client.sign(free.public_key, data)
    if granted:
        assert PUBLIC.verify("ssh-ed25519", await client.sign(PUBLIC, data), data)
    else:
        with pytest.raises(AgentRefused, match="may not be used for this"):
            await client.sign(PUBLIC, data)


async def test_e03_two_hops(client, place) -> None:
    """From here to one host, and from there to another: over a forwarded connection the second step only."""
    first, second = Hop("one", (HostKeySpec(HOST.public_key.blob),)), Hop("two", (HostKeySpec(OTHER_HOST.public_key.blob),))
    await client.add(KEY, constraints=[RestrictDestination((Destination(Hop(), first), Destination(first, second)))])
    await client.bind_session(HERE, is_forwarding=True)
    await client.bind_session(THERE)
    assert await client.sign(PUBLIC, login_data(THERE))
    async with await open_agent(place.path) as direct:
        await direct.bind_session(THERE)
        with pytest.raises(AgentRefused):
            await direct.sign(PUBLIC, login_data(THERE))


# --- theirs to ours --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key_type", KEY_TYPES)
async def test_keys_of_ssh_add(key_type, client, place, keyring: Keyring) -> None:
    await place.ssh_add(str(keyring.user_key_file(key_type)))
    [identity] = await client.list_identities()
    assert identity.read_key() == keyring.user_keys[key_type].public_key
    assert identity.comment == "user"
    for algorithm in identity.read_key().signature_algorithms:
        assert await client.sign(identity, b"data", algorithm)


def write_pair(folder: Path, key_type: str) -> Path:
    """A key with its certificate, in files as ssh-add wants them."""
    path = folder / f"id_{key_type}"
    key = certified(key_type)
    key.key.write_file(path)
    Path(f"{path}-cert.pub").write_text(key.certificate.to_openssh_line() + "\n")
    return path


@pytest.mark.parametrize("key_type", [key_type for key_type in PLAIN_TYPES if key_type != "ssh-ed448"])
async def test_our_codec_reads_what_ssh_add_sends(key_type, tmp_path: Path, deadline) -> None:
    """Plain keys and certificates of every type; security keys with their provider."""
    agent = SoftwareAgent()
    async with listening(agent, tmp_path) as place:
        path = write_pair(tmp_path, key_type)
        words = ["-S", "internal"] if key_type in SECURITY_KEY_TYPES else []
        await place.ssh_add(*words, "-t", "3600", "-c", str(path), environ={"SSH_SK_PROVIDER": "internal"})
    key = certified(key_type)
    assert [held.public for held in agent.held.values()] == [key.key.public_key, key.certificate]
    for held in agent.held.values():
        wanted = {Lifetime(3600), Confirm()} | ({SecurityKeyProvider("internal")} if key_type in SECURITY_KEY_TYPES else set())
        assert set(held.constraints) == wanted
        assert held.plain.agent_fields() == key.key.agent_fields()
    for request in agent.requests:
        if isinstance(request, (m.AddIdentity, m.AddIdentityConstrained)):
            assert m.decode_request(m.encode_message(request)) == request


async def test_the_other_requests_of_ssh_add(tmp_path: Path, deadline) -> None:
    agent = SoftwareAgent()
    agent.held[PUBLIC.blob] = Held(KEY, "mine")
    public_path = tmp_path / "id.pub"
    public_path.write_text(PUBLIC.to_openssh_line() + "\n")
    async with listening(agent, tmp_path) as place:
        place.say("secret")
        assert await place.listed() == [PUBLIC.to_openssh_line()]
        assert b"mine (ED25519)" in (await place.ssh_add("-l")).stdout
        await place.ssh_add("-T", str(public_path))  # signs, and verifies
        await place.ssh_add("-x")
        assert agent.passphrase == b"secret"
        await place.ssh_add("-X")
        await place.ssh_add("-d", str(public_path))
        assert agent.held == {}
        await place.ssh_add("-D")
    assert isinstance(agent.requests[-1], (m.RemoveAllIdentities, m.Extension))


async def test_e03_destinations_of_ssh_add(tmp_path: Path, deadline) -> None:
    """``ssh-add -h``: what it sends, our codec reads, and writes again byte for byte."""
    agent = SoftwareAgent(knows_constraints=(RestrictDestination,))
    KEY.write_file(tmp_path / "id")
    known_hosts = tmp_path / "known_hosts"
    lines = [f"host.example {HOST.public_key.to_openssh_line()}", f"@cert-authority *.example {OTHER_HOST.public_key.to_openssh_line()}"]
    known_hosts.write_text("".join(f"{line}\n" for line in lines))
    async with listening(agent, tmp_path) as place:
        await place.ssh_add("-H", str(known_hosts), "-h", "ada@host.example", "-h", "host.example>far.example", str(tmp_path / "id"))
    host = Hop("host.example", (HostKeySpec(HOST.public_key.blob), HostKeySpec(OTHER_HOST.public_key.blob, is_authority=True)))
    far = Hop("far.example", (HostKeySpec(OTHER_HOST.public_key.blob, is_authority=True),))
    [held] = agent.held.values()
    assert held.constraints == (
        RestrictDestination((Destination(Hop(), Hop(host.hostname, host.keys, "ada")), Destination(host, far))),
    )


async def test_sign_by_ssh_keygen_through_our_codec(tmp_path: Path, deadline) -> None:
    """``ssh-keygen -Y sign`` asks an agent, too; with a flag for RSA."""
    agent = SoftwareAgent()
    for key_type in ("ssh-rsa", "ssh-ed25519"):
        agent.hold(key_of(key_type))
        (tmp_path / f"{key_type}.pub").write_text(key_of(key_type).public_key.to_openssh_line() + "\n")
    (tmp_path / "message").write_text("hello")
    async with listening(agent, tmp_path) as place:
        for key_type in ("ssh-rsa", "ssh-ed25519"):
            words = ["-Y", "sign", "-n", "file", "-f", str(tmp_path / f"{key_type}.pub"), str(tmp_path / "message")]
            await trio.run_process([require_program("ssh-keygen"), *words], stdin=b"", capture_stderr=True, env=place.environ())
            (tmp_path / "message.sig").unlink()
    flags = [request.flags for request in agent.requests if isinstance(request, m.SignRequest)]
    assert flags == [m.RSA_SHA2_512, 0]
