"""``trio-sshd -T`` says what ``sshd -T`` says of the same file, for every keyword that both have."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

import attrs
import pytest

from tests.cli.tools import tool
from tests.interop.keyring import Keyring
from tests.interop.openssh import PRIVILEGE_SEPARATION_FOLDER
from tests.interop.sshd_configs import CONFIGS
from tests.support import require_program
from trio_ssh.config import SSHDConfig, sshd_config
from trio_ssh.config.sshd_dump import dump
from trio_ssh.config.sshd_match import Subject

# Where we have another default, or OpenSSH 9.2 has no such keyword: compared only where the file sets it.
OWN_DEFAULTS = {
    sshd_config.PAM_SERVICE_NAME,
    sshd_config.CIPHERS,
    sshd_config.MACS,
    sshd_config.KEX_ALGORITHMS,
    sshd_config.HOST_KEY_ALGORITHMS,
    sshd_config.PUBKEY_ACCEPTED_ALGORITHMS,
    sshd_config.CA_SIGNATURE_ALGORITHMS,
    sshd_config.PER_SOURCE_MAX_STARTUPS,
    sshd_config.PER_SOURCE_NET_BLOCK_SIZE,
    sshd_config.PID_FILE,
    sshd_config.REQUIRED_RSA_SIZE,
}
SPECS = {
    "lport=22": Subject(local_port=22),  # sshd wants to know the port where a Match line names one
    "user=root,lport=22": Subject(user="root", groups=("root",), local_port=22),
    "user=daemon,host=a.example,addr=10.1.2.3,lport=22": Subject(
        user="daemon", groups=("daemon",), host="a.example", address="10.1.2.3", local_port=22
    ),
    "user=daemon,host=b,addr=10.9.2.3,laddr=127.0.0.1,lport=443": Subject(
        user="daemon", groups=("daemon",), host="b", address="10.9.2.3", local_address="127.0.0.1", local_port=443
    ),
    "user=root,addr=192.168.7.7,lport=443": Subject(user="root", groups=("root",), address="192.168.7.7", local_port=443),
}


def run(command: list[str], cwd: Path) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@attrs.frozen
class Dumped:
    """A configuration file, and what OpenSSH's server makes of it."""

    path: Path

    @classmethod
    def of(cls, name: str, keyring: Keyring, folder: Path) -> Dumped:
        path = folder / "sshd_config"
        path.write_text(f"HostKey {keyring.host_key_file('ssh-ed25519')}\n{CONFIGS[name]}")
        PRIVILEGE_SEPARATION_FOLDER.mkdir(exist_ok=True)
        return cls(path)

    def theirs(self, spec: str) -> list[str]:
        return self.compared(run([require_program("sshd"), "-T", "-f", str(self.path), "-C", spec], self.path.parent))

    def compared(self, lines: Iterable[str]) -> list[str]:
        settings = SSHDConfig.from_file(self.path).settings
        keywords = [one for one in sshd_config.TABLE.values() if one not in OWN_DEFAULTS or one in settings]
        names = {keyword.name.lower() for keyword in keywords}
        return [line for line in lines if line.partition(" ")[0] in names]


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("name", CONFIGS)
def test_every_supported_keyword(name: str, spec: str, keyring: Keyring, tmp_path: Path) -> None:
    dumped = Dumped.of(name, keyring, tmp_path)
    ours = dump(SSHDConfig.from_file(dumped.path).for_subject(SPECS[spec]))
    assert dumped.compared(ours) == dumped.theirs(spec)


@pytest.mark.parametrize("spec", ["lport=22", "user=daemon,addr=10.1.2.3,lport=443"])
def test_the_tool(spec: str, keyring: Keyring, tmp_path: Path) -> None:
    dumped = Dumped.of("bastion", keyring, tmp_path)
    for flag in ("-G", "-T"):
        assert dumped.compared(run(tool("sshd", flag, "-f", str(dumped.path), "-C", spec), tmp_path)) == dumped.theirs(spec)


def test_every_keyword_is_printed() -> None:
    """But those that print nothing where nobody has set them, as with sshd."""
    printed = {line.partition(" ")[0] for line in dump(SSHDConfig().settings)}
    silent = "acceptenv allowgroups allowusers denygroups denyusers hostcertificate setenv subsystem persourcepenalties"
    missing = {keyword.name.lower() for keyword in sshd_config.TABLE.values()} - printed
    assert missing == {*silent.split(), "persourcepenaltyexemptlist"}
    text = "PerSourcePenalties authfail:9s crash:90s\nPerSourcePenaltyExemptList 192.0.2.0/24\nAcceptEnv A B"
    lines = list(dump(SSHDConfig.from_text(text).settings))
    assert "persourcepenaltyexemptlist 192.0.2.0/24" in lines
    assert [line for line in lines if line.startswith("acceptenv")] == ["acceptenv A", "acceptenv B"]
