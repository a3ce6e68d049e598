"""The how-to page's Python, run: all blocks make one module, whose functions are called here one after another.

``"build.example"`` becomes the address of a server in this process; nothing else is changed. What the page says about names is checked too.
"""

from __future__ import annotations

import ast
import getpass
import re
import textwrap
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
import trio
import trio.testing

import trio_ssh
from tests.crypto.own import tables_put_back
from trio_ssh.cli import ssh_arguments, sshd_arguments
from trio_ssh.config import ssh_config, sshd_config

DOCS = Path(__file__).parent.parent / "docs"
HOWTO = (DOCS / "howto.rst").read_text()


def blocks() -> list[str]:
    """The Python blocks of the page."""
    found = re.findall(r"^\.\. code-block:: python\n\n((?:   .*\n|\n)+)", HOWTO, re.MULTILINE)
    return [textwrap.dedent(block) for block in found]


def module(port: int) -> Any:
    """All blocks together. Names that the page leaves to its reader are given here."""
    source = "\n".join(["from __future__ import annotations", *blocks()]).replace('"build.example"', f'"127.0.0.1", {port}')
    names: dict[str, Any] = {
        "look_up_and_compare": lambda username, password: (username, password) == ("ada", "lovelace"),
        "ask_somebody": partial(say_yes, []),
    }
    exec(compile(source, "docs/howto.rst", "exec"), names)
    return SimpleNamespace(**names)


async def say_yes(questions: list[str], question: str) -> bool:
    questions.append(question)
    return True


@attrs.frozen
class Stage:
    """The module, and the server behind its ``build.example``, whose home is the one that the client looks into."""

    page: Any
    port: int
    home: Path
    host_key: trio_ssh.PrivateKey
    user_key: trio_ssh.PrivateKey

    def connect(self) -> trio_ssh.Connecting:
        return trio_ssh.connect("127.0.0.1", self.port, username="ada")


@pytest.fixture
async def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setenv("HOME", str(tmp_path))
    host_key, user_key = trio_ssh.PrivateKey.generate(), trio_ssh.PrivateKey.generate()
    handler = trio_ssh.run_command(lambda session: session.command or "sh", account=getpass.getuser())
    policy = trio_ssh.AuthorizedKeys.of([user_key.public_key])
    async with trio.open_nursery() as nursery:
        listeners: list[trio.SocketListener] = await nursery.start(
            partial(trio_ssh.serve, handler, 0, host="127.0.0.1", host_keys=[host_key], authenticate=policy)
        )
        port = listeners[0].socket.getsockname()[1]
        folder = tmp_path / ".ssh"
        folder.mkdir(mode=0o700)
        user_key.write_file(folder / "id_ed25519")
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key.public_key.to_openssh_line()}\n")
        (tmp_path / "authorized_keys").write_text(user_key.public_key.to_openssh_line())
        yield Stage(module(port), port, tmp_path, host_key, user_key)
        nursery.cancel_scope.cancel()


# --- running it ---------------------------------------------------------------------------------------------------------------------


def test_every_function_of_the_page_is_run() -> None:
    tree = ast.parse("\n".join(blocks()))
    names = {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))}
    used = set(re.findall(r"\bpage\.(\w+)", Path(__file__).read_text()))
    assert names - used == {"right_password", "start_x448", "Bzip2"}  # called by the policy, and by recipes


async def test_commands_and_processes(stage: Stage, tmp_path: Path) -> None:
    page = stage.page
    assert re.match(r"\d", await page.kernel_of_build_host())
    async with stage.connect() as client:
        assert await page.sort_there(client, "b\na\n") == "a\nb\n"
        source, target = tmp_path / "source", tmp_path / "the target"
        source.write_bytes(bytes(range(256)) * 3000)
        await page.upload(client, source, str(target))
        assert target.read_bytes() == source.read_bytes()
        with pytest.raises(RuntimeError):
            await page.upload(client, source, "/there/is/no/such/folder")
        assert b"43 132\r\n" in await page.size_of_remote_terminal(client)
        assert len((await page.load_average(client)).split()) == 5


async def test_servers(stage: Stage, tmp_path: Path) -> None:
    page = stage.page
    credentials = [trio_ssh.PrivateKeyCredential(stage.user_key)]
    pinned = page.pinned(stage.host_key.public_key.to_openssh_line("a comment"))
    async with trio.open_nursery() as nursery:
        policy = page.KeysOfUsers({"ada": {stage.user_key.public_key}})
        port = await page.serve_count(nursery, stage.host_key, policy)
        async with trio_ssh.connect("127.0.0.1", port, username="ada", credentials=credentials, host_keys=pinned) as client:
            assert (await client.run_process("count", input=b"1\n2\n3\n")).stdout == b"3 lines, ada\n"
            other = await client.run_process("other", check=False)
            assert (other.exit_status, other.stderr) == (127, b"the only command is: count\n")
        with pytest.raises(trio_ssh.AuthenticationFailed):
            await trio_ssh.connect("127.0.0.1", port, username="ben", credentials=credentials, host_keys=pinned).__aenter__()
        start = partial(page.serve_logins, 0, stage.host_key, tmp_path / "authorized_keys")
        listeners: list[trio.SocketListener] = await nursery.start(start)
        port = listeners[0].socket.getsockname()[1]
        user = getpass.getuser()
        async with trio_ssh.connect("127.0.0.1", port, username=user, credentials=credentials, host_keys=pinned) as client:
            assert (await client.run_process("id -un")).stdout.decode().strip() == user
        nursery.cancel_scope.cancel()
    assert (await page.ask_handler(page.count, "count")).stdout == b"0 lines, ada\n"
    with pytest.RaisesGroup(trio_ssh.RequestDenied):  # the page's function has a nursery
        await page.ask_handler(page.only_subsystem(page.count), "count")
    if user == "root":
        assert (await page.ask_handler(page.only_backups(), "anything")).exit_status == 0
    else:
        assert (await page.ask_handler(page.only_backups(), "anything")).exit_status == 1


async def test_passwords_and_keys(stage: Stage, tmp_path: Path) -> None:
    page = stage.page
    handler = trio_ssh.run_command("true", account=getpass.getuser())
    policy = page.keys_or_passwords(tmp_path / "authorized_keys")
    stage.user_key.write_file(tmp_path / "locked", "secret")

    async def ask_passphrase(path: str) -> str:
        return "secret"

    async with trio.open_nursery() as nursery:
        listeners: list[trio.SocketListener] = await nursery.start(
            partial(trio_ssh.serve, handler, 0, host="127.0.0.1", host_keys=[stage.host_key], authenticate=policy)
        )
        page = module(listeners[0].socket.getsockname()[1])
        file = tmp_path / ".ssh" / "known_hosts"
        file.write_text(f"* {stage.host_key.public_key.to_openssh_line()}\n")
        async with await page.with_password("lovelace") as client:
            await client.run_process("")
        with pytest.raises(trio_ssh.AuthenticationFailed):
            await (await page.with_password("wrong")).__aenter__()
        async with page.with_encrypted_key(tmp_path / "locked", ask_passphrase) as client:
            await client.run_process("")
        nursery.cancel_scope.cancel()


async def test_host_key_policies(stage: Stage, tmp_path: Path) -> None:
    page = stage.page
    file = tmp_path / "seen"

    async def look(policy: trio_ssh.HostKeyPolicy) -> None:
        async with trio_ssh.connect("127.0.0.1", stage.port, username="ada", host_keys=policy):
            pass

    with pytest.raises(trio_ssh.HostKeyUnknown):
        await look(page.strict(file))
    await look(page.ask(file))
    assert stage.host_key.public_key.to_openssh_line() in file.read_text()
    await look(page.strict(file))
    file.unlink()
    await look(page.accept_new(file))
    await look(page.strict(file))


async def test_connections(stage: Stage) -> None:
    page = stage.page
    async with trio.open_nursery() as nursery:
        client = await page.connect_within(nursery, 30)
        assert await page.with_fresh_keys(client) == (trio_ssh.RekeyCause.USER,)
        await client.aclose()
    events: list[trio_ssh.Event] = []
    statistics = await page.watched(events)
    assert statistics.bytes_sent > 0
    assert {type(event) for event in events} == set(trio_ssh.Event.__args__) - {trio_ssh.PeerLacksStrictKex}
    negotiated = await page.connect_carefully()
    assert (negotiated.cipher_client_to_server, negotiated.strict_kex) == ("aes256-gcm@openssh.com", True)
    assert await page.reachable() == "yes"


async def test_algorithms_of_your_own(stage: Stage, tmp_path: Path) -> None:
    page = stage.page
    with tables_put_back():
        page.register_own_algorithms()
        wanted = page.own_algorithms()
        host_key, user_key = (trio_ssh.PrivateKey.generate("ed448@example.com") for _ in range(2))
        user_key.write_file(tmp_path / "key")
        policy = trio_ssh.AuthorizedKeys.of([user_key.public_key])
        handler = trio_ssh.run_command("cat", account=getpass.getuser())
        start = partial(
            trio_ssh.serve, handler, 0, host="127.0.0.1", host_keys=[host_key], authenticate=policy, algorithms=wanted
        )
        async with trio.open_nursery() as nursery:
            listeners: list[trio.SocketListener] = await nursery.start(start)
            for cipher in wanted.ciphers:
                async with trio_ssh.connect(
                    "127.0.0.1",
                    listeners[0].socket.getsockname()[1],
                    credentials=[trio_ssh.PrivateKeyFile(tmp_path / "key")],
                    host_keys=page.pinned(host_key.public_key.to_openssh_line()),
                    algorithms=attrs.evolve(wanted, ciphers=[cipher]),
                ) as client:
                    assert (await client.run_process("", input=bytes(100_000))).stdout == bytes(100_000)
                    agreed = client.negotiated
                assert (agreed.kex, agreed.host_key) == ("x448-sha3-512@example.com", "ed448@example.com")
                assert agreed.cipher_client_to_server == cipher
                assert agreed.mac_server_to_client == ("" if cipher.startswith("aes256-gcm-siv") else "hmac-sha3-256-etm@example.com")
                assert agreed.compression_client_to_server == "bzip2@example.com"
            nursery.cancel_scope.cancel()


# --- what it says -------------------------------------------------------------------------------------------------------------------


def described(tool: str) -> tuple[set[str], set[str]]:
    """The flags and the options that the page names for a tool."""
    found = re.search(rf"^``{tool}``\n((?:   .*\n)+)", HOWTO, re.MULTILINE)
    assert found
    flags, options = found[1].split("options", 1)
    words = re.findall(r"\b[A-Z][A-Za-z]+\b", re.split(r"\.\s|, with", options, maxsplit=1)[0])
    return set(re.findall(r"-(\w)", flags)), set(words)


def test_the_flags_and_options_of_the_tools() -> None:
    flags, options = described("trio-ssh")
    assert flags == set(ssh_arguments._SUPPORTED)
    assert options == {keyword.name for keyword in ssh_config.TABLE.values()}
    flags, options = described("trio-sshd")
    assert flags == set(sshd_arguments._SUPPORTED)
    assert options == {keyword.name for keyword in sshd_config.TABLE.values()}


def test_the_reference_has_every_public_name() -> None:
    text = (DOCS / "reference.rst").read_text()
    there = re.findall(r"^\.\. (?:auto\w+|py:\w+):: (?:trio_ssh\.)?(\w+)", text, re.MULTILINE)
    assert sorted(set(trio_ssh.__all__) - set(there)) == ["__version__"]


def test_the_examples_page_has_every_example() -> None:
    shown = re.findall(r"literalinclude:: \.\./examples/(\w+\.py)", (DOCS / "examples.rst").read_text())
    assert sorted(shown) == sorted(path.name for path in (DOCS.parent / "examples").glob("*.py"))
