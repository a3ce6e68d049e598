"""Our client at OpenSSH's `sshd`: host keys, logins, processes, terminals, and servers that vanish."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import trio

import trio_ssh
from tests.interop.keyring import KEY_TYPES, Keyring
from tests.interop.openssh import SSHD, make_privilege_separation_folder, running_sshd, sshd_config
from tests.interop.services import KIB, MIB, pattern
from tests.support import require_program


@pytest.fixture(scope="module")
def lasting_narrow_sshd(keyring: Keyring, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SSHD]:
    with running_sshd(keyring, tmp_path_factory.mktemp("sshd"), extra=["MaxSessions 2", "PermitTTY no", "Ciphers aes128-ctr"]) as running:
        yield running


@pytest.fixture
def narrow_sshd(lasting_narrow_sshd: SSHD, deadline: None) -> SSHD:
    """It has little to give."""
    return lasting_narrow_sshd


# --- host keys ---------------------------------------------------------------------------------------------------------------------------


def known_host_line(sshd: SSHD, key: trio_ssh.PrivateKey) -> str:
    return f"[127.0.0.1]:{sshd.port} {key.public_key.to_openssh_line()}\n"


async def test_an_unknown_host_key(sshd: SSHD, tmp_path: Path):
    known_hosts = tmp_path / "known_hosts"
    with pytest.raises(trio_ssh.HostKeyUnknown, match=re.escape(str(known_hosts))) as caught:
        async with sshd.connect(host_keys=trio_ssh.KnownHosts([known_hosts])):
            raise AssertionError("let in")
    assert caught.value.offered == sshd.keyring.host_keys["ssh-ed25519"].public_key.fingerprint()
    assert not known_hosts.exists()


async def test_a_new_host_key_is_saved(sshd: SSHD, tmp_path: Path):
    """And found again: by us, and by ssh-keygen."""
    files = trio_ssh.KnownHosts([tmp_path / "known_hosts"])
    async with sshd.connect(host_keys=trio_ssh.AcceptNew(files)) as client:
        assert client.host_key == sshd.keyring.host_keys["ssh-ed25519"].public_key
    async with sshd.connect(host_keys=files):
        pass
    command = [require_program("ssh-keygen"), "-f", str(tmp_path / "known_hosts"), "-F", f"[127.0.0.1]:{sshd.port}"]
    found = await trio.run_process(command, capture_stdout=True)
    assert sshd.keyring.host_keys["ssh-ed25519"].public_key.to_openssh_line() in found.stdout.decode()


@pytest.mark.parametrize("answer", [True, False])
async def test_the_user_is_asked(answer: bool, sshd: SSHD, tmp_path: Path):
    asked: list[trio_ssh.HostKeyQuestion] = []

    async def prompt(question: trio_ssh.HostKeyQuestion) -> bool:
        asked.append(question)
        return answer

    policy = trio_ssh.AskUser(trio_ssh.KnownHosts([tmp_path / "known_hosts"]), prompt)
    if answer:
        for _ in range(2):
            async with sshd.connect(host_keys=policy):
                pass
    else:
        with pytest.raises(trio_ssh.HostKeyUnknown):
            async with sshd.connect(host_keys=policy):
                raise AssertionError("let in")
    assert [(question.host, question.port) for question in asked] == [("127.0.0.1", sshd.port)]
    assert asked[0].key == sshd.keyring.host_keys["ssh-ed25519"].public_key


async def test_a_changed_host_key(sshd: SSHD, tmp_path: Path):
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text("# ours\n" + known_host_line(sshd, sshd.keyring.stranger))
    for policy in (trio_ssh.KnownHosts([known_hosts]), trio_ssh.AcceptNew(trio_ssh.KnownHosts([known_hosts]))):
        with pytest.raises(trio_ssh.HostKeyChanged, match="HAS CHANGED") as caught:
            async with sshd.connect(host_keys=policy):
                raise AssertionError("let in")
        assert (caught.value.path, caught.value.line) == (str(known_hosts), 2)
        assert caught.value.known == (sshd.keyring.stranger.public_key.fingerprint(),)


@pytest.mark.parametrize("key_type", KEY_TYPES)
async def test_the_known_type_of_key_is_asked_for(key_type: str, sshd: SSHD, tmp_path: Path):
    """The server has keys of five types and would rather show another."""
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(known_host_line(sshd, sshd.keyring.host_keys[key_type]))
    async with sshd.connect(host_keys=trio_ssh.KnownHosts([known_hosts])) as client:
        assert client.host_key == sshd.keyring.host_keys[key_type].public_key


# --- logins ------------------------------------------------------------------------------------------------------------------------------


async def test_a_key_that_is_not_authorized(sshd: SSHD):
    credentials: list[trio_ssh.Credential] = [trio_ssh.PrivateKeyCredential(sshd.keyring.stranger), trio_ssh.Password("guess")]
    with pytest.raises(trio_ssh.AuthenticationFailed) as caught:
        async with sshd.connect(credentials=credentials):
            raise AssertionError("let in")
    assert caught.value.methods_left == ("publickey",)


async def test_the_right_key_comes_last(sshd: SSHD):
    keys = [sshd.keyring.stranger, sshd.keyring.stranger, sshd.keyring.user_keys["ecdsa-sha2-nistp384"]]
    async with sshd.connect(credentials=[trio_ssh.PrivateKeyCredential(key, ask_first=True) for key in keys]) as client:
        assert (await client.run_process("echo in")).stdout == b"in\n"


async def test_too_many_wrong_keys(sshd: SSHD):
    """sshd ends the connection at the sixth; a client that knows how many are taken goes on no longer than that, and says what it tried."""
    credentials: list[trio_ssh.Credential] = [trio_ssh.PrivateKeyCredential(trio_ssh.PrivateKey.generate()) for _ in range(10)]
    with pytest.raises((trio_ssh.Disconnected, trio_ssh.AuthenticationFailed), match=r"[Tt]oo many authentication failures"):
        async with sshd.connect(credentials=credentials, limits=trio_ssh.Limits(auth_failures=10)):
            raise AssertionError("let in")
    with pytest.raises(trio_ssh.AuthenticationFailed) as caught:
        async with sshd.connect(credentials=credentials, limits=trio_ssh.Limits(auth_failures=5)):
            raise AssertionError("let in")
    assert caught.value.tried == ("publickey ssh-ed25519",) * 5


async def test_no_algorithm_in_common(narrow_sshd: SSHD):
    with pytest.raises(trio_ssh.NegotiationError, match="cipher") as caught:
        async with narrow_sshd.connect(algorithms=trio_ssh.Algorithms(ciphers=["aes256-gcm@openssh.com"])):
            raise AssertionError("connected")
    assert (caught.value.ours, caught.value.theirs) == (("aes256-gcm@openssh.com",), ("aes128-ctr",))


# --- processes ---------------------------------------------------------------------------------------------------------------------------


async def test_how_processes_end(sshd: SSHD):
    async with sshd.connect() as client:
        done = await client.run_process("cat; echo to stderr >&2; exit 7", input=b"through", check=False)
        assert (done.exit_status, done.exit_signal, done.stdout, done.stderr) == (7, None, b"through", b"to stderr\n")
        killed = await client.run_process("kill -TERM $$", check=False)
        assert (killed.exit_status, killed.exit_signal) == (None, "TERM")
        with pytest.raises(trio_ssh.ProcessFailed, match="exit status 3"):
            await client.run_process("exit 3")
        assert (await client.run_process("exit 0")).stdout == b""


async def test_variables(sshd: SSHD):
    environ = {"INTEROP_ONE": "first", "INTEROP_TWO": "zwölf", "SECRET": "no", "LC_ALL": "C"}
    async with sshd.connect() as client:
        done = await client.run_process('echo "$INTEROP_ONE-$INTEROP_TWO-$SECRET-$LC_ALL"', environ=environ)
    assert done.stdout.decode() == "first-zwölf--C\n"


async def test_a_signal_for_a_process(sshd: SSHD):
    """`sshd` refuses where it keeps no monitor for the session, as for root: then the process lives until its input ends."""
    async with sshd.connect() as client, client.open_process("cat") as process:
        process.terminate()
        await process.stdin.aclose()
        if await process.wait() is None:
            assert process.exit_signal is not None
            assert process.exit_signal.name == "TERM"
        else:
            assert process.exit_status == 0


async def test_many_processes_at_once(sshd: SSHD):
    """As many as `sshd` takes by itself."""
    sums: list[int] = []

    async def count(client: trio_ssh.Client, size: int) -> None:
        sums.append(int((await client.run_process("wc -c", input=pattern(size))).stdout))

    sizes = [number * 100 * KIB for number in range(10)]
    async with sshd.connect() as client, trio.open_nursery() as nursery:
        for size in sizes:
            nursery.start_soon(count, client, size)
    assert sorted(sums) == sizes


async def test_more_sessions_than_allowed(narrow_sshd: SSHD):
    async with narrow_sshd.connect() as client:
        async with client.open_process("cat"), client.open_process("cat"):
            with pytest.raises(trio_ssh.ChannelOpenFailure):
                await client.run_process("echo too many")
        assert (await client.run_process("echo room")).stdout == b"room\n"


async def test_a_terminal_that_is_denied(narrow_sshd: SSHD):
    async with narrow_sshd.connect() as client:
        with pytest.raises(trio_ssh.RequestDenied):
            await client.run_process("tty", terminal=trio_ssh.Terminal())
        assert (await client.run_process("echo without")).stdout == b"without\n"


async def test_a_subsystem(sshd: SSHD):
    """SFTP's first exchange: INIT with version 3, VERSION with version 3."""
    async with sshd.connect() as client, client.open_subsystem("sftp") as process:
        await process.stdin.send_all(bytes([0, 0, 0, 5, 1, 0, 0, 0, 3]))
        answer = await process.stdout.receive_some()
        assert answer[4:9] == bytes([2, 0, 0, 0, 3])
        with pytest.raises(trio_ssh.RequestDenied):
            async with client.open_subsystem("nonsense"):
                raise AssertionError("opened")


# --- terminals ---------------------------------------------------------------------------------------------------------------------------


async def read_until(stream: trio.abc.ReceiveStream, pattern: bytes) -> bytes:
    """What has come when the regular expression matches it."""
    seen = bytearray()
    async for chunk in stream:
        seen += chunk
        if re.search(pattern, seen):
            return bytes(seen)
    raise AssertionError(f"{pattern!r} did not come, but {bytes(seen)!r}")


async def test_a_shell_at_a_terminal(sshd: SSHD):
    terminal = trio_ssh.Terminal("vt100", 91, 37)
    async with sshd.connect() as client, client.open_shell(terminal) as shell:
        await shell.stdin.send_all(b"echo $TERM-$(stty size)-$(tty)\n")
        await read_until(shell.stdout, rb"vt100-37 91-/dev/pts/\d+")
        shell.resize(132, 50)
        await shell.stdin.send_all(b"echo now-$(stty size)\n")
        await read_until(shell.stdout, rb"now-50 132")
        await shell.stdin.send_all(b"PS1=re''ady; (echo sleep''ing; exec sleep 1000)\n")
        await read_until(shell.stdout, rb"sleeping")
        await shell.stdin.send_all(b"\x03")
        await read_until(shell.stdout, rb"ready")
        await shell.stdin.send_all(b"echo status-$?\n")
        await read_until(shell.stdout, rb"status-130")
        await shell.stdin.send_all(b"exit 7\n")
        assert await shell.wait() == 7


async def test_a_shell_without_a_terminal(sshd: SSHD):
    async with sshd.connect() as client, client.open_shell() as shell:
        await shell.stdin.send_all(b"tty\nexit 5\n")
        assert await read_until(shell.stdout, rb"\n") == b"not a tty\n"
        assert await shell.wait() == 5


# --- servers that vanish -----------------------------------------------------------------------------------------------------------------


async def start_single_sshd(keyring: Keyring, folder: Path, nursery: trio.Nursery) -> tuple[trio.SocketStream, trio.Process]:
    """One `sshd` for one connection, at the other end of a stream: nothing else of it is there when it is killed."""
    make_privilege_separation_folder()
    config = folder / "sshd_config"
    config.write_text(sshd_config(keyring, {}))
    ours, theirs = socket.socketpair()
    command = [require_program("sshd"), "-i", "-e", "-f", str(config)]
    with theirs:
        run = partial(trio.run_process, command, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL, check=False)
        process: trio.Process = await nursery.start(run)
    return trio.SocketStream(trio.socket.from_stdlib_socket(ours)), process


@pytest.mark.parametrize("direction", ["up", "down", "idle"])
async def test_a_server_killed_in_mid_transfer(direction: str, keyring: Keyring, tmp_path: Path, nursery: trio.Nursery, deadline: None):
    """Every call that waits ends with the one typed error, and so does every later one."""
    stream, sshd = await start_single_sshd(keyring, tmp_path, nursery)
    commands = {"up": "cat >/dev/null", "down": "cat /dev/zero", "idle": "sleep 1000"}
    command = commands[direction]
    errors: list[BaseException] = []

    async def call(work: partial) -> None:
        with pytest.raises(trio_ssh.ConnectionLost) as caught:
            await work()
        errors.append(caught.value)

    async with trio_ssh.connect(
        "127.0.0.1",
        stream=stream,
        credentials=[trio_ssh.PrivateKeyCredential(keyring.user_keys["ssh-ed25519"])],
        host_keys=trio_ssh.KnownHosts([keyring.known_hosts]),
    ) as client:
        with trio.fail_after(20):
            async with trio.open_nursery() as calls, client.open_process("echo up; cat") as process:
                await process.stdout.receive_some()
                calls.start_soon(call, partial(client.run_process, command, input=pattern(100 * MIB) if direction == "up" else b""))
                calls.start_soon(call, partial(process.wait))
                calls.start_soon(call, partial(client.wait_closed))
                while direction != "idle" and client.statistics().bytes_sent + client.statistics().bytes_received < MIB:
                    await trio.lowlevel.checkpoint()
                sshd.send_signal(signal.SIGKILL)
                with pytest.raises(trio.BrokenResourceError):
                    await process.stdout.receive_some()
            for later in (client.ping, client.rekey, partial(client.run_process, "true")):
                await call(partial(later))
    assert len(errors) == 6
    assert len({str(error) for error in errors}) == 1
