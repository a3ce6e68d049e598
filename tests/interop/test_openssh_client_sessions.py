"""OpenSSH's `ssh` at our server: who is let in, variables, terminals, keepalive, shared connections, and clients that vanish."""

from __future__ import annotations

import contextlib
import getpass
import re
import signal
import subprocess
from pathlib import Path

import pytest
import trio

import trio_ssh
from tests.interop.keyring import Keyring
from tests.interop.openssh import SSH
from tests.interop.services import KIB, PASSWORD, StartServer, pattern, services, sha256
from trio_ssh.server.login_shell import login_shell

AT_HOME = {"HOME": "/nonexistent"}
"""No start files of whoever runs the tests: they are none of our business, and may cost half a second."""

# --- who is let in -----------------------------------------------------------------------------------------------------------------------


async def test_a_key_that_is_not_authorized(keyring: Keyring, serve_ours: StartServer):
    server = await serve_ours()
    done = await SSH(keyring, server.port).run("exit 0", key_type="stranger")
    assert done.returncode == 255
    assert done.stdout == b""
    assert b"Permission denied (publickey,password)" in done.stderr
    assert server.all_of(trio_ssh.AuthAttempted)[-1].outcome == "refused"


async def test_a_host_key_that_is_not_known(keyring: Keyring, serve_ours: StartServer, tmp_path: Path):
    server = await serve_ours()
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(f"* {keyring.stranger.public_key.to_openssh_line()}\n")
    done = await SSH(keyring, server.port).run("exit 0", options={"UserKnownHostsFile": known_hosts})
    assert done.returncode == 255
    assert b"Host key verification failed" in done.stderr
    assert server.all_of(trio_ssh.AuthAttempted) == []


def askpass(folder: Path, password: str) -> dict[str, str]:
    """The environment that makes `ssh` take that password without asking anybody."""
    script = folder / "askpass"
    script.write_text(f"#!/bin/sh\necho '{password}'\n")
    script.chmod(0o700)
    return {"SSH_ASKPASS": str(script), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": ":0"}


@pytest.mark.parametrize(("password", "status"), [(PASSWORD, 7), ("wrong horse", 255)])
async def test_a_password(password: str, status: int, keyring: Keyring, serve_ours: StartServer, tmp_path: Path):
    server = await serve_ours()
    done = await SSH(keyring, server.port).run(
        "exit 7",
        options={"PreferredAuthentications": "password", "BatchMode": "no", "NumberOfPasswordPrompts": 2},
        environ=askpass(tmp_path, password),
    )
    assert done.returncode == status
    outcomes = [event.outcome for event in server.all_of(trio_ssh.AuthAttempted) if event.method == "password"]
    assert outcomes == (["granted"] if status == 7 else ["refused", "refused"])


async def test_no_algorithm_in_common(keyring: Keyring, serve_ours: StartServer):
    server = await serve_ours(algorithms=trio_ssh.Algorithms(ciphers=["aes128-ctr"]))
    done = await SSH(keyring, server.port).run("exit 0", options={"Ciphers": "aes256-gcm@openssh.com", "LogLevel": "INFO"})
    assert done.returncode == 255
    assert b"no matching cipher found" in done.stderr
    assert isinstance((await server.first(trio_ssh.ConnectionEnded)).cause, trio_ssh.NegotiationError)


# --- what a session is told --------------------------------------------------------------------------------------------------------------


async def test_variables(keyring: Keyring, serve_ours: StartServer):
    """What our `accept_env` does not name is refused, and the session goes on."""
    server = await serve_ours()
    done = await SSH(keyring, server.port).run(
        "environ", options={"SetEnv": "LC_ONE=first SECRET=no LC_TWO=second"}, environ={"LANG": "C.UTF-8"}, flags=["-o", "SendEnv=LANG"]
    )
    assert (done.returncode, done.stdout) == (0, b"LANG=C.UTF-8\nLC_ONE=first\nLC_TWO=second\n")


async def test_ended_by_a_signal(keyring: Keyring, serve_ours: StartServer):
    server = await serve_ours()
    done = await SSH(keyring, server.port).run("die TERM", options={"LogLevel": "DEBUG1"})
    assert done.returncode == 255
    assert b"rtype exit-signal" in done.stderr
    assert b"rtype exit-status" not in done.stderr


async def test_a_subsystem_that_is_not_there(keyring: Keyring, serve_ours: StartServer):
    server = await serve_ours(login_shell(environ=AT_HOME))
    done = await SSH(keyring, server.port).run("nonsense", flags=["-s"])
    assert done.returncode == 1
    assert b"no subsystem 'nonsense'" in done.stderr


async def test_a_subsystem_that_is_there(keyring: Keyring, serve_ours: StartServer):
    server = await serve_ours(login_shell(subsystems={"count": "wc -c"}, environ=AT_HOME))
    done = await SSH(keyring, server.port).run("count", flags=["-s"], input=pattern(100 * KIB))
    assert (done.returncode, int(done.stdout)) == (0, 100 * KIB)


async def test_commands_of_the_operating_system(keyring: Keyring, serve_ours: StartServer):
    server = await serve_ours(login_shell(environ=AT_HOME))
    ssh = SSH(keyring, server.port)
    done = await ssh.run("cat; echo to stderr >&2; exit 7", input=b"through\n")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"through\n", b"to stderr\n")
    killed = await ssh.run("kill -TERM $$", options={"LogLevel": "DEBUG1"})
    assert killed.returncode == 255
    assert b"rtype exit-signal" in killed.stderr


async def test_a_terminal_without_one_here(keyring: Keyring, serve_ours: StartServer):
    """`ssh -tt` with pipes on our side: the command has a terminal, whose size nobody knows."""
    server = await serve_ours(login_shell(environ=AT_HOME))
    done = await SSH(keyring, server.port).run("tty; stty size; echo $TERM; exit 7", flags=["-tt"], environ={"TERM": "vt100"})
    tty, size, term = done.stdout.split(b"\r\n")[:3]
    assert done.returncode == 7
    assert re.fullmatch(rb"/dev/pts/\d+", tty)
    assert (size, term) == (b"0 0", b"vt100")


# --- keepalive ---------------------------------------------------------------------------------------------------------------------------


async def wait_for(stream: trio.abc.ReceiveStream | None, text: bytes, times: int) -> None:
    """Read until the text has come that many times."""
    assert stream is not None
    log = bytearray()
    async for chunk in stream:
        log += chunk
        if log.count(text) >= times:
            return
    raise AssertionError(f"{text!r} came {log.count(text)} times only in {bytes(log)!r}")


async def drop(stream: trio.abc.ReceiveStream | None) -> None:
    """Read on, so that the writer never waits."""
    assert stream is not None
    async for _chunk in stream:
        pass


async def finish(process: trio.Process) -> bytes:
    """End the input and give what still comes out."""
    assert process.stdin is not None
    assert process.stdout is not None
    await process.stdin.aclose()
    output = b"".join([bytes(chunk) async for chunk in process.stdout])
    await process.wait()
    return output


async def test_their_keepalive_is_answered(keyring: Keyring, serve_ours: StartServer, nursery: trio.Nursery):
    server = await serve_ours()
    options = {"ServerAliveInterval": 1, "ServerAliveCountMax": 3, "LogLevel": "DEBUG3"}
    process = await SSH(keyring, server.port).start(nursery, "sha256", options=options, stderr=subprocess.PIPE)
    await wait_for(process.stderr, b"receive packet: type 82", 2)
    nursery.start_soon(drop, process.stderr)
    assert await finish(process) == sha256(b"")
    assert process.returncode == 0


async def test_our_keepalive_is_answered(keyring: Keyring, serve_ours: StartServer, nursery: trio.Nursery):
    """More often than we would forgive."""
    server = await serve_ours(limits=trio_ssh.Limits(keepalive_seconds=0.05, keepalive_misses=10))
    process = await SSH(keyring, server.port).start(nursery, "sha256", options={"LogLevel": "DEBUG3"}, stderr=subprocess.PIPE)
    await wait_for(process.stderr, b"rtype keepalive@openssh.com want_reply 1", 12)
    nursery.start_soon(drop, process.stderr)
    assert await finish(process) == sha256(b"")
    assert process.returncode == 0


# --- one connection for several ----------------------------------------------------------------------------------------------------------


async def test_sessions_share_a_connection(keyring: Keyring, serve_ours: StartServer, nursery: trio.Nursery, tmp_path: Path):
    """A master with one session that waits for its input, and others beside it: at once, with data both ways, while keys change."""
    master_runs = trio.Event()

    async def handler(session: trio_ssh.ServerSession) -> int:
        if session.command == "sha256":
            master_runs.set()
        return await services(session)

    server = await serve_ours(handler, limits=trio_ssh.Limits(rekey_bytes=128 * KIB))
    ssh = SSH(keyring, server.port)
    shared = ["-S", str(tmp_path / "master")]
    master = await ssh.start(nursery, "sha256", flags=["-M", *shared])
    await master_runs.wait()
    size = 300 * KIB
    statuses: list[int] = []

    async def exchange() -> None:
        done = await ssh.run(f"exchange {size}", flags=shared, input=pattern(size), options={"ControlMaster": "no"})
        assert sha256(done.stdout) == done.stderr == sha256(pattern(size))
        statuses.append(done.returncode)

    async with trio.open_nursery() as sharers:
        for _ in range(6):
            sharers.start_soon(exchange)
    failed = await ssh.run("exit 9", flags=shared)
    assert (statuses, failed.returncode) == ([0] * 6, 9)
    assert await finish(master) == sha256(b"")
    assert len(server.all_of(trio_ssh.ConnectionOpened)) == 1
    assert len(server.rekeys()) >= 3


async def test_more_sessions_than_allowed(keyring: Keyring, serve_ours: StartServer, nursery: trio.Nursery, tmp_path: Path):
    master_runs = trio.Event()

    async def handler(session: trio_ssh.ServerSession) -> int:
        master_runs.set()
        return await services(session)

    server = await serve_ours(handler, limits=trio_ssh.Limits(sessions=1))
    ssh = SSH(keyring, server.port)
    shared = ["-S", str(tmp_path / "master")]
    master = await ssh.start(nursery, "sha256", flags=["-M", *shared])
    await master_runs.wait()
    refused = await ssh.run("exit 0", flags=shared, options={"ControlMaster": "no", "ProxyCommand": "false"})
    assert (refused.returncode, refused.stdout) == (255, b"")
    assert await finish(master) == sha256(b"")
    assert master.returncode == 0


# --- clients that vanish -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", ["up", "down"])
async def test_a_client_killed_in_mid_transfer(direction: str, keyring: Keyring, serve_ours: StartServer, nursery: trio.Nursery):
    under_way, over = trio.Event(), trio.Event()

    async def handler(session: trio_ssh.ServerSession) -> int:
        try:
            while direction == "down":
                await session.send_all(pattern(256 * KIB))
                under_way.set()
            async for _chunk in session:
                under_way.set()
            return 0
        finally:
            over.set()

    server = await serve_ours(handler)
    process = await SSH(keyring, server.port).start(nursery, "anything")
    assert process.stdin is not None
    if direction == "up":
        await process.stdin.send_all(pattern(16 * KIB))
    await under_way.wait()
    process.send_signal(signal.SIGKILL)
    with trio.fail_after(5):
        await over.wait()


def living_in_group(group: int) -> list[str]:
    """The names of its processes; those that have ended and only wait to be reaped by the system's first process do not count."""
    found: list[str] = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            name, _, rest = path.read_text().partition("(")[2].rpartition(")")
            state, _parent, its_group = rest.split()[:3]
            if int(its_group) == group and state not in "ZX":
                found.append(name)
    return found


@pytest.mark.parametrize("flags", [[], ["-tt"]], ids=["pipes", "terminal"])
async def test_a_killed_client_takes_its_processes_along(
    flags: list[str], keyring: Keyring, serve_ours: StartServer, nursery: trio.Nursery
):
    over = trio.Event()
    serve_login = login_shell(environ=AT_HOME)

    async def handler(session: trio_ssh.ServerSession) -> int:
        try:
            return await serve_login(session)
        finally:
            over.set()

    server = await serve_ours(handler)
    process = await SSH(keyring, server.port).start(nursery, "echo $$; sleep 1000; echo never", flags=flags)
    assert process.stdout is not None
    shell = int(await process.stdout.receive_some(100))
    assert living_in_group(shell)
    process.send_signal(signal.SIGKILL)
    with trio.fail_after(5):
        await over.wait()
    assert living_in_group(shell) == []


async def test_the_users_name_and_address(keyring: Keyring, serve_ours: StartServer):
    seen: list[str] = []

    async def handler(session: trio_ssh.ServerSession) -> None:
        seen.extend([session.username, session.peer.split()[0]])

    server = await serve_ours(handler)
    done = await SSH(keyring, server.port).run("anything")
    assert (done.returncode, seen) == (0, [getpass.getuser(), "127.0.0.1"])
