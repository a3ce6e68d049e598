"""Ready-made authentication policies for servers. A server has no default: it must say whom it lets in.

A policy is an object with `methods` and an async call that gives a `Verdict`, or a plain async function of an attempt, which is asked about
public keys and passwords alike: to offer one method only, write a class with `methods`. An exception in a policy is a refusal. `any_of`
and `all_of` combine policies to ways in; what one factor forbids, no other one allows again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import cast

import attrs

from ..connection.authenticator import ACCEPT, REFUSE, Authenticator, RulesByLogin, Verdict, makes_rules
from ..connection.factors import chains_of, either, one_after_another
from ..errors import LocalProtocolError
from ..protocol.auth_attempt import AuthAttempt

METHODS = ("publickey", "password")

Decide = Callable[[AuthAttempt], Awaitable[Verdict]]
CheckPassword = Callable[[str, str], Awaitable[bool | Verdict]]
ChangePassword = Callable[[str, str, str], Awaitable[bool | str]]
Converse = Callable[[AuthAttempt], Awaitable[bool | Verdict]]


@attrs.frozen
class Passwords:
    """``await check(username, password)`` says True for the right password, and must take as long for an unknown user.

    It may give a `Verdict` instead, with permissions, or with `change_password` for a password that is right but has expired. Then, or
    when a client asks for it by itself, ``await change(username, old, new)`` checks the old one and sets the new one: True lets in, a text
    says what is wrong with the new one and asks for another.
    """

    check: CheckPassword
    change: ChangePassword | None = None

    methods = ("password",)

    async def __call__(self, attempt: AuthAttempt) -> Verdict:
        if attempt.password is None:
            return REFUSE
        if attempt.new_password is None:
            return _verdict(await self.check(attempt.username, attempt.password))
        if self.change is None:
            return Verdict(accepted=False, detail="passwords cannot be changed here")
        answer = await self.change(attempt.username, attempt.password, attempt.new_password)
        if isinstance(answer, str):
            return Verdict(accepted=False, change_password=answer)
        return _verdict(answer)


@attrs.frozen
class KeyboardInteractiveServer:
    """``await converse(attempt)`` asks by ``await attempt.ask([Prompt("Code: ")])``, as often as it likes, and says True to let in.

    It may give a `Verdict` instead. For an unknown user it must ask the same. It is cancelled when the client gives up.
    """

    converse: Converse

    methods = ("keyboard-interactive",)

    async def __call__(self, attempt: AuthAttempt) -> Verdict:
        return _verdict(await self.converse(attempt))


def _verdict(answer: bool | Verdict) -> Verdict:
    """Nothing but True itself, or a verdict that says so, is a yes."""
    if isinstance(answer, Verdict):
        return answer
    return ACCEPT if answer is True else REFUSE


@attrs.frozen
class Chains:
    """Made by `any_of` and `all_of`: ways in, each a sequence of policies that must accept in turn."""

    chains: tuple[tuple[Authenticator, ...], ...]

    @property
    def methods(self) -> Sequence[str]:
        """Those that one can begin with."""
        return tuple(dict.fromkeys(method for chain in self.chains for method in chain[0].methods))

    async def __call__(self, attempt: AuthAttempt) -> Verdict:
        """For whoever asks it like a plain policy: only ways in of a single step can be decided by one attempt."""
        for chain in self.chains:
            if len(chain) == 1 and attempt.method in chain[0].methods:
                verdict = await chain[0](attempt)
                if verdict.accepted:
                    return verdict
        return REFUSE


@attrs.frozen
class _Function:
    """A plain async function as a policy for every method."""

    decide: Decide

    methods = METHODS

    async def __call__(self, attempt: AuthAttempt) -> Verdict:
        return await self.decide(attempt)


def any_of(*policies: Authenticator | Decide) -> Authenticator:
    """Lets in whom one of the policies lets in. Raises `LocalProtocolError` without any."""
    return Chains(_ways(policies, either))


def all_of(*policies: Authenticator | Decide) -> Authenticator:
    """Lets in whom all of the policies let in, one after the other in this order (RFC 4252 §5.1, partial success).

    ``any_of(all_of(keys, codes), all_of(codes, keys))`` takes them in any order. A key is one factor only: it is not taken twice.
    """
    return Chains(_ways(policies, one_after_another))


_Ways = tuple[tuple[Authenticator, ...], ...]


def _ways(policies: Sequence[Authenticator | Decide], combine: Callable[[Sequence[_Ways]], _Ways]) -> _Ways:
    if not policies:
        raise LocalProtocolError("a combination of no policies would let nobody in, or everybody: name at least one")
    return combine([chains_of(as_policy(policy)) for policy in policies])


def as_policy(policy: Authenticator | Decide) -> Authenticator:
    """Make a plain async function a policy."""
    return cast(Authenticator, policy) if hasattr(policy, "methods") else _Function(policy)


def as_rules(policy: Authenticator | Decide | RulesByLogin) -> Authenticator | RulesByLogin:
    """The same of what `serve` takes."""
    return policy if makes_rules(policy) else as_policy(cast("Authenticator | Decide", policy))
