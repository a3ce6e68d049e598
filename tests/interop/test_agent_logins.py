"""Logging in with an agent's keys: our client and OpenSSH's, at OpenSSH's server and at ours, with Debian's agent and one in software."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import trio

import trio_ssh
from tests.agent.double import SoftwareAgent
from tests.agent.keyring import certified, key_of, security_key
from tests.cli.tools import running, tool
from tests.interop.agents import Place, listening, running_agent
from tests.interop.keyring import KEY_TYPES, Keyring
from tests.interop.openssh import SSH, SSHD, running_sshd
from tests.interop.services import StartServer, services
from trio_ssh.agent import AgentCredential, Confirm, Destination, Hop, HostKeySpec, RestrictDestination, SecurityKeyProvider, open_agent
from trio_ssh.agent import messages as m
from trio_ssh.keys.security_keys import SECURITY_KEY_TYPES


@pytest.fixture
def place(tmp_path: Path, deadline: None) -> Iterator[Place]:
    with running_agent(tmp_path) as running:
        yield running


def by(place: Place, **more) -> list[trio_ssh.Credential]:
    return [AgentCredential(place.path, **more)]


# --- our client at sshd ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key_type", KEY_TYPES)
async def test_our_client_into_sshd(key_type, place, sshd: SSHD, keyring: Keyring) -> None:
    await place.ssh_add(str(keyring.user_key_file(key_type)))
    async with sshd.connect(credentials=by(place)) as client:
        assert (await client.run_process("echo in")).stdout == b"in\n"


async def test_the_default_credentials_begin_with_the_agent(place, sshd: SSHD, keyring: Keyring, monkeypatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", place.path)
    monkeypatch.setenv("HOME", str(place.folder))
    await place.ssh_add(str(keyring.user_key_file("ssh-ed25519")))
    hosts = trio_ssh.KnownHosts([keyring.known_hosts])
    async with trio_ssh.connect("127.0.0.1", sshd.port, host_keys=hosts) as client:
        assert (await client.run_process("echo in")).stdout == b"in\n"


async def test_the_second_key_is_the_right_one(place, sshd: SSHD, keyring: Keyring) -> None:
    events: list[trio_ssh.Event] = []
    await place.ssh_add(str(keyring.folder / "user_stranger"))
    await place.ssh_add("-c", str(keyring.user_key_file("ssh-ed25519")))
    async with sshd.connect(credentials=by(place), observer=events.append):
        pass
    outcomes = [event.outcome for event in events if isinstance(event, trio_ssh.AuthAttempted) and event.method == "publickey"]
    assert outcomes == ["refused", "question", "granted"]
    assert len(place.asked()) == 1, "nobody was asked for a signature that the server did not want"


async def test_only_what_is_configured(place, sshd: SSHD, keyring: Keyring) -> None:
    for key_type in ("ssh-ed25519", "ssh-rsa"):
        await place.ssh_add(str(keyring.user_key_file(key_type)))
    async with sshd.connect(credentials=by(place, only=[keyring.user_keys["ssh-rsa"].public_key])):
        pass
    with pytest.raises(trio_ssh.AuthenticationFailed):
        async with sshd.connect(credentials=by(place, only=[keyring.stranger.public_key])):
            pass


async def test_the_user_says_no_and_another_key_serves(place, sshd: SSHD, keyring: Keyring) -> None:
    place.say("no")
    await place.ssh_add("-c", str(keyring.user_key_file("ssh-ed25519")))
    with pytest.raises(trio_ssh.AuthenticationFailed, match="its user said no"):
        async with sshd.connect(credentials=by(place)):
            pass
    await place.ssh_add(str(keyring.user_key_file("ssh-rsa")))
    async with sshd.connect(credentials=by(place)):
        pass


async def test_no_agent_and_a_key_in_a_file(tmp_path, sshd: SSHD, keyring: Keyring) -> None:
    file = trio_ssh.PrivateKeyFile(keyring.user_key_file("ssh-ed25519"))
    async with sshd.connect(credentials=[AgentCredential(str(tmp_path / "nobody")), file]):
        pass


@pytest.mark.parametrize("host", ["right", "wrong"])
async def test_e03_a_key_that_is_restricted_to_a_host(host, place, sshd: SSHD, keyring: Keyring) -> None:
    """The session is bound with what the key exchange really gave; at another host the key is not even listed."""
    keys = keyring.host_keys.values() if host == "right" else [trio_ssh.PrivateKey.generate()]
    target = Hop("localhost", tuple(HostKeySpec(key.public_key.blob) for key in keys))
    async with await open_agent(place.path) as agent:
        await agent.add(keyring.user_keys["ssh-ed25519"], constraints=[RestrictDestination((Destination(Hop(), target),))])
    if host == "right":
        async with sshd.connect(credentials=by(place)):
            pass
    else:
        with pytest.raises(trio_ssh.AuthenticationFailed, match="tried none;"):
            async with sshd.connect(credentials=by(place)):
                pass


# --- certificates and security keys at sshd --------------------------------------------------------------------------------------------


@pytest.fixture
def sshd_for(tmp_path: Path, keyring: Keyring, deadline: None) -> Iterator[SSHD]:
    """An `sshd` that knows our authority and our security keys."""
    folder = tmp_path / "sshd"
    folder.mkdir()
    authority, keys = folder / "authority.pub", folder / "keys"
    authority.write_text(key_of("ssh-ed25519").public_key.to_openssh_line() + "\n")
    keys.write_text("".join(key_of(key_type).public_key.to_openssh_line() + "\n" for key_type in SECURITY_KEY_TYPES))
    principals = folder / "principals"
    principals.write_text("ada\n")
    extra = [f"TrustedUserCAKeys {authority}", f"AuthorizedPrincipalsFile {principals}", f"AuthorizedKeysFile {keys}"]
    with running_sshd(keyring, folder, extra=extra) as running:
        yield running


@pytest.mark.parametrize("key_type", ["ssh-ed25519", "ecdsa-sha2-nistp384", "ssh-rsa"])
@pytest.mark.parametrize("agent_has", ["both", "the key"])
async def test_certificates(agent_has, key_type, place, sshd_for: SSHD) -> None:
    """In the agent, or ours for a key in the agent."""
    pair = certified(key_type)
    async with await open_agent(place.path) as agent:
        await agent.add(pair if agent_has == "both" else pair.key)
    more = {} if agent_has == "both" else {"certificates": [pair.certificate], "only": []}
    async with sshd_for.connect(credentials=by(place, **more)):
        pass
    assert "Accepted certificate ID \"ada's\"" in sshd_for.log.read_text()


@pytest.mark.parametrize("key_type", SECURITY_KEY_TYPES)
async def test_security_keys_through_an_agent_into_sshd(key_type, tmp_path: Path, sshd_for: SSHD) -> None:
    """The agent in software has an authenticator in software: sshd verifies what it signed."""
    agent = SoftwareAgent()
    async with listening(agent, tmp_path) as place:
        async with await open_agent(place.path) as ours:
            await ours.add(agent.plug_in(security_key(key_type)), constraints=[SecurityKeyProvider(), Confirm()])
        async with sshd_for.connect(credentials=by(place)):
            pass
    accepted = f"{'ED25519' if 'ed25519' in key_type else 'ECDSA'}-SK {key_of(key_type).public_key.fingerprint()}"
    assert accepted in sshd_for.log.read_text()


# --- our server ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key_type", KEY_TYPES)
async def test_our_client_into_our_server(key_type, place, serve_ours: StartServer, keyring: Keyring) -> None:
    server = await serve_ours()
    await place.ssh_add(str(keyring.user_key_file(key_type)))
    hosts = trio_ssh.KnownHosts([keyring.known_hosts])
    async with trio_ssh.connect("127.0.0.1", server.port, credentials=by(place), host_keys=hosts) as client:
        assert (await client.run_process("echo", input=b"in")).stdout == b"in"


@pytest.mark.parametrize("key_type", SECURITY_KEY_TYPES)
async def test_security_keys_through_an_agent_into_our_server(key_type, tmp_path: Path, keyring: Keyring, nursery, deadline) -> None:
    agent = SoftwareAgent()
    policy = trio_ssh.AuthorizedKeys.of([key_of(key_type).public_key])
    serve = partial(trio_ssh.serve, services, 0, host="127.0.0.1", host_keys=list(keyring.host_keys.values()), authenticate=policy)
    [listener] = await nursery.start(serve)
    async with listening(agent, tmp_path) as place:
        async with await open_agent(place.path) as ours:
            await ours.add(agent.plug_in(security_key(key_type)), constraints=[SecurityKeyProvider()])
        hosts = trio_ssh.KnownHosts([keyring.known_hosts])
        async with trio_ssh.connect("127.0.0.1", listener.socket.getsockname()[1], credentials=by(place), host_keys=hosts) as client:
            assert (await client.run_process("echo", input=b"in")).stdout == b"in"


# --- OpenSSH's client with our agent's codec -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key_type", KEY_TYPES)
async def test_e03_ssh_through_our_codec(key_type, tmp_path: Path, sshd: SSHD, keyring: Keyring) -> None:
    """`ssh` binds its session before it asks, and what it binds verifies; then it logs in by our signature."""
    agent = SoftwareAgent()
    agent.hold(keyring.user_keys[key_type])
    public = tmp_path / "id.pub"
    public.write_text(keyring.user_keys[key_type].public_key.to_openssh_line() + "\n")
    async with listening(agent, tmp_path) as place:
        options = {"IdentityAgent": place.path, "IdentityFile": public}
        done = await SSH(keyring, sshd.port).run("echo in", options=options)
    assert (done.returncode, done.stdout) == (0, b"in\n"), done.stderr
    assert len(agent.bound) == 1
    assert [type(request) for request in agent.requests] == [m.Extension, m.RequestIdentities, m.SignRequest]


@pytest.mark.parametrize("key_type", SECURITY_KEY_TYPES)
async def test_ssh_with_a_security_key_of_an_agent_into_our_server(key_type, tmp_path: Path, keyring: Keyring, nursery, deadline) -> None:
    agent = SoftwareAgent()
    agent.hold(agent.plug_in(security_key(key_type)))
    public = tmp_path / "id.pub"
    public.write_text(key_of(key_type).public_key.to_openssh_line() + "\n")
    policy = trio_ssh.AuthorizedKeys.of([key_of(key_type).public_key])
    serve = partial(trio_ssh.serve, services, 0, host="127.0.0.1", host_keys=list(keyring.host_keys.values()), authenticate=policy)
    [listener] = await nursery.start(serve)
    async with listening(agent, tmp_path) as place:
        options = {"IdentityAgent": place.path, "IdentityFile": public}
        done = await SSH(keyring, listener.socket.getsockname()[1]).run("exit 3", options=options)
    assert done.returncode == 3, done.stderr


# --- the tools, with Debian's agent ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["SSH_AUTH_SOCK", "IdentityAgent"])
async def test_trio_ssh_into_sshd(how, place, sshd: SSHD, keyring: Keyring) -> None:
    await place.ssh_add(str(keyring.user_key_file("ecdsa-sha2-nistp256")))
    options = {"UserKnownHostsFile": keyring.known_hosts, "StrictHostKeyChecking": "yes", "BatchMode": "yes"}
    environ = place.environ()
    if how == "IdentityAgent":
        options[how] = place.path
        del environ["SSH_AUTH_SOCK"]
    given = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    command = tool("ssh", "-F", "none", "-p", str(sshd.port), *given, "127.0.0.1", "echo in")
    done = await trio.run_process(command, stdin=b"", capture_stdout=True, capture_stderr=True, check=False, env=environ)
    assert (done.returncode, done.stdout) == (0, b"in\n"), done.stderr


async def test_ssh_into_trio_sshd(place, keyring: Keyring) -> None:
    await place.ssh_add(str(keyring.user_key_file("ssh-rsa")))
    words = ["-h", str(keyring.host_key_file("ssh-ed25519")), "-o", f"AuthorizedKeysFile={keyring.authorized_keys}", "-o", "StrictModes=no"]
    command = tool("sshd", "-D", "-p", "0", "-o", "ListenAddress=127.0.0.1", *words)
    with running(command, place.environ()) as server:
        options = {"IdentityAgent": place.path, "IdentityFile": "none", "IdentitiesOnly": "no"}
        done = await SSH(keyring, server.port).run("echo in", options=options)
    assert (done.returncode, done.stdout) == (0, b"in\n"), done.stderr
