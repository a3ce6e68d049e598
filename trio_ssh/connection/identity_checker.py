"""The server's authentication task: `check_identity` drives the machine of `protocol` with a policy's verdicts.

Theory of operation
- One attempt is decided at a time, in the task that reads: what a client sends ahead waits in the inbox (hardening B05). While a policy has
  questions out (keyboard-interactive), that task reads for it. A request that comes instead of the answers supersedes the attempt: the
  policy is cancelled, and has ended before the next request is looked at, so that nothing of it can be granted any more.
- Whatever is refused is refused with the same bytes and after at least the same time (`Pace`), whether the name exists or not (B09).
- Nobody is let in but by a `Verdict` that says so, after the critical options of every factor have been taken together (B06).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import cast

import attrs
import trio

from ..errors import ConnectionLost, printable
from ..keys.permissions import PermissionConflict
from ..protocol.auth_attempt import AuthAttempt
from ..protocol.auth_server import ExtensionsNoted, Hopeless, Requested, ServerAuthentication, ServiceWanted
from .authenticator import REFUSE, Authenticator, LoggedIn, Login, LoginRules, RulesByLogin, Verdict, makes_rules
from .containment import containing
from .conversation import Conversation
from .events import AuthAttempted, Observer
from .factors import Factors
from .refusal_time import refusal_time
from .transport import Transport

_log = logging.getLogger("trio_ssh.authentication")


def log_mistake(text: str, error: BaseException) -> None:
    """For whoever has no log that is paced: strangers can make a policy fail as often as they like (hardening E15)."""
    _log.error(text, exc_info=error)


def ignore_verdict(verdict: Verdict) -> None:
    """For whoever keeps no count of them."""


@attrs.define(eq=False)
class IdentityChecker:
    """One server authentication."""

    machine: ServerAuthentication
    transport: Transport
    messages: trio.MemoryReceiveChannel[bytes]
    policy: Authenticator | RulesByLogin
    observer: Observer | None
    granted: Callable[[LoggedIn, bytes], None]
    """Called with the login and the SUCCESS payload: sends it and lets the connection protocol begin, in one synchronous act."""
    on_verdict: Callable[[Verdict], None] = ignore_verdict
    """Told of each answer of a policy."""
    on_mistake: Callable[[str, BaseException], None] = log_mistake
    """Told of each failure of one."""
    local: str = ""
    banner: str = ""
    _rules: LoginRules | None = None
    _factors: Factors = attrs.field(factory=lambda: Factors(()))
    _next: bytes | None = None
    """A message that came instead of the answers that a policy waited for."""

    async def check_identity(self) -> None:
        """Returns when somebody was let in. Raises `RemoteProtocolError` when the client breaks a rule or tries too often."""
        while True:
            payload, self._next = self._next, None
            event = self.machine.read(await self.messages.receive() if payload is None else payload)
            if isinstance(event, ServiceWanted):
                self.transport.send_nowait(event.reply)
            elif isinstance(event, ExtensionsNoted):
                _log.debug("the client's extensions: %s", [printable(name) for name in event.extensions])
            elif isinstance(event, Requested) and await self._request(event):
                return

    async def _request(self, requested: Requested) -> bool:
        started = trio.current_time()
        if self._rules is None:
            await self._begin()
        if extensions := self.machine.take_extensions():
            self.transport.send_nowait(extensions)
        conversation = Conversation(self.machine, self.transport, self.messages)
        event = self.machine.examine(requested, conversation.ask)
        if isinstance(event, Hopeless):
            await self._refuse(event.method, event.why, started, counts=event.counts)
            return False
        if self._factors.is_used_up(event):
            await self._refuse(event.method, "the same key has been a factor already", started, counts=event.proven)
            return False
        verdict, policy = await self._ask_policies(event, conversation)
        await _check_in_time()
        if conversation.breach is not None:
            raise conversation.breach
        if conversation.superseded_by is not None:
            self._next = conversation.superseded_by
            self._observe(event.method, "refused", "the client began another attempt instead of answering")
            self.machine.give_up()
            return False
        return await self._decide(event, verdict, policy, started)

    async def _begin(self) -> None:
        """Who it is, or says to be, is known from here on."""
        machine = self.machine
        assert machine.username is not None
        if makes_rules(self.policy):
            login = Login(username=machine.username, peer=machine.peer, address=machine.address, local=self.local)
            rules = await self._ask_rules(self.policy, login)
        else:
            rules = LoginRules(authenticate=cast(Authenticator, self.policy))
        self._rules = rules
        self._factors = Factors.of(rules.authenticate)
        machine.methods = self._factors.methods
        machine.empty_passwords = rules.empty_passwords
        if rules.auth_failures is not None:
            machine.limits = attrs.evolve(machine.limits, auth_failures=rules.auth_failures)
        if banner := rules.banner or self.banner:
            self.transport.send_nowait(machine.banner(banner))

    async def _ask_rules(self, policy: RulesByLogin, login: Login) -> LoginRules:
        def report(error: BaseException) -> None:
            self.on_mistake("the rules for a login could not be made; the connection ends", error)

        rules: object = None
        with containing(report):
            rules = await policy.rules_for(login)
        await _check_in_time()
        if not isinstance(rules, LoginRules):
            raise ConnectionLost("the server's rules for this login could not be made")
        return rules

    # -- one attempt -------------------------------------------------------------------------------------------------------------

    async def _decide(self, attempt: AuthAttempt, verdict: Verdict, policy: Authenticator, started: float) -> bool:
        question = attempt.method == "publickey" and not attempt.proven
        if verdict.accepted and not question and (fault := _misused(attempt, verdict)):
            verdict = Verdict(accepted=False, detail=fault)
        if not verdict.accepted:
            if attempt.method == "password" and verdict.change_password:
                self._observe(attempt.method, "question", "the password must be changed")
                self.transport.send_nowait(self.machine.want_new_password(verdict.change_password))
            else:
                # A question about a key that will not do is no failed attempt: clients ask for each key they have.
                await self._refuse(attempt.method, verdict.detail, started, counts=not question)
            return False
        if question:
            self._observe(attempt.method, "question", verdict.detail)
            self.transport.send_nowait(self.machine.key_would_do(attempt))
            return False
        return await self._accept(attempt, policy, verdict, started)

    async def _accept(self, attempt: AuthAttempt, policy: Authenticator, verdict: Verdict, started: float) -> bool:
        factors, rules = self._factors, self._rules
        assert rules is not None
        try:
            complete = factors.passed(policy, attempt, verdict.permissions)
        except PermissionConflict as error:
            await self._refuse(attempt.method, str(error), started)
            return False
        self.machine.methods = factors.methods
        if not complete:
            self._observe(attempt.method, "partial", verdict.detail)
            self.transport.send_nowait(self.machine.succeed_in_part())
            return False
        permissions = factors.permissions if rules.permissions is None else factors.permissions.under(rules.permissions)
        self._observe(attempt.method, "granted", verdict.detail)
        login = LoggedIn(
            username=attempt.username,
            methods=factors.methods_passed,
            permissions=permissions,
            accept_env=rules.accept_env,
            sessions=rules.sessions,
        )
        self.granted(login, self.machine.grant())
        return True

    async def _ask_policies(self, attempt: AuthAttempt, conversation: Conversation) -> tuple[Verdict, Authenticator]:
        """The first one that accepts counts; of refusals the one that says most."""
        assert self._rules is not None
        refusal = REFUSE
        for policy in self._factors.policies_for(attempt.method):
            verdict = await self._ask_policy(policy, attempt, conversation)
            if conversation.is_over:
                break
            if verdict.accepted:
                return verdict, policy
            if verdict.change_password or (not refusal.change_password and verdict.detail):
                refusal = verdict
        return refusal, self._rules.authenticate

    async def _ask_policy(self, policy: Authenticator, attempt: AuthAttempt, conversation: Conversation) -> Verdict:
        def report(error: BaseException) -> None:
            self.on_mistake("the authentication policy failed; that is a refusal", error)

        verdict: object = None

        async def decide() -> None:
            nonlocal verdict
            verdict = await policy(attempt)

        with containing(report):
            if attempt.method == "keyboard-interactive":
                await conversation.during(decide)
            else:
                await decide()
        answer = verdict if isinstance(verdict, Verdict) else REFUSE
        self.on_verdict(answer)
        return answer

    # -- refusals ----------------------------------------------------------------------------------------------------------------

    async def _refuse(self, method: str, why: str, started: float, *, counts: bool = True) -> None:
        self._observe(method, "refused", why)
        payload = self.machine.refuse(counts=counts)
        if counts or method == "publickey":
            await trio.sleep_until(refusal_time(started, trio.current_time(), self.machine.username or "", self._least_seconds))
        self.transport.send_nowait(payload)

    @property
    def _least_seconds(self) -> float:
        return self.machine.limits.auth_failure_seconds

    def _observe(self, method: str, outcome: str, detail: str) -> None:
        if self.observer is not None:
            self.observer(AuthAttempted(self.machine.username or "", method, outcome, detail, self.machine.peer))


async def _check_in_time() -> None:
    """A policy that could not be interrupted may answer behind the login deadline: too late is too late (hardening B16, TRI-17).

    The loop looks at deadlines between its rounds only: one that has passed while a policy held the loop up is not noticed yet.
    """
    if trio.current_time() >= trio.current_effective_deadline():
        await trio.lowlevel.checkpoint()
    else:
        await trio.lowlevel.checkpoint_if_cancelled()


def _misused(attempt: AuthAttempt, verdict: Verdict) -> str:
    """Why a security key's signature will not do; "" if it will (hardening B15)."""
    use = attempt.security_key
    if use is None:
        return ""
    if verdict.permissions.touch_required and not use.touched:
        return "nobody touched the security key"
    if verdict.permissions.verify_required and not use.verified:
        return "the security key did not verify who used it"
    return ""
