"""The programs of examples/, run as a user runs them: as processes of their own, against a server (or with clients) in this one."""

from __future__ import annotations

import base64
import getpass
import os
import re
import shlex
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import attrs
import pytest
import trio
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.twofactor.hotp import HOTP

import trio_ssh
from tests.agent.double import SoftwareAgent
from tests.interop.agents import listening
from tests.support import require_program

EXAMPLES = Path(__file__).parent.parent / "examples"
SECONDS = 60  # far more than any of them takes


@attrs.frozen
class Stage:
    """A home with a key pair and a known_hosts file, for programs that look there."""

    home: Path
    user_key: trio_ssh.PrivateKey
    host_key: trio_ssh.PrivateKey

    @property
    def environ(self) -> dict[str, str]:
        return {**os.environ, "HOME": str(self.home)}

    @property
    def credentials(self) -> list[trio_ssh.Credential]:
        return [trio_ssh.PrivateKeyCredential(self.user_key)]

    @property
    def policy(self) -> trio_ssh.AuthorizedKeys:
        return trio_ssh.AuthorizedKeys.of([self.user_key.public_key])

    def trust(self, port: int) -> None:
        """Enter the host key for a server on this port."""
        with (self.home / ".ssh" / "known_hosts").open("a") as file:
            file.write(f"[127.0.0.1]:{port} {self.host_key.public_key.to_openssh_line()}\n")


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    made = Stage(tmp_path, trio_ssh.PrivateKey.generate(), trio_ssh.PrivateKey.generate())
    (tmp_path / ".ssh").mkdir(mode=0o700)
    made.user_key.write_file(tmp_path / ".ssh" / "id_ed25519")
    (tmp_path / "authorized_keys").write_text(made.user_key.public_key.to_openssh_line() + "\n")
    return made


def command_line(name: str, *words: str) -> list[str]:
    return [sys.executable, str(EXAMPLES / f"{name}.py"), *words]


async def run_example(stage: Stage, name: str, *words: str, stdin: bytes = b"") -> tuple[int, str, str]:
    """Exit status, stdout and stderr."""
    with trio.fail_after(SECONDS):
        done = await trio.run_process(
            command_line(name, *words),
            env=stage.environ,
            cwd=stage.home,
            stdin=stdin,
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@asynccontextmanager
async def running_example(stage: Stage, name: str, *words: str) -> AsyncIterator[tuple[trio.Process, int]]:
    """A server of examples/, and the port that it says it listens on; it is ended by Ctrl-C."""
    async with trio.open_nursery() as nursery:
        process: trio.Process = await nursery.start(
            partial(trio.run_process, command_line(name, *words), env=stage.environ, cwd=stage.home, stdout=-1, check=False)
        )
        assert process.stdout is not None
        with trio.fail_after(SECONDS):
            said = b""
            while not said.endswith(b"\n"):
                said += await process.stdout.receive_some()
        found = re.fullmatch(rb"listening on 127\.0\.0\.1 port (\d+); the host key is SHA256:\S+\n", said)
        assert found, said
        async with process.stdout:
            try:
                yield process, int(found[1])
            finally:
                process.send_signal(signal.SIGINT)


@asynccontextmanager
async def server(stage: Stage, handler: trio_ssh.Handler) -> AsyncIterator[int]:
    """A server in this process, known to the stage's home; its port."""
    async with trio.open_nursery() as nursery:
        listeners: list[trio.SocketListener] = await nursery.start(
            partial(trio_ssh.serve, handler, 0, host="127.0.0.1", host_keys=[stage.host_key], authenticate=stage.policy)
        )
        port = listeners[0].socket.getsockname()[1]
        stage.trust(port)
        yield port
        nursery.cancel_scope.cancel()


def shell_commands() -> trio_ssh.Handler:
    """Executes what the client asks for, whatever its user name."""
    return trio_ssh.run_command(lambda session: session.command or "sh", account=getpass.getuser())


def test_every_example_is_tested() -> None:
    tested = re.findall(r'_example\(\s*stage,\s*"(\w+)"', Path(__file__).read_text())
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(tested)


async def test_run_command(stage: Stage) -> None:
    async with server(stage, shell_commands()) as port:
        result = await run_example(stage, "run_command", "--port", str(port), "127.0.0.1", "echo out; echo err >&2; exit 7")
        assert result == (7, "out\n", "err\n")
        status, out, err = await run_example(stage, "run_command", "--port", str(port), "localhost", "true")
    assert (status, out) == (255, "")
    assert re.fullmatch(r"run_command: the host key of \[localhost\]:\d+ is not known: .*\n", err)


async def test_agent_login(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> None:
    agent = SoftwareAgent()
    agent.hold(stage.user_key, "mine \x1b[2J")
    async with server(stage, shell_commands()) as port, listening(agent, tmp_path_factory.mktemp("agent")) as place:
        words = ("--port", str(port), "127.0.0.1", "echo hi; exit 7")
        status, out, err = await run_example(stage, "agent_login", "--agent", place.path, *words)
        lost = await run_example(stage, "agent_login", "--agent", "/nowhere", *words)
    assert (status, out) == (7, "hi\n")
    assert err == f"ssh-ed25519 {stage.user_key.public_key.fingerprint()} mine \\x1b[2J\nin by publickey\n"
    assert lost[0] == 255
    assert "cannot reach the agent at /nowhere" in lost[2]


async def test_certificates(stage: Stage) -> None:
    status, out, err = await run_example(stage, "certificates")
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "build.example has a certificate: example for build.example",
        "hello ada, without port forwarding",
        "as ben she is not let in: her certificate is for ada",
    ]


async def test_trust_on_first_use(stage: Stage) -> None:
    """Asked, saved, silent; another key is refused until the command of the message has removed the saved one, then asked again."""
    seen = stage.home / "seen"

    async def run(port: int, stdin: bytes = b"") -> tuple[int, str, str]:
        words = ("--port", str(port), "--known-hosts", str(seen), "127.0.0.1", "echo hi; exit 7")
        return await run_example(stage, "trust_on_first_use", *words, stdin=stdin)

    async with server(stage, shell_commands()) as port:
        declined = await run(port, b"no\n")
        accepted = await run(port, b"yes\n")
        silent = await run(port)
        other = trio_ssh.PrivateKey.generate().public_key
        seen.write_text(f"[127.0.0.1]:{port} {other.to_openssh_line()}\n")
        changed = await run(port, b"yes\n")
        command = changed[2].rpartition("remove the saved key: ")[2].strip()
        assert command == f"trio-ssh-keygen -f {seen} -R '[127.0.0.1]:{port}'"
        tool, *arguments = shlex.split(command)
        await trio.run_process([sys.executable, "-m", "trio_ssh", tool, *arguments], env=stage.environ, capture_stdout=True)
        again = await run(port, b"yes\n")
    question = f"ED25519 key fingerprint is {stage.host_key.public_key.fingerprint()}."
    assert declined[:2] == changed[:2] == (255, "")
    assert question in declined[2]
    assert f"[127.0.0.1]:{port} is not known" in declined[2]
    assert accepted[:2] == again[:2] == (7, "hi\n")
    assert question in accepted[2]
    assert question in again[2]
    assert silent == (7, "hi\n", "")
    assert question not in changed[2]
    assert "HAS CHANGED" in changed[2]


async def test_interactive_process(stage: Stage) -> None:
    async with server(stage, shell_commands()) as port:
        status, out, err = await run_example(stage, "interactive_process", "--port", str(port), "127.0.0.1", "6 * 7", "2 + 2")
    assert (status, err) == (0, "")
    assert out.splitlines() == ["6 * 7 = 42", "2 + 2 = 4", "the shell has ended with exit status 0"]


async def test_many_hosts(stage: Stage) -> None:
    async def hang(session: trio_ssh.ServerSession) -> None:
        await trio.sleep_forever()

    async with server(stage, shell_commands()) as good, server(stage, hang) as bad:
        destinations = [f"127.0.0.1:{good}", f"ada@127.0.0.1:{good}", "127.0.0.1:1"]
        mixed = await run_example(stage, "many_hosts", "echo hi", *destinations)
        late = await run_example(stage, "many_hosts", "--seconds", "0.5", "echo hi", f"127.0.0.1:{bad}")
        failed = await run_example(stage, "many_hosts", "echo no >&2; exit 3", destinations[0])
    assert (mixed[0], mixed[2]) == (1, "")
    refused, *done = sorted(mixed[1].splitlines(), key=lambda line: line.endswith(": hi"))
    assert refused.startswith("127.0.0.1:1: FAILED: cannot connect")
    assert sorted(done) == [f"127.0.0.1:{good}: hi", f"ada@127.0.0.1:{good}: hi"]
    assert late == (1, f"127.0.0.1:{bad}: FAILED: not done within 0.5 s\n", "")
    assert failed[0] == 1
    assert failed[1].endswith("ended with exit status 3: no\n")


async def test_long_lived(stage: Stage) -> None:
    """The first connection is cut behind the first line; the program comes back and sees the command through."""
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    port = listener.socket.getsockname()[1]
    stage.trust(port)
    serve = partial(trio_ssh.serve_stream, host_keys=[stage.host_key], authenticate=stage.policy)
    async with listener, trio.open_nursery() as nursery:
        words = ("--port", str(port), "--first-pause", "0.01", "127.0.0.1", "follow it")
        results: list[tuple[int, str, str]] = []

        async def run() -> None:
            results.append(await run_example(stage, "long_lived", *words))

        nursery.start_soon(run)

        stream = await listener.accept()

        async def say_first(session: trio_ssh.ServerSession) -> None:
            assert session.command == "follow it"
            await session.send_all(b"first\n")
            await stream.aclose()  # no goodbye: the cable is cut

        await serve(say_first, stream)

        async def say_second(session: trio_ssh.ServerSession) -> int:
            await session.send_all(b"second\n")
            return 3

        await serve(say_second, await listener.accept())
    [(status, out, err)] = results
    assert (status, out.splitlines()[-1]) == (3, "second")
    assert err.count("[connected to trio_ssh_") == 2
    assert "[connection ended: " in err
    assert err.count("[again in 0.0 s]") == 1
    assert err.endswith("[connection closed]\n")


async def test_faulty_network(stage: Stage) -> None:
    """Every seed comes through, each in its own way, and each in the same way again."""
    status, out, err = await run_example(stage, "faulty_network", "--seeds", "4")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert [line.partition(":")[0] for line in lines] == [f"seed {seed}" for seed in range(4)]
    assert len({line.partition(":")[2] for line in lines}) > 1
    assert await run_example(stage, "faulty_network", "--seed", "3") == (0, lines[3] + "\n", "")


async def test_rekey_and_statistics(stage: Stage) -> None:
    async with server(stage, shell_commands()) as port:
        words = ("--mebibytes", "8", "--rekey-mebibytes", "2", "--port", str(port), "127.0.0.1")
        status, out, err = await run_example(stage, "rekey_and_statistics", *words)
    assert (status, err) == (0, "")
    assert "came back:      unharmed\n" in out
    # A wish of the application for fresh keys is granted by an exchange that is due anyway.
    assert sum(int(times) for times in re.findall(r"^keys renewed: +(\d+) x because", out, re.MULTILINE)) >= 3


async def test_own_cipher(stage: Stage) -> None:
    status, out, err = await run_example(stage, "own_cipher", "is all well?")
    assert (status, out, err) == (0, "cipher: aes256-gcm-siv@example.com\nanswer: IS ALL WELL?\n", "")


def as_client(stage: Stage, port: int, username: str) -> trio_ssh.Connecting:
    """A client of a server whose key we have not seen: it is this machine's own loopback."""
    return trio_ssh.connect(
        "127.0.0.1", port, username=username, credentials=stage.credentials, host_keys=trio_ssh.TrustAnyHostKey.DANGEROUS
    )


async def test_shell_server(stage: Stage) -> None:
    words = ("--port", "0", "--authorized-keys", "authorized_keys")
    async with running_example(stage, "shell_server", *words) as (_, port):
        with trio.fail_after(SECONDS):
            async with as_client(stage, port, getpass.getuser()) as client:
                result = await client.run_process("echo $SSH_CONNECTION; exit 7", check=False)
                assert result.exit_status == 7
                assert result.stdout.startswith(b"127.0.0.1 ")
                seen = await client.run_process("tty && stty size", terminal=trio_ssh.Terminal(columns=132, rows=43))
                assert re.fullmatch(rb"/dev/pts/\d+\r\n43 132\r\n", seen.stdout)
            with pytest.raises(trio_ssh.AuthenticationFailed):
                await as_client(stage, port, "somebody-else").__aenter__()
    host_key = trio_ssh.PrivateKey.from_file(stage.home / "host_ed25519")  # it is kept
    assert client.host_key == host_key.public_key


async def test_openssh_logs_in_to_the_shell_server(stage: Stage) -> None:
    ssh = require_program("ssh")
    words = ("--port", "0", "--authorized-keys", "authorized_keys")
    async with running_example(stage, "shell_server", *words) as (_, port):
        options = ["-F", "none", "-i", ".ssh/id_ed25519", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"]
        options += ["-o", f"UserKnownHostsFile={stage.home}/seen", "-o", "IdentitiesOnly=yes"]
        with trio.fail_after(SECONDS):
            command = [ssh, *options, "-p", str(port), f"{getpass.getuser()}@127.0.0.1", "echo hi; exit 7"]
            done = await trio.run_process(command, cwd=stage.home, capture_stdout=True, capture_stderr=True, check=False)
    assert (done.returncode, done.stdout) == (7, b"hi\n"), done.stderr


async def expect(process: trio_ssh.Process, *lines: str) -> None:
    """The next lines of its output are these."""
    wanted = "".join(f"{line}\n" for line in lines).encode()
    received = b""
    while len(received) < len(wanted):
        received += await process.stdout.receive_some(len(wanted) - len(received))
    assert received == wanted


async def test_two_factor_server(stage: Stage) -> None:
    """A key alone, a wrong code and a code that was used are not enough."""
    secret = base64.b32encode(bytes(range(20))).decode()
    (stage.home / "users").write_text(f"ada {secret} {stage.user_key.public_key.to_openssh_line()}\n")
    asked: list[str] = []

    async def log_in(username: str, code: str) -> bytes:
        async def answer(question: trio_ssh.Asked) -> list[str]:
            asked.extend(prompt.text for prompt in question.prompts)
            return [code] * len(question.prompts)

        credentials = [*stage.credentials, trio_ssh.KeyboardInteractive(answer)]
        policy = trio_ssh.TrustAnyHostKey.DANGEROUS
        async with trio_ssh.connect("127.0.0.1", port, username=username, credentials=credentials, host_keys=policy) as client:
            assert client.authenticated_by == ("publickey", "keyboard-interactive")
            return (await client.run_process("")).stdout

    async with running_example(stage, "two_factor_server", "--port", "0", "--users", "users") as (_, port):
        with trio.fail_after(SECONDS):
            code = one_time_code(bytes(range(20)), int(time.time()) // 30)
            for username, wrong in (("ben", code), ("ada", "000000" if code != "000000" else "111111")):
                with pytest.raises(trio_ssh.AuthenticationFailed):
                    await log_in(username, wrong)
            assert await log_in("ada", code) == b"hello ada, it is you indeed\n"
            with pytest.raises(trio_ssh.AuthenticationFailed):
                await log_in("ada", code)
    assert asked == ["One-time code: "] * 3  # ben's key was not taken


def one_time_code(secret: bytes, step: int) -> str:
    """RFC 6238 with SHA-1 and six digits, by another library."""
    return HOTP(secret, 6, hashes.SHA1()).generate(step).decode()


async def test_chat_server(stage: Stage) -> None:
    words = ("--port", "0", "--authorized-keys", "authorized_keys")
    async with running_example(stage, "chat_server", *words) as (_, port):
        with trio.fail_after(SECONDS):
            async with as_client(stage, port, "ada") as ada, as_client(stage, port, "ben") as ben, as_client(stage, port, "cy") as cy:
                async with ada.open_shell() as of_ada, ben.open_shell() as of_ben:
                    await expect(of_ada, "hello ada; here: nobody else")
                    await expect(of_ada, "* ben comes in")
                    await expect(of_ben, "hello ben; here: ada")
                    async with cy.open_shell() as of_cy:
                        await expect(of_cy, "hello cy; here: ada, ben")
                        await of_cy.stdin.send_all(b"good \x1b[31mday\n")
                        for of_other in (of_ada, of_ben):
                            await expect(of_other, "* cy comes in", "cy: good \\x1b[31mday")
                    await expect(of_ada, "* cy has left")
                    await of_ben.stdin.aclose()
                    assert await of_ben.wait() == 0
                    await expect(of_ada, "* ben has left")
                with pytest.raises(trio_ssh.RequestDenied):
                    await ada.run_process("x", terminal=trio_ssh.Terminal())
