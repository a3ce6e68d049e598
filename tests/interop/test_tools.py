"""The tools as processes: OpenSSH's `ssh` (and `sftp`, `scp`) into trio-sshd, trio-ssh into OpenSSH's `sshd`."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from tests.cli.tools import SECONDS, AtTerminal, RunningServer, running, tool
from tests.interop.keyring import Keyring
from tests.interop.openssh import SSH, SSHD
from tests.interop.services import KIB, MIB, pattern, sha256
from tests.support import require_program

SFTP_SERVER = Path("/usr/lib/openssh/sftp-server")


def run(command: list[str], environ: dict[str, str], data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    # Without a terminal of its own nothing can be asked of whoever runs the tests.
    return subprocess.run(command, input=data, capture_output=True, env=environ, timeout=SECONDS, start_new_session=True, check=False)


# --- both pairs of a client and a server -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trio_sshd(keyring: Keyring) -> Iterator[RunningServer]:
    yield from start_trio_sshd(keyring)


@pytest.fixture(scope="module")
def impatient_trio_sshd(keyring: Keyring) -> Iterator[RunningServer]:
    yield from start_trio_sshd(keyring, "-o", "RekeyLimit=1M")


def trio_sshd_words(keyring: Keyring) -> list[str]:
    keys = [word for key_type in keyring.host_keys for word in ("-h", str(keyring.host_key_file(key_type)))]
    return [*keys, "-o", f"AuthorizedKeysFile={keyring.authorized_keys}", "-o", "StrictModes=no"]


def start_trio_sshd(keyring: Keyring, *words: str) -> Iterator[RunningServer]:
    options = ["-o", "ListenAddress=127.0.0.1", "-o", "PerSourcePenalties=no", "-o", f"Subsystem=sftp {SFTP_SERVER}", *words]
    with running(tool("sshd", "-D", "-p", "0", *trio_sshd_words(keyring), *options), at_home(keyring)) as server:
        yield server


def at_home(keyring: Keyring) -> dict[str, str]:
    """Without start files or keys of whoever runs the tests."""
    return {**SSH(keyring, 0).environ(), "TERM": "xterm"}


@attrs.frozen
class Pair:
    """A client's command line to a server: ``pair.command("-t", "host command")``."""

    keyring: Keyring
    port: int
    ours: bool
    """The client is trio-ssh."""

    def command(self, *words: str, flags: tuple[str, ...] = (), rekey_limit: str | None = None) -> list[str]:
        limit = {} if rekey_limit is None else {"RekeyLimit": rekey_limit}
        if not self.ours:
            return SSH(self.keyring, self.port).command(*words, flags=flags, options={**limit, "LogLevel": "INFO"})
        options = {"UserKnownHostsFile": self.keyring.known_hosts, "StrictHostKeyChecking": "yes", "BatchMode": "yes", **limit}
        given = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        identity = ["-i", str(self.keyring.user_key_file("ssh-ed25519"))]
        return tool("ssh", "-F", "none", "-p", str(self.port), *identity, *given, *flags, "127.0.0.1", *words)

    def run(
        self, *words: str, data: bytes = b"", flags: tuple[str, ...] = (), rekey_limit: str | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        return run(self.command(*words, flags=flags, rekey_limit=rekey_limit), at_home(self.keyring), data)


@pytest.fixture(params=["ssh-to-trio-sshd", "trio-ssh-to-sshd"])
def pair(request: pytest.FixtureRequest, keyring: Keyring, lasting_sshd: SSHD, trio_sshd: RunningServer) -> Pair:
    ours = request.param == "trio-ssh-to-sshd"
    return Pair(keyring, lasting_sshd.port if ours else trio_sshd.port, ours)


def test_exit_status_and_files(pair: Pair):
    done = pair.run("cat; echo to stderr >&2; exit 7", data=b"through\n")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"through\n", b"to stderr\n")


def test_ended_by_a_signal(pair: Pair):
    done = pair.run("kill -TERM $$")
    assert (done.returncode, done.stdout) == (255, b"")
    if pair.ours:
        assert b"TERM" in done.stderr  # `ssh` says nothing


def test_a_shell_without_a_terminal(pair: Pair):
    done = pair.run(data=b"echo $0; tty; exit 5\n", flags=("-T",))
    assert (done.returncode, done.stdout.splitlines()[-1]) == (5, b"not a tty")


def test_a_wrong_key(pair: Pair):
    identity = str(pair.keyring.user_key_file("ssh-ed25519"))
    stranger = str(pair.keyring.user_key_file("stranger"))
    command = [word.replace(identity, stranger) for word in pair.command("echo in")]
    done = run(command, at_home(pair.keyring))
    assert (done.returncode, done.stdout) == (255, b"")
    assert b"publickey" in done.stderr


@pytest.mark.parametrize(("rekey_limit", "size"), [("1M", 16 * MIB), ("16", MIB)])
def test_bulk_under_rekeying(rekey_limit: str, size: int, pair: Pair):
    """Up as a hash, then both ways at once."""
    data = pattern(size)
    up = pair.run("sha256sum", data=data, rekey_limit=rekey_limit)
    assert (up.returncode, up.stdout.split()[0]) == (0, sha256(data))
    both = pair.run("cat", data=data, rekey_limit=rekey_limit)
    assert (both.returncode, sha256(both.stdout), both.stderr) == (0, sha256(data), b"")


def test_bulk_while_trio_sshd_rekeys(keyring: Keyring, impatient_trio_sshd: RunningServer):
    data = pattern(16 * MIB)
    done = Pair(keyring, impatient_trio_sshd.port, ours=False).run("cat", data=data)
    assert (done.returncode, sha256(done.stdout), done.stderr) == (0, sha256(data), b"")


def test_at_a_terminal(pair: Pair):
    """A login shell: its terminal, its size, a new size, Ctrl-C, its exit status; our terminal is as it was afterwards."""
    with AtTerminal.run(pair.command(), at_home(pair.keyring), columns=91, rows=37) as terminal:
        before = terminal.modes()
        terminal.type("stty -echo; PS1=re''ady\n")
        terminal.expect("ready")
        terminal.type("tty; stty size; echo $TERM\n")
        terminal.expect(r"/dev/pts/\d+\r\n37 91\r\nxterm\r\n")
        terminal.type("trap 'stty size' WINCH; echo trap''ped\n")
        terminal.expect("trapped\r\n")
        terminal.resize(132, 50)
        terminal.type("\n")
        terminal.expect("50 132\r\n")
        terminal.type("(echo sleep''ing; exec sleep 1000)\n")
        terminal.expect("sleeping\r\n")
        terminal.type("\x03")
        terminal.expect("ready")
        terminal.type("echo status $?\n")
        terminal.expect("status 130\r\n")
        terminal.type("exit 7\n")
        assert terminal.wait() == 7
        assert terminal.modes() == before


def test_a_terminal_for_a_command(pair: Pair):
    with AtTerminal.run(pair.command("stty size; exit 7", flags=("-t",)), at_home(pair.keyring), columns=91, rows=37) as terminal:
        terminal.expect("37 91\r\n")
        assert terminal.wait() == 7


# --- what rides on top -------------------------------------------------------------------------------------------------------------------


def sftp_options(keyring: Keyring) -> list[str]:
    words = SSH(keyring, 0).command()
    return [word for option in words if "=" in option for word in ("-o", option)]


def require_sftp_server() -> None:
    if not SFTP_SERVER.exists():
        require_program("sftp-server")


def test_sftp_and_scp(keyring: Keyring, trio_sshd: RunningServer, tmp_path: Path):
    require_sftp_server()
    local, remote, back, copied = (tmp_path / name for name in ("local", "remote", "back", "copied"))
    local.write_bytes(pattern(3 * MIB + 17))
    batch = tmp_path / "batch"
    batch.write_text(f"put {local} {remote}\nget {remote} {back}\nrename {remote} {remote}-2\n")
    options = sftp_options(keyring)
    command = [require_program("sftp"), "-q", "-F", "none", "-P", str(trio_sshd.port), *options, "-b", str(batch), "127.0.0.1"]
    done = run(command, at_home(keyring))
    assert done.returncode == 0, done.stderr
    command = [require_program("scp"), "-q", "-F", "none", "-P", str(trio_sshd.port), *options, f"127.0.0.1:{remote}-2", str(copied)]
    done = run(command, at_home(keyring))
    assert done.returncode == 0, done.stderr
    assert back.read_bytes() == copied.read_bytes() == local.read_bytes()


def test_inetd_style_behind_a_proxy_command(keyring: Keyring):
    """`ssh` starts the server itself and speaks to its stdin and stdout."""
    server = shlex.join(tool("sshd", "-i", *trio_sshd_words(keyring)))
    data = pattern(300 * KIB)
    done = run(SSH(keyring, 1).command("cat; exit 7", options={"ProxyCommand": server}), at_home(keyring), data)
    assert (done.returncode, done.stdout, done.stderr) == (7, data, b"")
