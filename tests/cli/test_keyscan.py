"""trio-ssh-keyscan against servers in this process: every flag, hosts that do not answer, and what it prints."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import attrs
import pytest
import trio

import trio_ssh
from tests.cli.tool_runs import run_here
from tests.cli.tools import SECONDS, tool
from tests.support import free_port
from trio_ssh.cli.keyscan import scan_all
from trio_ssh.cli.keyscan_arguments import DEFAULT_TYPES, BadScan, Target, parse_arguments
from trio_ssh.cli.options import UsageError
from trio_ssh.keys.known_hosts import hash_name


@attrs.frozen
class Server:
    """A server with a key of each usual type, and how often somebody tried to log in."""

    port: int
    keys: dict[str, trio_ssh.PrivateKey]
    logins: list[str]

    def line(self, name: str, kind: str) -> str:
        return f"[{name}]:{self.port} {self.keys[kind].public_key.to_openssh_line()}\n"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    keys = {kind: trio_ssh.PrivateKey.generate(kind, 2048 if kind == "rsa" else None) for kind in ("rsa", "ecdsa", "ed25519")}
    logins: list[str] = []

    async def refuse(attempt: trio_ssh.AuthAttempt) -> trio_ssh.Verdict:
        logins.append(attempt.username)
        return trio_ssh.REFUSE

    handler = trio_ssh.run_command("true", account="nobody")
    async with trio.open_nursery() as nursery:
        start = partial(trio_ssh.serve, handler, 0, host="127.0.0.1", host_keys=list(keys.values()), authenticate=refuse)
        listeners: list[trio.SocketListener] = await nursery.start(start)
        yield Server(listeners[0].socket.getsockname()[1], keys, logins)
        nursery.cancel_scope.cancel()


@attrs.frozen
class Scanned:
    status: int
    out: str
    err: str


class Scanning:
    """``await scan("-t", "rsa", "127.0.0.1")``: what it prints."""

    def __init__(self, capture: pytest.CaptureFixture[str], port: int) -> None:
        self.capture = capture
        self.port = port

    async def __call__(self, *words: str) -> Scanned:
        self.capture.readouterr()
        status = await scan_all(parse_arguments(["-p", str(self.port), *words]))
        return Scanned(status, *self.capture.readouterr())


@pytest.fixture
def scan(capfd: pytest.CaptureFixture[str], server: Server) -> Scanning:
    return Scanning(capfd, server.port)


# --- what is found ----------------------------------------------------------------------------------------------------------------------


async def test_all_keys_of_a_host(scan: Scanning, server: Server):
    scanned = await scan("127.0.0.1")
    assert scanned.status == 0
    assert sorted(scanned.out.splitlines(True)) == sorted(server.line("127.0.0.1", kind) for kind in server.keys)
    comment = f"# 127.0.0.1:{server.port} SSH-2.0-trio_ssh_{trio_ssh.__version__}"
    assert [line for line in scanned.err.splitlines() if line.startswith("#")] == [comment] * len(DEFAULT_TYPES)
    assert server.logins == []


async def test_chosen_types_and_several_hosts(scan: Scanning, server: Server):
    scanned = await scan("-4", "-q", "-t", "ed25519,ssh-rsa", "127.0.0.1", "LocalHost")
    lines = [server.line(name, kind) for name in ("127.0.0.1", "localhost") for kind in ("ed25519", "rsa")]
    assert sorted(scanned.out.splitlines(True)) == sorted(lines)
    assert scanned.err == ""


async def test_hashed(scan: Scanning, server: Server):
    line = (await scan("-H", "-t", "ed25519", "127.0.0.1")).out
    heading, rest = line.split(" ", 1)
    salt = heading.split("|")[2]
    assert heading == hash_name(f"[127.0.0.1]:{server.port}", base64.b64decode(salt))
    assert rest == server.line("", "ed25519").split(" ", 1)[1]


async def test_dns_records(scan: Scanning, server: Server):
    scanned = await scan("-D", "127.0.0.1")
    expected = []
    for number, kind in ((1, "rsa"), (3, "ecdsa"), (4, "ed25519")):
        blob = server.keys[kind].public_key.blob
        expected += [
            f"127.0.0.1 IN SSHFP {number} 1 {hashlib.sha1(blob).hexdigest()}",
            f"127.0.0.1 IN SSHFP {number} 2 {hashlib.sha256(blob).hexdigest()}",
        ]
    assert sorted(scanned.out.splitlines()) == expected
    assert f"; 127.0.0.1:{server.port} SSH-2.0-" in scanned.err
    scanned = await scan("-D", "-O", "hashalg=sha256", "-t", "ed25519", "127.0.0.1")
    assert scanned.out.splitlines() == expected[-1:]


async def test_names_for_an_address(scan: Scanning, server: Server, tmp_path: Path):
    hosts = tmp_path / "hosts"
    hosts.write_text("# a comment\n\n127.0.0.1 a,b # more\n127.0.0.1,c\n127.0.0.0/30 d\n")
    scanned = await scan("-t", "ed25519", "-T", "1", "-f", str(hosts))
    names = re.findall(r"^\[([^]]+)\]", scanned.out, re.MULTILINE)
    assert sorted(names) == ["127.0.0.1", "a", "b", "c", "d"]


async def test_certificates_of_a_server_without(scan: Scanning):
    scanned = await scan("-c", "127.0.0.1")
    assert (scanned.status, scanned.out) == (1, "")


async def test_the_next_name_if_the_first_does_not_answer(scan: Scanning, server: Server, caplog: pytest.LogCaptureFixture):
    scanned = await scan("-t", "ed25519", "no..host,127.0.0.1")
    lines = [server.line(name, "ed25519") for name in ("no..host", "127.0.0.1")]
    assert (scanned.status, scanned.out) == (0, "".join(lines))
    assert caplog.text.count("its address was not found") == 1


# --- what is not ------------------------------------------------------------------------------------------------------------------------


async def test_nobody_listens(scan: Scanning, caplog: pytest.LogCaptureFixture):
    scan.port = free_port()
    scanned = await scan("127.0.0.1")
    assert (scanned.status, scanned.out) == (1, "")
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        f"127.0.0.1 port {scan.port}: cannot connect: Connection refused"
    ]


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Somebody listens there, and says nothing to anybody."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield int(listener.getsockname()[1])


async def test_a_silent_host_costs_its_time_once(
    scan: Scanning, silent_port: int, autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
):
    scan.port = silent_port
    started = trio.current_time()
    scanned = await scan("-T", "7", "127.0.0.1", "127.0.0.1")
    assert trio.current_time() - started == 7
    assert (scanned.status, scanned.out) == (1, "")
    assert caplog.text.count("no answer within 7 s; -T gives it more time") == 2  # a line for each host, not for each type


async def test_a_host_that_is_no_ssh_server(scan: Scanning, caplog: pytest.LogCaptureFixture, nursery: trio.Nursery):
    async def be_rude(stream: trio.SocketStream) -> None:
        await stream.send_all(b"220 \x1b[31mmail\r\n" * 100)

    listeners: list[trio.SocketListener] = await nursery.start(partial(trio.serve_tcp, be_rude, 0, host="127.0.0.1"))
    scan.port = listeners[0].socket.getsockname()[1]
    scanned = await scan("-t", "ed25519", "127.0.0.1")
    assert scanned.status == 1
    assert "\x1b" not in caplog.text
    nursery.cancel_scope.cancel()


# --- the command line -------------------------------------------------------------------------------------------------------------------


def test_arguments():
    scan = parse_arguments(["-4", "-6", "-v", "-v", "-T", "1m", "-t", "rsa,ed25519,rsa", "-p", "2222", "-f", "one", "-f", "two", "host"])
    assert (scan.family, scan.verbosity, scan.timeout_seconds, scan.types, scan.port) == (6, 2, 60, ("rsa", "ed25519"), 2222)
    assert (scan.files, scan.words) == (("one", "two"), ("host",))


def test_targets():
    scan = parse_arguments(["a,b", "192.0.2.0/31", "2001:db8::/127", "c"])
    assert list(scan.targets()) == [
        Target(("a", "b"), ("a", "b")),
        Target(("192.0.2.0",), ("192.0.2.0",)),
        Target(("192.0.2.1",), ("192.0.2.1",)),
        Target(("2001:db8::",), ("2001:db8::",)),
        Target(("2001:db8::1",), ("2001:db8::1",)),
        Target(("c",), ("c",)),
    ]


@pytest.mark.parametrize(
    ("words", "error", "text"),
    [
        ([], UsageError, "name a host, or a file of hosts with -f"),
        (["-x", "host"], UsageError, "there is no option -x"),
        (["-p", "0", "host"], UsageError, "-p 0: there is no such port"),
        (["-p", "65536", "host"], UsageError, "-p 65536: there is no such port"),
        (["-T", "soon", "host"], UsageError, "'soon' is not a time"),
        (["-T", "0", "host"], UsageError, "leaves no time"),
        (["-t", "dsa", "host"], BadScan, "-t dsa: there is no such type of host keys; use rsa, ecdsa"),
        (["-O", "hashalg=md5", "host"], BadScan, "-O hashalg=md5: the only option is"),
    ],
)
def test_bad_arguments(words: list[str], error: type[Exception], text: str):
    with pytest.raises(error, match=re.escape(text)):
        parse_arguments(words)


def test_statuses(tmp_path: Path):
    run = run_here("keyscan")
    assert (run.status, run.out) == (1, "")
    assert run.err.startswith("trio-ssh-keyscan: name a host, or a file of hosts with -f\nusage: trio-ssh-keyscan [-46cDHqv]")
    run = run_here("keyscan", "-t", "dsa", "host")
    assert (run.status, run.err.count("\n")) == (255, 1)
    run = run_here("keyscan", "-f", str(tmp_path / "nowhere"))
    assert (run.status, run.err) == (
        255,
        f"trio-ssh-keyscan: {tmp_path}/nowhere: cannot be read: No such file or directory; check the path\n",
    )
    run = run_here("keyscan", "192.0.2.0/33")
    assert (run.status, run.err) == (255, "trio-ssh-keyscan: 192.0.2.0/33 is not a network such as 192.0.2.0/28\n")
    run = run_here("keyscan", "-v", "no..host")
    assert (run.status, run.out) == (1, "")
    assert "no..host: its address was not found" in run.err
    assert run_here("keyscan", "-q", "-f", "-", stdin=b"no..host\n").err == ""


def test_as_a_process():
    result = subprocess.run(
        tool("keyscan", "-p", str(free_port()), "127.0.0.1"), capture_output=True, timeout=SECONDS, env=dict(os.environ), check=False
    )
    assert (result.returncode, result.stdout) == (1, b"")
    assert result.stderr.startswith(b"trio-ssh-keyscan: 127.0.0.1 port ")
