"""``trio-ssh -G`` against ``ssh -G``, on ten configurations as people have them: the same lines in the same order.

Compared are the keywords that trio-ssh honours. Where a file does not set them, lists of algorithms and the usual identity files are left
out: these defaults differ, because each program names what it has itself.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cli.tools import tool
from tests.support import require_program
from trio_ssh.cli.destination import Destination, find
from trio_ssh.cli.ssh_arguments import parse_arguments
from trio_ssh.config import ssh_config
from trio_ssh.config.ssh_dump import shown_names

CONFIGS = Path(__file__).parent / "configs"
HOSTS = {
    "bastion": ["bastion", "web1.corp.example", "bastion.corp.example", "elsewhere"],
    "github_accounts": ["github.com", "github-work", "gist.github.com", "gist.x"],
    "wildcards": ["web.prod.example", "db1.prod.example", "db10.prod.example", "192.168.1.2", "10.0.7.7", "UPPER", "upper", "a.example"],
    "match": ["short", "x.lab.example", "plain", "a.example", "b.example", "root@short", "ada@x.lab.example", "ada@else"],
    "includes": ["inner.example", "inner2.example", "outer.example", "inner"],
    "canonical": ["127.0.0.1", "127.1", "::1", "0::1", "full.name.example"],
    "legacy": ["switch1", "10.1.2.3", "newer", "other"],
    "ci_runner": ["build.example", "deploy@127.0.0.1"],
    "fleet": ["i-0abc", "mi-7", "web-01", "web-123", "web-[0-9]x", "db.web.example", "WEB-01"],
    "tokens": ["t1", "txt", "%C"],
}
CASES = [(name, words.split()) for name, hosts in HOSTS.items() for words in hosts]
DEFAULTS_DIFFER = {
    keyword.name.lower(): keyword
    for keyword in (
        ssh_config.CIPHERS,
        ssh_config.MACS,
        ssh_config.KEX_ALGORITHMS,
        ssh_config.HOST_KEY_ALGORITHMS,
        ssh_config.CA_SIGNATURE_ALGORITHMS,
        ssh_config.PUBKEY_ACCEPTED_ALGORITHMS,
        ssh_config.IDENTITY_FILE,
    )
}


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> None:
    """ssh takes the home from the system's table of accounts, trio-ssh from HOME: the same one for both. Nothing in it is read."""
    monkeypatch.setenv("HOME", pwd.getpwuid(os.getuid()).pw_dir)
    monkeypatch.setenv("AGENT_NAME", "agent%h")
    monkeypatch.setenv("RUNNER_TEMP", "/tmp/runner")
    monkeypatch.setenv("SHELL", "/bin/sh")


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    """The folder of the configurations, each with its own place in it. None may be one that others can write to."""
    for source in CONFIGS.rglob("*.conf"):
        copy = tmp_path / source.relative_to(CONFIGS)
        copy.parent.mkdir(mode=0o700, exist_ok=True)
        copy.write_text(source.read_text().replace("@HERE@", str(tmp_path)))
        copy.chmod(0o600)
    return tmp_path


def of_openssh(words: Sequence[str]) -> list[str]:
    result = subprocess.run([require_program("ssh"), *words], capture_output=True, text=True, check=True, timeout=60)
    return result.stdout.splitlines()


async def of_ours(words: Sequence[str]) -> tuple[list[str], Destination]:
    destination = await find(parse_arguments(words))
    return destination.settings_text().splitlines(), destination


def comparable(lines: Sequence[str], destination: Destination) -> list[str]:
    known = set(shown_names())
    kept = []
    for line in lines:
        name = line.partition(" ")[0]
        default = DEFAULTS_DIFFER.get(name)
        if name in known and (default is None or default in destination.settings):
            kept.append(line)
    return kept


@pytest.mark.parametrize(("name", "words"), CASES, ids=[f"{name}-{' '.join(words)}" for name, words in CASES])
async def test_the_same_settings(name: str, words: list[str], environ: None, configuration: Path) -> None:
    command = ["-F", str(configuration / f"{name}.conf"), "-G", *words]
    ours, destination = await of_ours(command)
    assert comparable(ours, destination) == comparable(of_openssh(command), destination)


@pytest.mark.parametrize(
    "flags",
    [
        "-p 2 -l x -i /k -4 -C -v -t",
        "-6 -T -N -q -c aes128-ctr -m hmac-sha2-256 -b 127.0.0.1 -B lo -e ^X",
        "-tt -n -o SendEnv=A -o SetEnv=B=1 -oPort=7 -p 8",
        "-a -k -x -vvv -o ForwardAgent=no -o StrictHostKeyChecking=off -o UserKnownHostsFile=/x",
    ],
)
async def test_the_same_flags(flags: str, environ: None, tmp_path: Path) -> None:
    command = ["-F", "none", *flags.replace("/k", "/dev/null").split(), "-G", "ada@host"]
    ours, destination = await of_ours(command)
    assert comparable(ours, destination) == comparable(of_openssh(command), destination)


async def test_what_is_set_without_a_file(environ: None) -> None:
    ours, destination = await of_ours(["-F", "none", "-G", "host"])
    theirs = of_openssh(["-F", "none", "-G", "host"])
    assert comparable(ours, destination) == comparable(theirs, destination)
    # Every keyword that ssh shows is one of ours, or known to be none of ours.
    assert [line.partition(" ")[0] for line in ours if line.partition(" ")[0] not in DEFAULTS_DIFFER] == [
        name for line in theirs if (name := line.partition(" ")[0]) in set(shown_names()) - set(DEFAULTS_DIFFER)
    ]


def test_the_program_prints_them(environ: None, configuration: Path) -> None:
    command = tool("ssh", "-F", str(configuration / "tokens.conf"), "-G", "t1")
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "remotecommand echo " in result.stdout
    assert result.stderr == ""
