"""How two sides come to trust a server's key, with OpenSSH on the other one: host certificates, and UpdateHostKeys."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
import trio

import trio_ssh
from tests.cli.tools import running, tool
from tests.interop.authority import CERTIFIED, HOST, Authority, certified, line, serve
from tests.interop.keyring import KEY_TYPES, Keyring
from tests.interop.openssh import SSH, SSHD, running_sshd
from tests.interop.services import StartServer
from trio_ssh import KnownHosts, PrivateKey


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("authority"))


# --- our client at sshd ------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lasting_certified_sshd(keyring: Keyring, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SSHD]:
    """Each of its keys has a certificate."""
    extra = []
    for key_type, key in keyring.host_keys.items():
        path = authority.certify(key, f"sshd_{key_type}")
        extra.append(f"HostCertificate {path}-cert.pub")
    with running_sshd(keyring, tmp_path_factory.mktemp("sshd"), extra=extra) as running:
        yield running


@pytest.fixture
def certified_sshd(lasting_certified_sshd: SSHD, deadline: None) -> SSHD:
    return lasting_certified_sshd


def only(algorithm: str) -> trio_ssh.Algorithms:
    return attrs.evolve(trio_ssh.Algorithms(), host_keys=(algorithm,))


@pytest.mark.parametrize("algorithm", CERTIFIED)
async def test_our_client_believes_a_certificate(algorithm: str, certified_sshd: SSHD, authority: Authority, tmp_path: Path):
    """No key is saved; the authority is. A rekey checks it again."""
    file = tmp_path / "known_hosts"
    file.write_text(authority.line())
    async with certified_sshd.connect(host_keys=KnownHosts(file), algorithms=only(algorithm)) as client:
        assert client.negotiated.host_key == algorithm
        assert client.host_certificate is not None
        assert client.host_certificate.authority == authority.key.public_key
        await client.rekey()
        assert (await client.run_process("echo in")).stdout == b"in\n"
    assert file.read_text() == authority.line()


@pytest.mark.parametrize("hosts", [HOST, "elsewhere"], ids=["known authority", "unknown authority"])
async def test_trio_ssh_believes_a_certificate(hosts: str, certified_sshd: SSHD, authority: Authority, tmp_path: Path):
    file = tmp_path / "known_hosts"
    file.write_text(authority.line(hosts))
    options = [f"UserKnownHostsFile={file}", "StrictHostKeyChecking=yes", "BatchMode=yes", "IdentitiesOnly=yes"]
    words = ["-F", "none", "-p", str(certified_sshd.port), "-i", str(certified_sshd.keyring.user_key_file("ssh-ed25519"))]
    command = tool("ssh", *words, *(word for option in options for word in ("-o", option)), HOST, "echo in")
    done = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)
    assert (done.returncode, done.stdout) == ((0, b"in\n") if hosts == HOST else (255, b"")), done.stderr
    assert (b"is not known" in done.stderr) is (hosts != HOST)


@pytest.mark.parametrize("hosts", [HOST, "elsewhere"], ids=["known authority", "unknown authority"])
async def test_ssh_believes_the_certificate_of_trio_sshd(
    hosts: str, keyring: Keyring, authority: Authority, deadline: None, tmp_path: Path
):
    path = authority.certify(PrivateKey.generate(), "trio_sshd")
    words = ["-D", "-p", "0", "-f", "none", "-h", str(path)]
    options = [
        "ListenAddress=127.0.0.1",
        f"AuthorizedKeysFile={keyring.authorized_keys}",
        "StrictModes=no",
        f"HostCertificate={path}-cert.pub",
    ]
    command = tool("sshd", *words, *(word for option in options for word in ("-o", option)))
    file = tmp_path / "known_hosts"
    file.write_text(authority.line(hosts))
    with running(command, {**os.environ, "HOME": str(tmp_path)}) as server:
        done = await SSH(keyring, server.port).run("echo in", options={"UserKnownHostsFile": file})
    assert (done.returncode, done.stdout) == ((0, b"in\n") if hosts == HOST else (255, b"")), done.stderr


async def test_certificates_are_what_is_asked_for_where_an_authority_is_known(certified_sshd: SSHD, authority: Authority, tmp_path: Path):
    file = tmp_path / "known_hosts"
    file.write_text(authority.line() + line(certified_sshd.port, certified_sshd.keyring.host_keys["ssh-rsa"]))
    async with certified_sshd.connect(host_keys=KnownHosts(file)) as client:
        assert client.host_certificate is not None
    async with certified_sshd.connect() as client:  # no authority in this one
        assert client.host_certificate is None


async def test_b14_a_revoked_authority_at_sshd(certified_sshd: SSHD, authority: Authority, tmp_path: Path):
    file = tmp_path / "known_hosts"
    file.write_text(authority.line() + line(0, authority.key, "*", "@revoked ") + line(0, PrivateKey.generate(), "*", "@cert-authority "))
    with pytest.raises(trio_ssh.HostKeyRevoked, match="line 2"):
        async with certified_sshd.connect(host_keys=KnownHosts(file)):
            pytest.fail("connected")


BAD = {
    "expired": ({"validity": "20200101:20200102"}, "expired"),
    "another's": ({"principals": "elsewhere.test"}, "not for '127.0.0.1'"),
    "a user's": ({"host": False}, "user"),
}


@pytest.mark.parametrize(("options", "why"), BAD.values(), ids=list(BAD))
async def test_b14_a_bad_certificate_at_our_client(
    options, why: str, keyring: Keyring, authority: Authority, serve_ours: StartServer, tmp_path: Path, nursery: trio.Nursery
):
    """Shown by our own server: sshd does not start with one of a user. ssh refuses it as well."""
    port = await serve(nursery, keyring, [certified(authority, "bad", **options)])
    file = tmp_path / "known_hosts"
    file.write_text(authority.line("*"))
    with pytest.raises(trio_ssh.HostKeyError, match="not accepted") as caught:
        async with trio_ssh.connect(HOST, port, host_keys=KnownHosts(file), credentials=[]):
            pytest.fail("connected")
    assert why in str(caught.value)
    done = await SSH(keyring, port).run("exit 0", options={"UserKnownHostsFile": file})
    assert done.returncode == 255
    assert b"Host key verification failed" in done.stderr


# --- ssh at our server -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", CERTIFIED)
async def test_ssh_believes_our_certificate(
    algorithm: str, keyring: Keyring, authority: Authority, deadline: None, nursery: trio.Nursery, tmp_path: Path
):
    plain = algorithm.removesuffix("-cert-v01@openssh.com")
    kind = {"ssh-ed25519": ("ed25519", None), "r": ("rsa", 2048)}.get("r" if plain.startswith("rsa") else plain)
    port = await serve(nursery, keyring, [certified(authority, "ours", kind or ("ecdsa", int(plain[-3:])))])
    file = tmp_path / "known_hosts"
    file.write_text(authority.line("*"))
    options = {"UserKnownHostsFile": file, "HostKeyAlgorithms": algorithm, "LogLevel": "DEBUG1", "RekeyLimit": "1K"}
    done = await SSH(keyring, port).run("echo", input=b"x" * 20_000, options=options)
    assert (done.returncode, done.stdout) == (0, b"x" * 20_000), done.stderr
    assert b"host certificate" in done.stderr
    assert f"kex: host key algorithm: {algorithm}".encode() in done.stderr


async def test_ssh_without_the_authority_sees_the_plain_key(
    keyring: Keyring, authority: Authority, deadline: None, nursery: trio.Nursery, tmp_path: Path
):
    ours = certified(authority, "plain")
    port = await serve(nursery, keyring, [ours])
    file = tmp_path / "known_hosts"
    file.write_text(line(port, ours.key))
    for algorithms in ("ssh-ed25519", ",".join(CERTIFIED)):
        done = await SSH(keyring, port).run("exit 0", options={"UserKnownHostsFile": file, "HostKeyAlgorithms": algorithms})
        assert (done.returncode, done.stdout) == (0, b"to stdout\n"), done.stderr


# --- key types ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key_type", KEY_TYPES)
async def test_pain_21_the_type_that_is_saved_is_asked_for(key_type: str, sshd: SSHD, keyring: Keyring, tmp_path: Path):
    """sshd has keys of five types, and the only one that we know is no surprise."""
    file = tmp_path / "known_hosts"
    file.write_text(line(sshd.port, keyring.host_keys[key_type]))
    before = file.read_text()
    for policy in (KnownHosts(file), trio_ssh.AcceptNew(KnownHosts(file))):
        async with sshd.connect(host_keys=policy) as client:
            assert client.host_key == keyring.host_keys[key_type].public_key
    assert file.read_text() == before


# --- UpdateHostKeys ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hashed", [False, True])
@pytest.mark.parametrize("algorithm", ["ssh-ed25519", "rsa-sha2-512", "rsa-sha2-256"])
async def test_ssh_learns_our_other_keys(algorithm: str, hashed: bool, keyring: Keyring, serve_ours: StartServer, tmp_path: Path):
    """It asks for proof of those it does not know, adds them, and removes the one that we have not."""
    server = await serve_ours()
    used = keyring.host_keys["ssh-rsa" if algorithm.startswith("rsa") else algorithm]
    gone = PrivateKey.generate()
    file = tmp_path / "known_hosts"
    file.write_text(line(server.port, used) + line(server.port, gone))
    options = {
        "UserKnownHostsFile": file,
        "HostKeyAlgorithms": algorithm + ",ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,ssh-ed25519,rsa-sha2-512",
        "UpdateHostKeys": "yes",
        "HashKnownHosts": "yes" if hashed else "no",
    }
    done = await SSH(keyring, server.port).run("exit 0", options=options)
    assert done.returncode == 0, done.stderr
    known = KnownHosts(file)
    for key in keyring.host_keys.values():
        await known.check(HOST, server.port, key.public_key)
    with pytest.raises(trio_ssh.HostKeyChanged):
        await known.check(HOST, server.port, gone.public_key)
    assert hashed is ("|1|" in file.read_text())


@pytest.mark.parametrize("hashed", [False, True])
@pytest.mark.parametrize("algorithm", ["ssh-ed25519", "rsa-sha2-512", "rsa-sha2-256"])
async def test_our_client_learns_the_other_keys_of_sshd(algorithm: str, hashed: bool, sshd: SSHD, keyring: Keyring, tmp_path: Path):
    used = keyring.host_keys["ssh-rsa" if algorithm.startswith("rsa") else algorithm]
    gone = PrivateKey.generate()
    file = tmp_path / "known_hosts"
    before = "# mine\n" + line(sshd.port, used) + line(sshd.port, gone) + line(0, gone, "other")
    file.write_text(before)
    asked = trio.Event()

    async def accept(changes: trio_ssh.HostKeyChanges) -> bool:
        assert changes.removed == (gone.public_key,)
        assert set(changes.added) == {key.public_key for key in keyring.host_keys.values()} - {used.public_key}
        asked.set()
        return True

    host_keys = trio_ssh.Algorithms().host_keys
    algorithms = attrs.evolve(trio_ssh.Algorithms(), host_keys=(algorithm, *(name for name in host_keys if name != algorithm)))
    async with sshd.connect(host_keys=KnownHosts(file, hashed, accept), algorithms=algorithms) as client:
        assert client.negotiated.host_key == algorithm
        await asked.wait()
        assert (await client.run_process("echo in")).stdout == b"in\n"
    known = KnownHosts(file)
    for key in keyring.host_keys.values():
        await known.check(HOST, sshd.port, key.public_key)
    assert file.read_text().startswith("# mine\n" + line(sshd.port, used) + line(0, gone, "other"))
    assert len(file.read_text().splitlines()) == 3 + len(KEY_TYPES) - 1
    assert hashed is ("|1|" in file.read_text())
