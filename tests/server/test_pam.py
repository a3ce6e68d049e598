"""PAM with service files of the tests' own: stacks of modules that never look at an account of this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import attrs
import pytest
import trio

from tests.server.pam_services import ACCOUNT, EXPIRED, PERMIT, SECRET, Services
from trio_ssh import REFUSE, AuthAttempt, LocalProtocolError, Prompt, Verdict
from trio_ssh.connection.authenticator import Authenticator
from trio_ssh.errors import ConfigError
from trio_ssh.server.pam import PAM
from trio_ssh.server.pam_library import Flag, PAMSession


@pytest.fixture
def services(tmp_path: Path) -> Services:
    return Services.make(tmp_path)


async def by_password(policy: Authenticator, password: str, new_password: str | None = None, username: str = "alice") -> Verdict:
    attempt = AuthAttempt(username=username, method="password", password=password, new_password=new_password, address="192.0.2.7")
    return await policy(attempt)


@attrs.define(eq=False)
class Client:
    """Answers what it is asked, round by round, and keeps what that was."""

    answers: list[Sequence[str] | Exception]
    rounds: list[tuple[tuple[Prompt, ...], str]] = attrs.field(factory=list)

    async def ask(self, prompts: Sequence[Prompt], name: str, instruction: str) -> tuple[str, ...]:
        self.rounds.append((tuple(prompts), instruction))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return tuple(answer)

    async def talk(self, policy: Authenticator, username: str = "alice") -> Verdict:
        return await policy(AuthAttempt(username=username, method="keyboard-interactive", ask_client=self.ask, address="192.0.2.7"))


# --- password ----------------------------------------------------------------------------------------------------------------------------


async def test_a_password_that_pam_takes(services):
    policy = services.pam(services.check, ACCOUNT).passwords()
    assert policy.methods == ("password",)
    assert (await by_password(policy, SECRET)).accepted
    refused = await by_password(policy, "wrong")
    assert not refused.accepted
    assert refused.detail.startswith("PAM refuses the password: ")
    assert services.seen == ["alice/192.0.2.7/ssh/test"] * 2


@pytest.mark.parametrize(
    "lines",
    [
        ("auth required pam_deny.so", ACCOUNT),
        ("auth required pam_permit.so", "account required pam_deny.so"),
        ("auth required pam_debug.so auth=auth_err", ACCOUNT),
        ("auth required pam_debug.so auth=maxtries", ACCOUNT),
        ("auth required pam_permit.so", "account required pam_debug.so acct=acct_expired"),
    ],
)
async def test_what_pam_refuses(lines, services):
    pam = services.pam(*lines)
    assert not (await by_password(pam.passwords(), SECRET)).accepted
    assert not (await Client([()] * 3).talk(pam.keyboard_interactive())).accepted


async def test_b10_b23_passwords_that_pam_never_sees(services):
    """Empty, with a NUL, or too long: the module that would check them is given none."""
    policy = services.pam(services.check, ACCOUNT).passwords()
    for password in ("", f"{SECRET}\0", f"{SECRET}\0x", "p" * 512, "p" * 2000, "p" * 200 * 1024):
        assert not (await by_password(policy, password)).accepted
    for username in ("a\0b", "u" * 600, "\ud800"):
        assert not (await by_password(policy, SECRET, username=username)).accepted
    assert services.seen == []


async def test_b23_an_empty_password_counts_where_it_is_permitted(services):
    assert not (await by_password(services.pam(*PERMIT).passwords(), "")).accepted
    assert (await by_password(services.pam(*PERMIT, permit_empty=True).passwords(), "")).accepted


async def test_an_expired_password_is_changed(services):
    policy = services.pam(services.check, *EXPIRED).passwords()
    verdict = await by_password(policy, SECRET)
    assert (verdict.accepted, verdict.change_password) == (False, "Your password has expired. Choose a new one.")
    assert (await by_password(policy, "wrong")).change_password == ""
    assert not (await by_password(policy, "wrong", "a new one")).accepted
    assert (await by_password(policy, SECRET, "a new one")).accepted
    again = await by_password(policy, SECRET, "")
    assert (again.accepted, again.change_password) == (False, "The new password was not taken. Choose another one.")


@pytest.mark.parametrize("module", ["pam_stress.so fail_1", "pam_debug.so prechauthtok=try_again", "pam_debug.so chauthtok=authtok_err"])
async def test_a_new_password_that_is_not_taken(module, services):
    policy = services.pam(services.check, EXPIRED[0], f"password required {module}").passwords()
    verdict = await by_password(policy, SECRET, "a new one")
    assert (verdict.accepted, verdict.change_password) == (False, "The new password was not taken. Choose another one.")


async def test_a_password_is_changed_on_request(services):
    """Without it having expired."""
    policy = services.pam(services.check, ACCOUNT, "password required pam_permit.so").passwords()
    assert (await by_password(policy, SECRET, "a new one")).accepted
    assert not (await by_password(policy, "wrong", "a new one")).accepted


# --- keyboard-interactive ----------------------------------------------------------------------------------------------------------------


async def test_questions_of_pam(services):
    policy = services.pam(services.check, ACCOUNT).keyboard_interactive()
    assert policy.methods == ("keyboard-interactive",)
    client = Client([[SECRET]])
    assert (await client.talk(policy)).accepted
    assert client.rounds == [((Prompt("Password: ", echo=False),), "")]
    assert not (await Client([["wrong"]]).talk(policy)).accepted


async def test_several_rounds_and_texts(services):
    """Each module asks in its turn; texts are shown above the next question, and the last ones once it is clear who it is."""
    (services.folder / "hello").write_text("Hello %u")
    (services.folder / "news").write_text("News")
    echo = f"auth required pam_echo.so file={services.folder}/hello"
    news = f"account required pam_echo.so file={services.folder}/news"
    policy = services.pam(echo, services.check, "auth required pam_stress.so", ACCOUNT, news).keyboard_interactive()
    client = Client([[SECRET], ["whatever"], []])
    assert (await client.talk(policy)).accepted
    assert client.rounds == [
        ((Prompt("Password: "),), "Hello alice"),
        ((Prompt("STRESS Password: "),), ""),
        ((), "News"),
    ]
    stranger = Client([["wrong"], ["whatever"]])
    assert not (await stranger.talk(policy)).accepted
    assert len(stranger.rounds) == 2


async def test_an_expired_password_is_changed_on_the_way(services):
    policy = services.pam(services.check, *EXPIRED).keyboard_interactive()
    client = Client([[SECRET], ["a new one", "a new one"]])
    assert (await client.talk(policy)).accepted
    prompts, instruction = client.rounds[1]
    assert [prompt.text for prompt in prompts] == ["Enter new STRESS password: ", "Retype new STRESS password: "]
    assert instruction == "Changing STRESS password for alice."


async def test_b08_answers_that_do_not_fit_the_questions(services):
    policy = services.pam(services.check, ACCOUNT).keyboard_interactive()
    for answers in ((), (SECRET, SECRET), (f"{SECRET}\0",), ("p" * 2000,)):
        assert not (await Client([answers]).talk(policy)).accepted
    assert services.seen == []


async def test_what_cannot_be_asked_is_a_refusal(services):
    policy = services.pam(services.check, ACCOUNT).keyboard_interactive()
    assert not (await Client([LocalProtocolError("too many prompts")]).talk(policy)).accepted
    assert services.seen == []


# --- who may not log in ------------------------------------------------------------------------------------------------------------------


async def test_b09_a_futile_login_is_asked_the_same_and_refused(services):
    for lines in ((services.check, ACCOUNT), PERMIT, (services.check, *EXPIRED)):
        pam = services.pam(*lines)
        before = len(services.seen)
        assert not (await by_password(pam.passwords(futile=True), SECRET)).accepted
        assert not (await by_password(pam.passwords(futile=True), SECRET, "a new one")).accepted
        client, usual = Client([[SECRET]] * 2), Client([["wrong"]] * 2)
        assert not (await client.talk(pam.keyboard_interactive(futile=True))).accepted
        if lines is not PERMIT:
            assert not (await usual.talk(pam.keyboard_interactive())).accepted
            assert client.rounds == usual.rounds
            assert len(services.seen) == before + 4


async def test_accounts_of_those_who_come_by_a_key(services):
    class Keys:
        methods = ("publickey",)
        asked = 0

        async def __call__(self, attempt: AuthAttempt) -> Verdict:
            self.asked += 1
            return Verdict(accepted=attempt.username != "nobody", detail="a key")

    good, bad = services.pam("account required pam_permit.so"), PAM("other", services.folder)
    (services.folder / "other").write_text("account required pam_debug.so acct=acct_expired\n")
    proven = AuthAttempt(username="alice", method="publickey", proven=True)
    assert (await good.with_accounts(Keys())(proven)).detail == "a key"
    assert good.with_accounts(Keys()).methods == ("publickey",)
    verdict = await bad.with_accounts(Keys())(proven)
    assert (verdict.accepted, verdict.detail) == (False, "PAM refuses the account: User account has expired")
    assert (await bad.with_accounts(Keys())(attrs.evolve(proven, proven=False))).accepted  # a question has no effects
    assert await good.with_accounts(Keys())(attrs.evolve(proven, username="nobody")) == Verdict(accepted=False, detail="a key")
    expired = services.pam(EXPIRED[0])
    assert not (await expired.check_account("alice")).accepted


async def test_a_service_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="PAM cannot begin with the service 'missing'"):
        await by_password(PAM("missing", tmp_path).passwords(), SECRET)


# --- the thread and the task -------------------------------------------------------------------------------------------------------------


async def all_threads_ended(pam: PAM) -> None:
    """A thread that was left behind keeps its token until it ends."""
    for number in range(pam.threads):
        await pam.limiter.acquire_on_behalf_of(number)
    for number in range(pam.threads):
        pam.limiter.release_on_behalf_of(number)


async def test_b16_a_login_that_is_cancelled_at_a_question_ends_its_thread(services):
    pam = services.pam(services.check, services.check, ACCOUNT, threads=1)
    with trio.CancelScope() as scope:

        async def never(prompts: Sequence[Prompt], name: str, instruction: str) -> tuple[str, ...]:
            scope.cancel()
            await trio.sleep_forever()
            raise AssertionError

        await pam.keyboard_interactive()(AuthAttempt(username="alice", method="keyboard-interactive", ask_client=never))
    assert scope.cancelled_caught
    await all_threads_ended(pam)
    assert services.seen == []


@pytest.mark.parametrize("method", ["password", "keyboard-interactive"])
async def test_b16_a_module_that_ends_late_has_no_effect(method, services):
    """The deadline comes while a module is at work: nobody waits for it, and that it says yes in the end changes nothing."""
    started, release = services.folder / "started", services.folder / "release"
    os.mkfifo(started)
    os.mkfifo(release)
    slow = services.script("slow", f"#!/bin/sh\necho > {started}\nread -r line < {release}\ntouch {services.folder}/done\nexit 0\n")
    pam = services.pam(f"auth required pam_exec.so quiet {slow}", ACCOUNT, threads=1)
    policy = pam.passwords() if method == "password" else pam.keyboard_interactive()
    verdicts = []

    async def log_in() -> None:
        attempt = AuthAttempt(username="alice", method=method, password=SECRET, ask_client=Client([]).ask)
        verdicts.append(await policy(attempt))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(log_in)
        await trio.to_thread.run_sync(started.read_bytes)
        nursery.cancel_scope.cancel()
    assert verdicts == []
    assert not (services.folder / "done").exists()
    await trio.to_thread.run_sync(release.write_bytes, b"go on\n")
    await all_threads_ended(pam)
    assert (services.folder / "done").exists()
    assert verdicts == []


async def test_logins_beyond_the_threads_wait(services):
    pam = services.pam(services.check, ACCOUNT, threads=2)
    policy = pam.keyboard_interactive()
    asked, most = 0, 0
    verdicts = []

    async def log_in() -> None:
        async def ask(prompts: Sequence[Prompt], name: str, instruction: str) -> tuple[str, ...]:
            nonlocal asked, most
            asked += 1
            most = max(most, asked)
            await trio.lowlevel.checkpoint()
            asked -= 1
            return (SECRET,)

        verdicts.append(await policy(AuthAttempt(username="alice", method="keyboard-interactive", ask_client=ask)))

    async with trio.open_nursery() as nursery:
        for _ in range(6):
            nursery.start_soon(log_in)
    assert [verdict.accepted for verdict in verdicts] == [True] * 6
    assert most <= 2


def test_no_secret_is_shown(services, caplog):
    """Neither in what is logged nor in what is represented."""
    caplog.set_level(0)
    pam = services.pam(services.check, ACCOUNT)
    client = Client([[SECRET]])
    trio.run(by_password, pam.passwords(), SECRET)
    trio.run(client.talk, pam.keyboard_interactive())
    assert SECRET not in caplog.text
    assert SECRET not in repr(AuthAttempt(username="alice", method="password", password=SECRET))


def test_the_library_refuses_what_c_would_cut(services):
    services.pam(*PERMIT)
    with pytest.raises(ValueError, match="NUL"):
        PAMSession("test", "a\0b", lambda questions: None, services.folder)
    with PAMSession("test", "alice", lambda questions: None, services.folder) as session:
        assert session.username == "alice"
        assert session.authenticate(Flag.NONE) == 0
        assert session.words(0) == "Success"
    assert REFUSE.accepted is False
