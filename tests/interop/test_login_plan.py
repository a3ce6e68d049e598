"""Which keys reach the server, and in which order: trio-ssh and ssh with the same configuration and agent, as sshd's log tells it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from tests.cli.tools import tool
from tests.interop.agents import Place, running_agent
from tests.interop.keyring import Keyring
from tests.interop.openssh import SSHD, running_sshd
from tests.support import require_program
from trio_ssh import PrivateKey

TRIED = re.compile(r"(?:Failed|Accepted) publickey for \S+ from \S+ port \d+ ssh2: (\S+) (\S+)")


@pytest.fixture(scope="module")
def patient_sshd(keyring: Keyring, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SSHD]:
    with running_sshd(keyring, tmp_path_factory.mktemp("patient"), extra=["MaxAuthTries 20"]) as running:
        yield running


@pytest.fixture
def place(tmp_path: Path, deadline: None) -> Iterator[Place]:
    with running_agent(tmp_path) as running:
        yield running


@attrs.frozen
class Plan:
    """Keys that the server does not know, the one that it does, and a configuration."""

    place: Place
    sshd: SSHD

    def make(self, name: str) -> Path:
        path = self.place.folder / name
        key = PrivateKey.generate()
        key.write_file(path)
        path.with_name(f"{name}.pub").write_text(key.public_key.to_openssh_line() + "\n")
        return path

    def certify(self, name: str) -> None:
        authority = self.place.folder / "authority"
        if not authority.exists():
            PrivateKey.generate().write_file(authority)
        public = self.place.folder / f"{name}.pub"
        command = [require_program("ssh-keygen"), "-q", "-s", str(authority), "-I", name, "-n", "x", str(public)]
        subprocess.run(command, check=True, timeout=60)

    def tried_by(self, program: list[str], config: Path) -> list[tuple[str, str]]:
        """The keys of one login, as sshd names them."""
        before = len(self.sshd.log.read_text())
        environ = {"PATH": "/usr/bin:/bin", "HOME": str(self.place.folder), "SSH_AUTH_SOCK": self.place.path}
        result = subprocess.run(
            [*program, "-F", str(config), "-p", str(self.sshd.port), "127.0.0.1", "echo in"],
            capture_output=True,
            env=environ,
            timeout=60,
            check=False,
        )
        assert result.stdout == b"in\n", result.stderr
        return TRIED.findall(self.sshd.log.read_text()[before:])


@pytest.fixture
def plan(place: Place, patient_sshd: SSHD) -> Plan:
    return Plan(place, patient_sshd)


VARIANTS = ["", "IdentitiesOnly yes", "IdentityAgent none", "CertificateFile @/certified-cert.pub", "CertificateFile @/both-cert.pub"]


@pytest.mark.parametrize("more", VARIANTS)
async def test_the_same_keys_in_the_same_order(more: str, plan: Plan, keyring: Keyring) -> None:
    agent_only, both = plan.make("agent_only"), plan.make("both")
    plan.make("certified")
    await plan.place.ssh_add(str(agent_only))
    await plan.place.ssh_add(str(both))
    plan.certify("certified")
    plan.certify("both")  # not before: ssh-add would have taken it along, and ssh offers a certificate twice then
    good = keyring.user_key_file("ssh-ed25519")
    names = ["certified", "nowhere", "both"]  # with more, our client would stop after six refusals
    lines = [
        more.replace("@", str(plan.place.folder)),
        *(f"IdentityFile {plan.place.folder}/{name}" for name in names),
        f"IdentityFile {good}",
        f"UserKnownHostsFile {keyring.known_hosts}",
        "StrictHostKeyChecking yes",
        "UpdateHostKeys no",
        "BatchMode yes",
    ]
    config = plan.place.folder / "config"
    config.write_text("".join(f"{line}\n" for line in lines))
    config.chmod(0o600)
    theirs = plan.tried_by([require_program("ssh")], config)
    ours = plan.tried_by(tool("ssh"), config)
    assert ours == theirs
    assert len(theirs) >= 3
