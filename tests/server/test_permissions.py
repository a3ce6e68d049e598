"""What the permissions of a login do to its sessions: forced commands, terminals, variables; and that further factors widen nothing."""

from __future__ import annotations

import itertools

import attrs
import pytest
from trio.testing import memory_stream_pair

import trio_ssh
from tests import pairs
from trio_ssh import RESTRICTED, Permissions, Terminal, Verdict, testing

TERMINAL = Terminal("vt100", columns=80, rows=24)
FORCED = Permissions(force_command="forced command")


def letting_in(permissions: Permissions):
    async def policy(attempt: trio_ssh.AuthAttempt) -> Verdict:
        return Verdict(accepted=True, permissions=permissions)

    return policy


class Seen:
    """A handler that notes what its sessions are told."""

    def __init__(self) -> None:
        self.sessions: list[dict[str, object]] = []

    async def __call__(self, session: trio_ssh.ServerSession) -> int:
        names = ("command", "subsystem", "original_command", "environ", "terminal", "permissions")
        self.sessions.append({name: getattr(session, name) for name in names})
        return 0

    @property
    def last(self) -> dict[str, object]:
        return self.sessions[-1]


async def ask_all(client: trio_ssh.Client) -> None:
    """A shell, a command, a subsystem."""
    async with client.open_shell() as process:
        await process.wait()
    await client.run_process("wanted")
    async with client.open_subsystem("sftp") as process:
        await process.wait()


# --- forced commands ---------------------------------------------------------------------------------------------------------------------


async def test_without_a_forced_command_everybody_gets_what_was_asked_for(autojump_clock):
    seen = Seen()
    async with pairs.connected(seen, authenticate=letting_in(Permissions())) as ends:
        await ask_all(ends.client)
    found = [(one["command"], one["subsystem"], one["original_command"]) for one in seen.sessions]
    assert found == [(None, None, None), ("wanted", None, "wanted"), (None, "sftp", "sftp")]
    assert [one["permissions"] for one in seen.sessions] == [Permissions(), Permissions(), Permissions(user_rc=False)]


@pytest.mark.parametrize("forced", ["forced command", ""])
async def test_a_forced_command_replaces_shell_command_and_subsystem_alike(autojump_clock, forced):
    seen = Seen()
    async with pairs.connected(seen, authenticate=letting_in(Permissions(force_command=forced))) as ends:
        await ask_all(ends.client)
    found = [(one["command"], one["subsystem"], one["original_command"]) for one in seen.sessions]
    assert found == [(forced, None, None), (forced, None, "wanted"), (forced, None, "sftp")]


async def test_every_session_of_the_login_is_forced(autojump_clock):
    seen = Seen()
    async with pairs.connected(seen, authenticate=letting_in(FORCED)) as ends:
        for number in range(3):
            await ends.client.run_process(f"wanted {number}")
    assert [one["command"] for one in seen.sessions] == ["forced command"] * 3


async def test_services_give_forced_commands_to_the_handler_of_commands(autojump_clock):
    commands, sftp = Seen(), Seen()
    services = trio_ssh.Services(session=commands, subsystems={"sftp": sftp})
    async with testing.open_connection_pair(services, authenticate=letting_in(FORCED)) as ends:
        await ask_all(ends.client)
        with pytest.raises(trio_ssh.RequestDenied):
            async with ends.client.open_subsystem("unknown"):
                pytest.fail("there is no such subsystem")
    assert not sftp.sessions
    assert [one["original_command"] for one in commands.sessions] == [None, "wanted", "sftp"]


async def test_where_nobody_can_execute_the_forced_command_nothing_is_opened(autojump_clock):
    sftp = Seen()
    services = trio_ssh.Services(subsystems={"sftp": sftp})
    async with testing.open_connection_pair(services, authenticate=letting_in(FORCED)) as ends:
        with pytest.raises(trio_ssh.RequestDenied):
            async with ends.client.open_subsystem("sftp"):
                pytest.fail("the subsystem is not what the key is for")
    assert not sftp.sessions


# --- terminals and variables -------------------------------------------------------------------------------------------------------------


async def test_no_terminal_for_whom_may_have_none(autojump_clock):
    seen = Seen()
    async with pairs.connected(seen, authenticate=letting_in(RESTRICTED)) as ends:
        with pytest.raises(trio_ssh.RequestDenied):
            await ends.client.run_process("x", terminal=TERMINAL)
        await ends.client.run_process("x")
    (one,) = seen.sessions
    assert one["terminal"] is None
    assert one["permissions"] == RESTRICTED


async def test_restrict_and_pty_gives_a_terminal(autojump_clock):
    seen = Seen()
    async with pairs.connected(seen, authenticate=letting_in(attrs.evolve(RESTRICTED, terminal=True))) as ends:
        await ends.client.run_process("x", terminal=TERMINAL)
    assert seen.last["terminal"] == TERMINAL


async def test_variables_of_the_key_stand_above_the_clients(autojump_clock):
    seen = Seen()
    granted = Permissions(environ=(("LC_ALL", "key"), ("PATH", "/opt/bin"), ("B", "1"), ("B", "2")))
    async with pairs.connected(seen, authenticate=letting_in(granted)) as ends:
        await ends.client.run_process("x", environ={"LC_ALL": "client", "LC_TIME": "client", "B": "client"})
        await ends.client.run_process("x")
    assert seen.sessions[0]["environ"] == {"LC_ALL": "key", "LC_TIME": "client", "PATH": "/opt/bin", "B": "2"}
    assert seen.sessions[1]["environ"] == {"LC_ALL": "key", "PATH": "/opt/bin", "B": "2"}


async def test_rules_of_a_login_say_which_variables_are_taken(autojump_clock):
    class Rules:
        async def rules_for(self, login: trio_ssh.Login) -> trio_ssh.LoginRules:
            authenticate = trio_ssh.AuthorizedKeys.of([pairs.USER_KEY.public_key])
            return trio_ssh.LoginRules(authenticate=authenticate, accept_env=("A*",), permissions=RESTRICTED)

    seen = Seen()
    rules: trio_ssh.Authenticator = Rules()  # type: ignore[assignment]
    async with pairs.connected(seen, authenticate=rules) as ends:
        await ends.client.run_process("x", environ={"AB": "1", "LANG": "2"})
    assert seen.last["environ"] == {"AB": "1"}
    assert seen.last["permissions"] == RESTRICTED


# --- by keys and certificates ------------------------------------------------------------------------------------------------------------


async def test_from_the_line_of_authorized_keys_to_the_session(autojump_clock, tmp_path):
    (tmp_path / "keys").write_text(f'restrict,pty,command="f",environment="A=b" {pairs.USER_KEY.public_key.to_openssh_line()}\n')
    seen = Seen()
    async with pairs.connected(seen, authenticate=trio_ssh.AuthorizedKeys.from_file(tmp_path / "keys")) as ends:
        await ends.client.run_process("wanted", terminal=TERMINAL)
    assert seen.last == {
        "command": "f",
        "subsystem": None,
        "original_command": "wanted",
        "environ": {"A": "b"},
        "terminal": TERMINAL,
        "permissions": attrs.evolve(RESTRICTED, terminal=True, force_command="f", environ=(("A", "b"),)),
    }


def certificate_credential(authority: trio_ssh.PrivateKey, **more) -> trio_ssh.CertificateCredential:
    request = trio_ssh.CertificateRequest(public_key=pairs.USER_KEY.public_key, principals=("ada",), **more)
    certificate = trio_ssh.sign_certificate(authority, request)
    return trio_ssh.CertificateCredential.of(trio_ssh.CertifiedKey(pairs.USER_KEY, certificate))


# --- several factors ---------------------------------------------------------------------------------------------------------------------


async def right_password(username: str, password: str) -> bool:
    return password == "right"


PASSWORD = trio_ssh.Password("right")


@pytest.mark.parametrize("password_first", [False, True])
async def test_b06_options_of_a_certificate_hold_whatever_the_second_factor_is(autojump_clock, password_first):
    """Memory streams have no address: a source-address matches nobody there, and an empty one nobody anywhere."""
    authority = trio_ssh.PrivateKey.generate()
    by_certificate, by_password = trio_ssh.TrustedUserCA(authority.public_key), trio_ssh.Passwords(right_password)
    both = trio_ssh.all_of(by_password, by_certificate) if password_first else trio_ssh.all_of(by_certificate, by_password)
    seen = Seen()
    good = certificate_credential(authority, critical_options={"force-command": "f"})
    client_stream, server_stream = memory_stream_pair()
    async with pairs.served(seen, stream=server_stream, authenticate=both):
        async with pairs.connecting(client_stream, credentials=[good, PASSWORD]) as client:
            await client.run_process("wanted")
            with pytest.raises(trio_ssh.RequestDenied):
                await client.run_process("wanted", terminal=TERMINAL)
    assert seen.last["command"] == "f"
    assert seen.last["permissions"] == attrs.evolve(RESTRICTED, force_command="f")
    for options in ({"source-address": ""}, {"source-address": "192.0.2.0/24"}, {"unheard-of": b""}):
        bad = certificate_credential(authority, critical_options={"force-command": "f", **options})
        client_stream, server_stream = memory_stream_pair()
        async with pairs.served(seen, stream=server_stream, authenticate=both):
            with pytest.raises(trio_ssh.AuthenticationFailed):
                async with pairs.connecting(client_stream, credentials=[bad, PASSWORD]):
                    pytest.fail("let in")
    assert len(seen.sessions) == 1


LIMITS = (Permissions(), Permissions(force_command="f"), attrs.evolve(RESTRICTED, environ=(("A", "b"),)))


@pytest.mark.parametrize("password_first", [False, True])
@pytest.mark.parametrize(("of_key", "of_password"), list(itertools.product(LIMITS, LIMITS)))
async def test_b06_b19_the_limits_of_both_factors_hold_in_either_order(autojump_clock, of_key, of_password, password_first):
    """B19's matrix: two orders, three limits of one factor, three of the other."""

    class Key:
        methods = ("publickey",)

        async def __call__(self, attempt: trio_ssh.AuthAttempt) -> Verdict:
            return Verdict(accepted=True, permissions=of_key)

    async def password(username: str, given: str) -> Verdict:
        return Verdict(accepted=given == "right", permissions=of_password)

    factors: list[trio_ssh.Authenticator] = [Key(), trio_ssh.Passwords(password)]
    if password_first:
        factors.reverse()
    seen = Seen()
    client_stream, server_stream = memory_stream_pair()
    credentials = [trio_ssh.PrivateKeyCredential(pairs.USER_KEY), PASSWORD]
    async with pairs.served(seen, stream=server_stream, authenticate=trio_ssh.all_of(*factors)):
        async with pairs.connecting(client_stream, credentials=credentials) as client:
            await client.run_process("wanted")
    found = seen.last["permissions"]
    assert isinstance(found, Permissions)
    for limits in (of_key, of_password):
        assert attrs.evolve(found.narrowed_by(limits), environ=()) == attrs.evolve(found, environ=())
        assert set(limits.environ) <= set(found.environ)
    assert seen.last["command"] == ("f" if "f" in (of_key.force_command, of_password.force_command) else "wanted")


async def test_b05_the_limits_of_a_key_whose_login_failed_are_forgotten(autojump_clock, tmp_path):
    """A key with command= that is refused (from=), then a password: it is a login by password, and nothing of the key's applies."""
    (tmp_path / "keys").write_text(f'restrict,command="f",from="10.0.0.0/8" {pairs.USER_KEY.public_key.to_openssh_line()}\n')
    policy = trio_ssh.any_of(trio_ssh.AuthorizedKeys.from_file(tmp_path / "keys"), trio_ssh.Passwords(right_password))
    seen = Seen()
    client_stream, server_stream = memory_stream_pair()
    credentials = [trio_ssh.PrivateKeyCredential(pairs.USER_KEY), PASSWORD]
    async with pairs.served(seen, stream=server_stream, authenticate=policy):
        async with pairs.connecting(client_stream, credentials=credentials) as client:
            await client.run_process("wanted", terminal=TERMINAL)
    assert seen.last["command"] == "wanted"
    assert seen.last["permissions"] == Permissions()
