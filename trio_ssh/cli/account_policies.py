"""One policy for each method of authentication, made for one login to an account of this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import attrs

from .. import UNKNOWN_USER, AuthAttempt, Authenticator, Permissions, Verdict
from ..config import Settings, sshd_config
from ..keys.authorized_keys import Claim, Refusal
from ..server.accounts import Account
from ..server.pam import PAM
from ..server.shadow import ShadowPasswords
from .account_access import root_refusal
from .account_keys import AccountKeys
from .key_text import shown_certificate, shown_key


@attrs.frozen(kw_only=True)
class AccountLogin:
    """One login: to which account, by which settings. One that is not `is_open` lets nobody in, and does not say so."""

    settings: Settings
    account: Account
    is_open: bool
    clock: Callable[[], float]

    def accept(self, method: str, permissions: Permissions, detail: str) -> Verdict:
        """Yes, unless it is root's account and root may not log in this way."""
        if why := root_refusal(self.account, self.settings, method, permissions):
            return Verdict(accepted=False, detail=why)
        return Verdict(accepted=True, detail=detail, permissions=permissions)

    def is_futile(self, method: str) -> bool:
        """Can nobody log in by this method, whatever is proven? (Not for keys: what they allow has a say in it.)"""
        return not self.is_open or bool(root_refusal(self.account, self.settings, method, Permissions()))

    def refuse(self, why: str) -> Verdict:
        """No: an account that is not open is one that does not exist."""
        return Verdict(accepted=False, detail=why) if self.is_open else UNKNOWN_USER


@attrs.frozen
class KeyPolicy:
    """publickey: keys and certificates that the account's files, trusted authorities and commands let in."""

    login: AccountLogin

    methods = ("publickey",)

    async def __call__(self, attempt: AuthAttempt) -> Verdict:
        login = self.login
        if attempt.algorithm not in login.settings[sshd_config.PUBKEY_ACCEPTED_ALGORITHMS]:
            return login.refuse(f"{attempt.algorithm} is not one of PubkeyAcceptedAlgorithms")
        claim = Claim(
            username=login.account.name,
            address=attempt.address,
            now=login.clock(),
            public_key=attempt.public_key,
            certificate=attempt.certificate,
        )
        answer = await AccountKeys(login.settings, login.account, login.is_open).permissions(claim)
        shown = self._shown(attempt)
        if isinstance(answer, Refusal) or not login.is_open:
            return login.refuse(f"{shown}: {answer.reason}" if isinstance(answer, Refusal) else "")
        return login.accept("publickey", narrowed(answer, login.settings), shown)

    def _shown(self, attempt: AuthAttempt) -> str:
        digest = self.login.settings[sshd_config.FINGERPRINT_HASH]
        if attempt.certificate is not None:
            return shown_certificate(attempt.certificate, digest)
        assert attempt.public_key is not None
        return shown_key(attempt.public_key, digest)


def narrowed(permissions: Permissions, settings: Settings) -> Permissions:
    """What a key may do, after PermitUserEnvironment and PubkeyAuthOptions."""
    patterns, demands = settings[sshd_config.PERMIT_USER_ENVIRONMENT], settings[sshd_config.PUBKEY_AUTH_OPTIONS]
    return attrs.evolve(
        permissions,
        environ=tuple(pair for pair in permissions.environ if patterns.matches(pair[0])),
        touch_required=permissions.touch_required or demands.touch,
        verify_required=permissions.verify_required or demands.verify,
    )


@attrs.frozen
class Judged:
    """What a policy says, and root's rules above it."""

    login: AccountLogin
    policy: Authenticator

    @property
    def methods(self) -> Sequence[str]:
        return self.policy.methods

    async def __call__(self, attempt: AuthAttempt) -> Verdict:
        verdict = await self.policy(attempt)
        if verdict.accepted:
            return self.login.accept(attempt.method, verdict.permissions, verdict.detail)
        return verdict if self.login.is_open else UNKNOWN_USER


@attrs.frozen(kw_only=True)
class PasswordChecks:
    """How this server checks passwords; `pam` is None where UsePAM is off."""

    shadow: ShadowPasswords
    pam: PAM | None = None


def policies_of(login: AccountLogin, checks: PasswordChecks) -> dict[str, Authenticator]:
    """The methods that are switched on and can be checked, in the order in which they are offered, each with its policy.

    Without PAM passwords need root's rights to be checked, and keyboard-interactive has nobody to ask for questions.
    """
    settings, pam = login.settings, checks.pam
    found: dict[str, Authenticator] = {}
    if settings[sshd_config.PUBKEY_AUTHENTICATION]:
        found["publickey"] = KeyPolicy(login) if pam is None else pam.with_accounts(KeyPolicy(login))
    if settings[sshd_config.PASSWORD_AUTHENTICATION]:
        if pam is not None:
            found["password"] = Judged(login, pam.passwords(futile=login.is_futile("password")))
        elif os.geteuid() == 0:
            found["password"] = Judged(login, attrs.evolve(checks.shadow, futile=login.is_futile("password")))
    if settings[sshd_config.KBD_INTERACTIVE_AUTHENTICATION] and pam is not None:
        method = "keyboard-interactive"
        found[method] = Judged(login, pam.keyboard_interactive(futile=login.is_futile(method)))
    return found
