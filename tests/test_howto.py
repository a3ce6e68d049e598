"""The how-to page's Python, run: all blocks make one module, whose functions are called here one after another.

``"build.example"`` becomes the address of a server in this process; nothing else is changed. What the page says about names is checked too.
"""

from __future__ import annotations

import ast
import getpass
import importlib.util
import os
import re
import sys
import textwrap
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
import trio
import trio.testing

import trio_ssh
from tests.agent.double import SoftwareAgent
from tests.crypto.own import tables_put_back
from tests.interop.agents import listening
from tests.server.pam_services import SECRET, Services
from trio_ssh.agent import Confirm, Lifetime
from trio_ssh.cli import destination, keygen_arguments, keyscan_arguments, ssh_arguments, sshd_arguments
from trio_ssh.config import SSHDConfig, ssh_config, ssh_other, sshd_config, sshd_other
from trio_ssh.config.sshd_match import Subject
from trio_ssh.keys import parse_authorized_keys

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
        "store_password": lambda username, password: None,
        "is_right_code": lambda username, code: (username, code) == ("ada", "123456"),
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


@asynccontextmanager
async def serving(
    stage: Stage,
    policy: trio_ssh.Authenticator | trio_ssh.RulesByLogin,
    host_key: trio_ssh.CertifiedKey | None = None,
    handler: trio_ssh.Handler | None = None,
) -> AsyncIterator[Any]:
    """The page, with a server of this policy behind its ``build.example``; any key of a server is known."""

    async def greet(session: trio_ssh.ServerSession) -> None:
        await session.send_all(f"hello {session.username}".encode())

    async with trio.open_nursery() as nursery:
        keys = [stage.host_key if host_key is None else host_key]
        start = partial(trio_ssh.serve, handler or greet, 0, host="127.0.0.1", host_keys=keys, authenticate=policy)
        listeners: list[trio.SocketListener] = await nursery.start(start)
        if host_key is None:
            (stage.home / ".ssh" / "known_hosts").write_text(f"* {stage.host_key.public_key.to_openssh_line()}\n")
        yield module(listeners[0].socket.getsockname()[1])
        nursery.cancel_scope.cancel()


async def answers(connecting: trio_ssh.Connecting) -> str:
    async with connecting as client:
        return (await client.run_process("hello")).stdout.decode()


async def test_a_password_that_has_expired(stage: Stage) -> None:
    async def choose(prompt: str) -> str:
        prompts.append(prompt)
        return "short" if len(prompts) == 1 else "long enough by far"

    prompts: list[str] = []
    policy = stage.page.passwords_that_expire(lambda username: True)
    async with serving(stage, policy) as page:
        assert await answers(page.with_password_that_may_have_expired("lovelace", choose)) == "hello ada"
        with pytest.raises(trio_ssh.AuthenticationFailed):
            await answers(page.with_password_that_may_have_expired("wrong", choose))
    assert prompts == ["Your password has expired. A new one: ", "That is too short. A new one: "]
    async with serving(stage, stage.page.passwords_that_expire(lambda username: False)) as page:
        assert await answers(page.with_password_that_may_have_expired("lovelace", choose)) == "hello ada"


async def test_two_factors(stage: Stage, tmp_path: Path) -> None:
    codes = ["654321", "123456"]

    async def answer(prompt: str) -> str:
        assert prompt == "Code: "
        return codes.pop(0)

    async with serving(stage, stage.page.key_or_password_and_code(tmp_path / "authorized_keys")) as page:
        assert await answers(page.with_key_and_answers(stage.user_key, answer)) == "hello ada"
        with pytest.raises(trio_ssh.AuthenticationFailed):
            await answers(await page.with_password("lovelace"))
    assert codes == []


async def test_rules_by_login(stage: Stage) -> None:
    key = trio_ssh.AuthorizedKeys.of([stage.user_key.public_key])
    code = trio_ssh.KeyboardInteractiveServer(stage.page.ask_for_code)
    rules = stage.page.StricterFromOutside(key, code)
    assert (await rules.rules_for(trio_ssh.Login(username="ada", address="192.0.2.7"))).authenticate is key

    async def answer(prompt: str) -> str:
        return "123456"

    async with serving(stage, rules, handler=stage.page.tell_what_was_asked_for) as page:
        assert await answers(page.with_key_and_answers(stage.user_key, answer)) == "you get backup, whatever hello is\n"
        with pytest.raises(trio_ssh.AuthenticationFailed):
            await answers(await page.with_password("lovelace"))


async def test_permissions(stage: Stage) -> None:
    reader = trio_ssh.PrivateKey.generate()
    policy = stage.page.ReadersAndWriters({stage.user_key.public_key}, {reader.public_key})
    async with serving(stage, policy, handler=stage.page.tell_what_was_asked_for) as page:
        said = [await answers(page.with_key_and_answers(key, None)) for key in (stage.user_key, reader)]
    assert said == ["you get hello, whatever hello is\n", "you get read, whatever hello is\n"]


async def test_certificates(stage: Stage, tmp_path: Path) -> None:
    authority, page = trio_ssh.PrivateKey.generate(), stage.page
    certificate = page.certify_user(authority, stage.user_key.public_key, "ada")
    stage.user_key.write_file(tmp_path / "id")
    (tmp_path / "id-cert.pub").write_text(certificate.to_openssh_line())
    (tmp_path / "authorities").write_text(f"{authority.public_key.to_openssh_line()}\n")
    (tmp_path / ".ssh" / "known_hosts").write_text(f"@cert-authority 127.0.0.1 {authority.public_key.to_openssh_line()}\n")
    host_key = page.certify_host(authority, stage.host_key, "127.0.0.1")
    for policy in (page.by_certificate(tmp_path / "authorities"), page.by_role(authority.public_key, {"ada": ["ada", "root"]})):
        async with serving(stage, policy, host_key) as page:
            assert await answers(page.with_certificate(tmp_path / "id")) == "hello ada"
    async with serving(stage, page.by_role(authority.public_key, {"ada": ["root"]}), host_key) as page:
        with pytest.raises(trio_ssh.AuthenticationFailed):
            await answers(page.with_certificate(tmp_path / "id"))


async def test_pam(stage: Stage, tmp_path: Path) -> None:
    services = Services.make(tmp_path)
    pam = services.pam(services.check, "account required pam_permit.so")

    async def answer(prompt: str) -> str:
        return SECRET

    async with serving(stage, stage.page.by_key_or_pam({"ada": {stage.user_key.public_key}}, pam)) as page:
        assert await answers(await page.with_password(SECRET)) == "hello ada"
        assert await answers(page.with_key_and_answers(stage.user_key, answer)) == "hello ada"
        assert await answers(page.with_key_and_answers(trio_ssh.PrivateKey.generate(), answer)) == "hello ada"


async def test_a_configuration_in_a_program(stage: Stage, tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(f"Host build\n    HostName 127.0.0.1\n    User ada\n    Port {stage.port}\n")
    page = stage.page
    assert page.where_the_port_comes_from(file, "build") == f"port {stage.port}, {file} line 4"
    assert page.where_the_port_comes_from(file, "other") == "port 22, the default"
    async with await page.connect_as_configured(file, "build") as client:
        assert client.username == "ada"


async def test_key_files(tmp_path: Path) -> None:
    page, path = module(22), tmp_path / "id"
    public = page.make_a_key(path, "old")
    assert trio_ssh.PrivateKey.from_bytes(page.for_a_program_that_wants_a_pem(path, "old")).public_key == public
    exported = trio_ssh.CommentedPublicKey.from_bytes(page.for_a_program_that_wants_rfc_4716(tmp_path / "id.pub"))
    assert (exported.key, exported.comment) == (public, "ada@example.com")
    await page.lock_again(path, "old", "new")
    with pytest.raises(trio_ssh.WrongPassphrase):
        trio_ssh.PrivateKey.from_file(path, "old")
    assert trio_ssh.PrivateKey.from_file(path, "new").public_key == public


async def test_keys_of_an_agent(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> None:
    page = stage.page
    agent = SoftwareAgent()
    async with listening(agent, tmp_path_factory.mktemp("agent")) as place:
        await page.lend_a_key_for_an_hour(place.path, stage.user_key)
        agent.hold(trio_ssh.PrivateKey.generate(), "another")
        assert await page.list_keys(place.path) == ["ssh-ed25519 ", "ssh-ed25519 another"]
        async with page.with_one_key_of_an_agent(place.path, stage.user_key.public_key) as client:
            assert (await client.run_process("echo in")).stdout == b"in\n"
    [held, _] = agent.held.values()
    assert held.constraints == (Lifetime(3600), Confirm())


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
    await look(page.learning(file))
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


@pytest.mark.parametrize(
    ("tool", "supported"),
    [
        ("trio-ssh", ssh_arguments._SUPPORTED),
        ("trio-sshd", sshd_arguments._SUPPORTED),
        ("trio-ssh-keygen", keygen_arguments.SUPPORTED),
        ("trio-ssh-keyscan", keyscan_arguments.SUPPORTED),
    ],
)
def test_the_flags_of_the_tools(tool: str, supported: str) -> None:
    found = re.search(rf"^``{tool}``\n   flags ``([^`]+)``", HOWTO, re.MULTILINE)
    assert found
    assert set(re.findall(r"-(\w)", found[1])) == set(supported)


def config_tables() -> Any:
    """The extension that lists keywords in the documentation."""
    spec = importlib.util.spec_from_file_location("config_tables", DOCS / "_ext" / "config_tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_configuration_page_has_every_keyword() -> None:
    """Its lists are made from the tables that read the files, each keyword in one of them."""
    tables = config_tables()
    assert re.findall(r"^\.\. config-keywords:: (\w+)$", (DOCS / "configuration.rst").read_text(), re.MULTILINE) == ["ssh", "sshd"]
    ignored = [name for names, _, _ in tables.ssh_others() for name in names.split(", ")]
    assert {*tables.ssh_names(), *ignored} == {*ssh_config.OPTION_NAMES, *(other.name for other in ssh_other.OTHERS.values())}
    assert len({*tables.ssh_names(), *ignored}) == len(tables.ssh_names()) + len(ignored)
    ignored = [name for names, _, _ in tables.sshd_others() for name in names.split(", ")]
    assert set(tables.sshd_names()) == {keyword.name for keyword in sshd_config.TABLE.values()}
    assert sorted(ignored) == sorted(other.name for other in sshd_other.OTHERS.values())
    assert ("skeyauthentication", "KbdInteractiveAuthentication") in tables.other_names(ssh_config.TABLE)


def test_the_configuration_page_has_the_values_that_are_refused() -> None:
    found = re.search(r"values are errors: ([^.]+)\.", (DOCS / "configuration.rst").read_text())
    assert found
    assert set(re.findall(r"``(\w+) \w+``", found[1])) == {keyword.name for keyword in destination._REFUSED_VALUES}


def texts() -> list[str]:
    """The pieces of files on the page."""
    return [textwrap.dedent(block) for block in re.findall(r"^\.\. code-block:: text\n\n((?:   .*\n|\n)+)", HOWTO, re.MULTILINE)]


def test_the_configuration_for_a_server() -> None:
    [text] = [text for text in texts() if "Match User" in text]
    config = SSHDConfig.from_text(text)
    assert config.warnings == ()
    assert config.settings[sshd_config.FORCE_COMMAND] is None
    backup = config.for_subject(Subject(user="backup", address="192.0.2.7"))
    assert backup[sshd_config.FORCE_COMMAND] == "/usr/local/bin/backup"
    assert len(config.settings[sshd_config.AUTHENTICATION_METHODS][0]) == 2
    assert len(backup[sshd_config.AUTHENTICATION_METHODS][0]) == 1


def test_the_lines_with_options() -> None:
    """As they stand, with a key where the page leaves it out."""
    [text] = [text for text in texts() if "restrict,pty" in text]
    key = trio_ssh.PrivateKey.generate().public_key.to_openssh_line()
    parsed = parse_authorized_keys(text.replace("ssh-ed25519 AAAA…", key), "page")
    assert parsed.skipped == ()
    assert [entry.options.cert_authority for entry in parsed.entries] == [False, False, True]


async def test_the_commands_for_keys(tmp_path: Path) -> None:
    """Each runs as it stands, in an empty folder."""
    [commands] = re.findall(r"^\.\. code-block:: sh\n\n((?:   .*\n|\n)+)", HOWTO, re.MULTILINE)
    tool = tmp_path / "bin" / "trio-ssh-keygen"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\nexec {sys.executable} -m trio_ssh keygen "$@"\n')
    tool.chmod(0o755)
    environ = {**os.environ, "HOME": str(tmp_path), "PATH": f"{tool.parent}:{os.environ['PATH']}", "PYTHONPATH": str(DOCS.parent)}
    script = ["sh", "-euc", textwrap.dedent(commands)]
    done = await trio.run_process(script, cwd=tmp_path, env=environ, capture_stdout=True, capture_stderr=True, check=False)
    assert done.returncode == 0, done.stderr
    certificate = trio_ssh.CertifiedKey.from_files(tmp_path / "id_ada", passphrase="correct horse").certificate
    assert (certificate.key_id, certificate.principals, certificate.extensions) == ("ada, this week", ("ada",), (("permit-pty", b""),))
    of_host = trio_ssh.CertifiedKey.from_files(tmp_path / "host_ed25519").certificate
    of_host.check_host("build.example", time.time())


def test_the_reference_has_every_public_name() -> None:
    text = (DOCS / "reference.rst").read_text()
    there = re.findall(r"^\.\. (?:auto\w+|py:\w+):: (?:trio_ssh\.)?(\w+)", text, re.MULTILINE)
    assert sorted(set(trio_ssh.__all__) - set(there)) == ["__version__"]


def test_the_examples_page_has_every_example() -> None:
    shown = re.findall(r"literalinclude:: \.\./examples/(\w+\.py)", (DOCS / "examples.rst").read_text())
    assert sorted(shown) == sorted(path.name for path in (DOCS.parent / "examples").glob("*.py"))
