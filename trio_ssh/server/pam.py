"""Passwords and keyboard-interactive checked by PAM, the system's own authentication: policies for `serve`, and what ``UsePAM`` means.

Theory of operation: a call of libpam blocks, for as long as its modules like, and asks its questions from within (`pam_library`). So each
attempt has a thread of its own, and a `_Bridge` between the two: the thread leaves its questions there and waits, the policy's task takes
them to the client and brings the answers. When the task is cancelled, because the client has gone or its time is up, it does not wait for
the thread: the thread gets "nobody answers" for this question and all further ones, and whatever it comes to has no effect, since only the
task gives verdicts (hardening B16). A thread that is left behind still counts against `PAM.threads` until it ends.

What is done is `pam_authenticate`, `pam_acct_mgmt` and, where a new password is required, `pam_chauthtok`. Sessions of PAM are not opened:
their modules change the process that opens them (its limits, its groups, its name space), and that is the whole server here.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import queue
from collections.abc import Awaitable, Callable, Sequence

import attrs
import trio

from ..connection.authenticator import ACCEPT, REFUSE, Authenticator, Verdict
from ..errors import LocalProtocolError, printable
from ..protocol.auth_attempt import AuthAttempt, Prompt
from .pam_library import Converse, Flag, Item, PAMSession, Question, Status, Style, load_pam

_log = logging.getLogger("trio_ssh.server.pam")

ROUNDS_MAX = 16
_NONSENSE = "\b\n\r\x7fINCORRECT"
_EXPIRED = "Your password has expired. Choose a new one."
_NOT_TAKEN = "The new password was not taken. Choose another one."
_NEW_WORDS = ("new", "retype", "again", "confirm")
_OLD_WORDS = ("current", "old")


@attrs.frozen
class PAM:
    """The rules in ``/etc/pam.d/SERVICE``. Most of their modules need root's rights to check anybody but the account of the server.

    `folder` has the service files instead of ``/etc/pam.d``. Empty passwords are refused before they are looked at, unless
    `permit_empty`. At most `threads` attempts are decided at a time; further ones wait. Raises `ConfigError` where there is no PAM.
    """

    service: str = "sshd"
    folder: str | os.PathLike[str] | None = None
    permit_empty: bool = False
    threads: int = 100
    limiter: trio.CapacityLimiter = attrs.field(
        init=False, eq=False, repr=False, default=attrs.Factory(lambda self: trio.CapacityLimiter(self.threads), takes_self=True)
    )
    """Its tokens are the threads."""

    def __attrs_post_init__(self) -> None:
        load_pam()

    def passwords(self, *, futile: bool = False) -> Authenticator:
        """The method ``password``: what PAM wants hidden is answered with the password, and nothing else is answered.

        An expired password is changed with the client's user, if the client knows how to. `futile`: nobody is let in, but it looks and
        takes as long as if somebody could be; for names that may not log in.
        """
        return _Passwords(self, futile)

    def keyboard_interactive(self, *, futile: bool = False) -> Authenticator:
        """The method ``keyboard-interactive``: the client's user answers whatever PAM asks, an expired password is changed on the way."""
        return _KeyboardInteractive(self, futile)

    def with_accounts(self, policy: Authenticator) -> Authenticator:
        """Whom `policy` lets in, by a key for instance, but only if PAM has nothing against the account: it may have expired, or it is
        the wrong time of the day.
        """
        return _Accounts(self, policy)

    async def check_account(self, username: str, address: str = "") -> Verdict:
        """What PAM says about an account whose user has shown who they are by other means."""

        def silent(questions: Sequence[Question]) -> Sequence[str] | None:
            return None if any(question.style.wants_answer for question in questions) else ()

        check = functools.partial(_check_account, flags=self.flags)
        return await self.decide(functools.partial(self.run, username, address, silent, check))

    @property
    def flags(self) -> Flag:
        return Flag.NONE if self.permit_empty else Flag.DISALLOW_NULL_AUTHTOK

    def run(self, username: str, address: str, converse: Converse, act: Callable[[PAMSession], Verdict]) -> Verdict:
        """One session of libpam, in a thread. Whom the modules make somebody else is refused."""
        try:
            with PAMSession(self.service, username, converse, self.folder) as session:
                session.set_item(Item.TTY, "ssh")
                if address:
                    session.set_item(Item.RHOST, address)
                verdict = act(session)
                if verdict.accepted and session.username != username:
                    return _refusal(f"PAM takes the user for {printable(session.username, 64)!r}")
                return verdict
        except ValueError:
            return _refusal("the user name is none that PAM can take")

    async def decide(self, work: Callable[[], Verdict]) -> Verdict:
        """In a thread, which a cancellation leaves to itself."""
        return await trio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self.limiter)

    async def converse(self, work: Callable[[Converse], Verdict], ask: _Ask) -> Verdict:
        """Likewise, with questions in between: `work` gets a function for them, `ask` brings them to the client."""
        send, receive = trio.open_memory_channel[Sequence[Question]](1)
        bridge = _Bridge(trio.lowlevel.current_trio_token(), send)
        verdict = REFUSE

        async def run() -> None:
            nonlocal verdict
            with send:
                verdict = await self.decide(functools.partial(work, bridge.ask))

        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(run)
                async for questions in receive:
                    bridge.answer(await ask(questions))
        finally:
            bridge.give_up()
        return verdict


_Ask = Callable[[Sequence[Question]], Awaitable[Sequence[str] | None]]


@attrs.define(eq=False)
class _Bridge:
    """Between the thread of one login and the task that talks with the client."""

    _token: trio.lowlevel.TrioToken
    _questions: trio.MemorySendChannel[Sequence[Question]]
    _answers: queue.SimpleQueue[Sequence[str] | None] = attrs.field(factory=queue.SimpleQueue)
    _given_up: bool = False

    def ask(self, questions: Sequence[Question]) -> Sequence[str] | None:
        """In the thread: waits for the answers; None when nobody will answer any more."""
        if self._given_up:
            return None
        self._token.run_sync_soon(self._deliver, questions)
        return self._answers.get()

    def _deliver(self, questions: Sequence[Question]) -> None:
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            self._questions.send_nowait(questions)

    def answer(self, answers: Sequence[str] | None) -> None:
        """In the task."""
        self._answers.put(answers)

    def give_up(self) -> None:
        """In the task, at its end: lets the thread go, wherever it is."""
        self._given_up = True
        self._answers.put(None)


def _refusal(detail: str) -> Verdict:
    return Verdict(accepted=False, detail=detail)


def _status_refusal(session: PAMSession, doing: str, status: int) -> Verdict:
    return _refusal(f"PAM {doing}: {printable(session.words(status), 200)}")


def _check_account(session: PAMSession, flags: Flag) -> Verdict:
    status = session.check_account(flags)
    return ACCEPT if status == Status.SUCCESS else _status_refusal(session, "refuses the account", status)


# --- password ----------------------------------------------------------------------------------------------------------------------------


@attrs.frozen
class _Passwords:
    pam: PAM
    futile: bool

    methods = ("password",)

    async def __call__(self, attempt: AuthAttempt) -> Verdict:
        password = attempt.password
        if password is None or (not password and not self.pam.permit_empty):
            return REFUSE
        if attempt.new_password is not None and not attempt.new_password:
            return Verdict(accepted=False, change_password="" if self.futile else _NOT_TAKEN)
        answers = _PasswordAnswers(_NONSENSE if self.futile else password, attempt.new_password)
        work = functools.partial(self.pam.run, attempt.username, attempt.address, answers, functools.partial(self._act, answers))
        return await self.pam.decide(work)

    def _act(self, answers: _PasswordAnswers, session: PAMSession) -> Verdict:
        status = session.authenticate(self.pam.flags)
        if status != Status.SUCCESS or self.futile:
            return _status_refusal(session, "refuses the password", status)
        status = session.check_account(self.pam.flags)
        expired = status == Status.NEW_PASSWORD_REQUIRED
        if not expired and status != Status.SUCCESS:
            return _status_refusal(session, "refuses the account", status)
        if answers.new is None:
            return Verdict(accepted=False, detail="the password has expired", change_password=_EXPIRED) if expired else ACCEPT
        answers.changing = True
        status = session.change_password(Flag.CHANGE_EXPIRED_AUTHTOK if expired else Flag.NONE)
        if status == Status.SUCCESS:
            return ACCEPT
        why = _status_refusal(session, "refuses the new password", status)
        return attrs.evolve(why, change_password="\n".join((*answers.errors, _NOT_TAKEN)))


@attrs.define(eq=False)
class _PasswordAnswers:
    """A conversation with nobody but the one request: the password, and when it is changed the new one, where it is asked for."""

    password: str = attrs.field(repr=False)
    new: str | None = attrs.field(repr=False)
    changing: bool = False
    errors: list[str] = attrs.field(factory=list)
    """What modules have against the new password."""
    rounds: int = 0

    def __call__(self, questions: Sequence[Question]) -> Sequence[str] | None:
        self.rounds += 1
        self.errors += [question.text for question in questions if question.style is Style.ERROR and self.changing]
        answers = [self._answer(question) for question in questions if question.style.wants_answer]
        complete = [answer for answer in answers if answer is not None]
        return complete if len(complete) == len(answers) and self.rounds <= ROUNDS_MAX else None

    def _answer(self, question: Question) -> str | None:
        if question.style is not Style.HIDDEN:
            return None
        if not self.changing:
            return self.password
        text = question.text.lower()  # what is asked shows only in the words; C's language, in which we are, is English
        if any(word in text for word in _NEW_WORDS):
            return self.new
        return self.password if any(word in text for word in _OLD_WORDS) else None


# --- keyboard-interactive ----------------------------------------------------------------------------------------------------------------


@attrs.frozen
class _KeyboardInteractive:
    pam: PAM
    futile: bool

    methods = ("keyboard-interactive",)

    async def __call__(self, attempt: AuthAttempt) -> Verdict:
        talk = _Talk(attempt, self.futile)

        def work(converse: Converse) -> Verdict:
            return self.pam.run(attempt.username, attempt.address, converse, functools.partial(self._act, talk))

        verdict = await self.pam.converse(work, talk.ask)
        if talk.known and talk.texts:
            await talk.tell()
        return verdict

    def _act(self, talk: _Talk, session: PAMSession) -> Verdict:
        status = session.authenticate(self.pam.flags)
        if status != Status.SUCCESS or self.futile:
            return _status_refusal(session, "refuses the answers", status)
        talk.known = True
        status = session.check_account(self.pam.flags)
        if status == Status.NEW_PASSWORD_REQUIRED:
            status = session.change_password(Flag.CHANGE_EXPIRED_AUTHTOK)
        return ACCEPT if status == Status.SUCCESS else _status_refusal(session, "refuses the account", status)


@attrs.define(eq=False)
class _Talk:
    """With the client's user. Texts of modules are shown above their next question, or at the end to somebody who is known by then."""

    attempt: AuthAttempt
    futile: bool
    known: bool = False
    texts: list[str] = attrs.field(factory=list)

    async def ask(self, questions: Sequence[Question]) -> Sequence[str] | None:
        self.texts += [question.text for question in questions if not question.style.wants_answer]
        prompts = [Prompt(question.text, question.style is Style.SHOWN) for question in questions if question.style.wants_answer]
        if not prompts:
            return ()
        answers = await self._put(prompts)
        return [_NONSENSE] * len(prompts) if self.futile and answers is not None else answers

    async def tell(self) -> None:
        """What is left to be told."""
        await self._put(())

    async def _put(self, prompts: Sequence[Prompt]) -> Sequence[str] | None:
        instruction = "\n".join(self.texts)
        self.texts.clear()
        try:
            return await self.attempt.ask(prompts, instruction=instruction)
        except LocalProtocolError as error:
            _log.warning("PAM asks what cannot be asked: %s", error)
            return None


# --- accounts ----------------------------------------------------------------------------------------------------------------------------


@attrs.frozen
class _Accounts:
    pam: PAM
    policy: Authenticator

    @property
    def methods(self) -> Sequence[str]:
        return self.policy.methods

    async def __call__(self, attempt: AuthAttempt) -> Verdict:
        verdict = await self.policy(attempt)
        asks_only = attempt.method == "publickey" and not attempt.proven
        if not verdict.accepted or asks_only:
            return verdict
        account = await self.pam.check_account(attempt.username, attempt.address)
        return verdict if account.accepted else account
