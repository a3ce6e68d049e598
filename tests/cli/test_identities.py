"""Which keys trio-ssh offers, in which order: files, certificates, an agent (OpenSSH's), IdentitiesOnly."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from tests.support import require_program
from trio_ssh import Certificate, KeyFileError, PrivateKey, SessionBinding
from trio_ssh.agent.connect import open_agent
from trio_ssh.cli.destination import find
from trio_ssh.cli.ssh_arguments import parse_arguments

BINDING = SessionBinding(b"s" * 32, b"h", b"sig", "ada")


@attrs.define
class Person:
    """Answers passphrases and yes-or-no questions."""

    passphrase_: str | None = None
    agrees: bool = True
    asked: list[str] = attrs.field(factory=list)

    async def passphrase(self, path: str) -> str | None:
        self.asked.append(os.path.basename(path))
        return self.passphrase_

    async def confirm(self, question: str) -> bool:
        self.asked.append(question)
        return self.agrees


@attrs.frozen
class Keys:
    folder: Path

    def make(self, name: str, kind: str = "ed25519", passphrase: str | None = None) -> PrivateKey:
        key = PrivateKey.generate(kind)
        key.write_file(self.folder / name, passphrase)
        (self.folder / f"{name}.pub").write_text(key.public_key.to_openssh_line() + "\n")
        return key

    def certify(self, name: str, *, into: str | None = None) -> Certificate:
        """With OpenSSH's own program; `into` is where the certificate is put."""
        if not (self.folder / "ca").exists():
            self.make("ca")
        words = ["-q", "-s", str(self.folder / "ca"), "-I", "id", "-n", "ada", str(self.folder / f"{name}.pub")]
        subprocess.run([require_program("ssh-keygen"), *words], check=True, timeout=60)
        made = self.folder / f"{name}-cert.pub"
        if into is not None:
            made = made.rename(self.folder / into)
        return Certificate.from_openssh_line(made.read_text())


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keys:
    (tmp_path / ".ssh").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return Keys(tmp_path)


@pytest.fixture
def agent(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    path = str(keys.folder / "agent")
    process = subprocess.Popen([require_program("ssh-agent"), "-D", "-a", path], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout as out:
        out.readline()  # it listens now
        monkeypatch.setenv("SSH_AUTH_SOCK", path)
        yield path
        process.terminate()
        process.wait(30)


async def offered(keys: Keys, *options: str, person: Person | None = None) -> list[bytes]:
    person = person or Person()
    words = [word.replace("@", str(keys.folder)) for option in options for word in ("-o", option)]
    destination = await find(parse_arguments(["-F", "none", *words, "host"]))
    identities = destination.identities(person.passphrase, person.confirm)
    return [bytes(signer.key_blob) for signer in await identities.offers(BINDING)]


def blobs(*keys: PrivateKey | Certificate) -> list[bytes]:
    return [key.blob if isinstance(key, Certificate) else key.public_key.blob for key in keys]


async def test_files_in_their_order_each_once(keys: Keys):
    one, two = keys.make("one"), keys.make("two", "ecdsa")
    assert await offered(keys, "IdentityFile=@/two", "IdentityFile=@/one", "IdentityFile=@/two") == blobs(two, one)
    assert await offered(keys, "IdentityFile=none", "IdentityFile=@/one") == blobs(one)


async def test_the_usual_files(keys: Keys):
    made = {name: keys.make(f".ssh/{name}", kind) for name, kind in [("id_ecdsa", "ecdsa"), ("id_ed25519", "ed25519")]}
    assert await offered(keys) == blobs(made["id_ed25519"], made["id_ecdsa"])


async def test_a_file_of_the_command_line_must_be_usable_and_others_need_not(keys: Keys):
    with pytest.raises(KeyFileError, match="nowhere: cannot be read"):
        await offered(keys, "IdentityFile=@/nowhere")
    one = keys.make("one")
    config = keys.folder / "config"
    config.write_text(f"IdentityFile {keys.folder}/nowhere\nIdentityFile {keys.folder}/one\n")
    config.chmod(0o600)
    destination = await find(parse_arguments(["-F", str(config), "host"]))
    identities = destination.identities(None, Person().confirm)
    assert [signer.key_blob for signer in await identities.offers(BINDING)] == blobs(one)


async def test_a_locked_key_is_offered_without_asking(keys: Keys):
    locked = keys.make("locked", passphrase="open")
    person = Person("open")
    assert await offered(keys, "IdentityFile=@/locked", person=person) == blobs(locked)
    assert person.asked == []


async def test_named_certificates_come_first_and_others_behind_their_keys(keys: Keys):
    one, two = keys.make("one"), keys.make("two")
    certificate = keys.certify("two")
    files = ("IdentityFile=@/one", "IdentityFile=@/two")
    assert await offered(keys, *files) == blobs(one, two, certificate)
    other = keys.certify("one", into="elsewhere.pub")  # where one is named, those beside the keys are not looked for
    assert await offered(keys, *files, "CertificateFile=@/elsewhere.pub") == blobs(other, one, two)
    assert await offered(keys, *files, "CertificateFile=@/nowhere") == blobs(one, two)


async def test_the_agent_comes_before_files_and_named_keys_come_first(keys: Keys, agent: str):
    in_agent, both, in_file = keys.make("in_agent"), keys.make("both"), keys.make("in_file")
    async with await open_agent() as client:
        await client.add(in_agent)
        await client.add(both)
    files = ("IdentityFile=@/in_file", "IdentityFile=@/both")
    found = await offered(keys, *files)
    assert found == blobs(both, in_agent, in_file)
    assert await offered(keys, *files, "IdentitiesOnly=yes") == blobs(both, in_file)
    assert await offered(keys, *files, "IdentityAgent=none") == blobs(in_file, both)
    assert await offered(keys, *files, "IdentityAgent=@/no_agent") == blobs(in_file, both)


async def test_a_public_key_file_names_a_key_of_the_agent(keys: Keys, agent: str):
    one, two = keys.make("one"), keys.make("two")
    for name in ("one", "two"):
        (keys.folder / name).unlink()
    async with await open_agent() as client:
        await client.add(one)
        await client.add(two)
    assert await offered(keys, "IdentitiesOnly=yes", "IdentityFile=@/two.pub") == blobs(two)
    assert await offered(keys, "IdentitiesOnly=yes", "IdentityFile=@/two") == blobs(two)


async def test_a_certificate_for_a_key_of_the_agent(keys: Keys, agent: str):
    one = keys.make("one")
    certificate = keys.certify("one")
    async with await open_agent() as client:
        await client.add(one)
    (keys.folder / "one").unlink()
    found = await offered(keys, "IdentitiesOnly=yes", "IdentityFile=@/one")
    assert found == blobs(one, certificate)


async def test_short_rsa_keys_are_left_out(keys: Keys):
    short, one = keys.make("short", "rsa"), keys.make("one")
    files = ("IdentityFile=@/short", "IdentityFile=@/one")
    assert await offered(keys, *files) == blobs(short, one)
    assert await offered(keys, *files, "RequiredRSASize=4096") == blobs(one)


@pytest.mark.parametrize(
    ("wanted", "agrees", "is_added"),
    [("yes", True, True), ("1h", True, True), ("ask", True, True), ("ask", False, False), ("no", True, False)],
)
async def test_a_key_goes_to_the_agent_when_it_has_signed(keys: Keys, agent: str, wanted: str, agrees: bool, is_added: bool):
    keys.make("locked", passphrase="open")
    person = Person("open", agrees)
    words = ["-F", "none", "-i", str(keys.folder / "locked"), "-o", f"AddKeysToAgent={wanted}", "host"]
    identities = (await find(parse_arguments(words))).identities(person.passphrase, person.confirm)
    [signer] = await identities.offers(BINDING)
    assert signer.ask_first
    assert await signer.sign(signer.algorithms[0], b"data")
    async with await open_agent() as client:
        assert [identity.key_blob for identity in await client.list_identities()] == ([signer.key_blob] if is_added else [])
    assert person.asked[0] == "locked"
