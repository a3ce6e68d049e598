"""A server's policy and what it says: `Authenticator`, `Verdict`, and the rules that hold for one login."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeGuard, runtime_checkable

import attrs

from ..keys.permissions import Permissions
from ..protocol.auth_attempt import AuthAttempt


@attrs.frozen(kw_only=True)
class Verdict:
    """What an authentication policy says to one attempt: an explicit object, because "no exception" must never mean yes."""

    accepted: bool
    detail: str = ""
    """For the log; never sent."""
    permissions: Permissions = attrs.field(factory=Permissions)
    """What whoever is let in may do; the permissions of all factors of a login hold together."""
    change_password: str = ""
    """To a password that is right, but must be changed before it counts: this text is shown, and the client's user asked for a new one
    (RFC 4252 §8). `accepted` must be False."""


ACCEPT = Verdict(accepted=True)
REFUSE = Verdict(accepted=False)


class Authenticator(Protocol):
    """A server's policy. An exception in it is a refusal."""

    @property
    def methods(self) -> Sequence[str]:
        """The methods to offer: ``publickey``, ``password``, ``keyboard-interactive``; ``none``, which is taken but never offered."""

    async def __call__(self, attempt: AuthAttempt, /) -> Verdict:
        """Decide one attempt."""


@runtime_checkable
class Combination(Protocol):
    """A policy made of others, as `any_of` and `all_of` make them."""

    @property
    def chains(self) -> Sequence[Sequence[Authenticator]]:
        """Each is a way in: its policies must accept one after the other. None of them is a combination itself."""


@runtime_checkable
class SignaturesByUser(Protocol):
    """A policy that takes other signature algorithms of some users than of others may have this method, too.

    A client that can take it is told in an EXT_INFO of its own (RFC 8308 §2.4, ``ext-info-in-auth@openssh.com``).
    """

    def signature_algorithms(self, username: str, /) -> Sequence[str]:
        """Those taken of `username`; not a word about whether there is such a user should be in it."""


@attrs.frozen(kw_only=True)
class Login:
    """Who wants to log in: the name is the client's word only. Addresses are "" where the stream has none."""

    username: str
    peer: str = ""
    """Address and port as text."""
    address: str = ""
    """The IP address alone."""
    local: str = ""
    """Our end's address and port."""


@attrs.frozen(kw_only=True)
class LoginRules:
    """What holds for one login; None leaves what holds for the whole server."""

    authenticate: Authenticator
    banner: str = ""
    """Shown to the client's user before anything is asked (RFC 4252 §5.4)."""
    permissions: Permissions | None = None
    """What no factor can widen. A forced command here stands above those of the factors."""
    accept_env: tuple[str, ...] | None = None
    auth_failures: int | None = None
    empty_passwords: bool = False
    """The policy sees empty passwords, too; otherwise they are refused unseen (hardening B23)."""
    sessions: int | None = None


@runtime_checkable
class RulesByLogin(Protocol):
    """Instead of an `Authenticator`: rules that depend on who wants to log in, and from where."""

    async def rules_for(self, login: Login, /) -> LoginRules:
        """Asked once, when the first request has been read in full. An exception ends the connection.

        For names that do not exist it must take as long, and give rules of the same methods, as for those that do (hardening B09).
        """


# What a policy can do is seen by what it has. Asked for each login: `isinstance` of a protocol costs a hundred times as much.


def makes_rules(policy: object) -> TypeGuard[RulesByLogin]:
    """Is it a `RulesByLogin`?"""
    return hasattr(policy, "rules_for")


def is_combination(policy: object) -> TypeGuard[Combination]:
    """Is it a `Combination`?"""
    return hasattr(policy, "chains")


def has_signatures_by_user(policy: object) -> TypeGuard[SignaturesByUser]:
    """Is it a `SignaturesByUser`?"""
    return hasattr(policy, "signature_algorithms")


@attrs.frozen(kw_only=True)
class LoggedIn:
    """What a login came to. On a client `permissions` says nothing: they are the server's matter."""

    username: str
    methods: tuple[str, ...]
    """The methods that succeeded, in order."""
    permissions: Permissions = attrs.field(factory=Permissions)
    accept_env: tuple[str, ...] | None = None
    sessions: int | None = None


NOBODY = LoggedIn(username="", methods=())
