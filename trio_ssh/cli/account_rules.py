"""What holds for one login to an account of this machine: Match blocks, who may log in, by what, and what for (sshd_config(5)).

Names that do not exist are treated as those that do, up to the answer: the same settings are looked for, the same methods offered, files
looked for under a stand-in's home (hardening B09). Only what a Match block says of a user or a group makes a difference, as with sshd.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import attrs
import trio

from .. import (
    UNKNOWN_USER,
    AuthAttempt,
    Authenticator,
    KeyFileError,
    Login,
    LoginRules,
    Permissions,
    Verdict,
    all_of,
    any_of,
    printable,
)
from ..config import Settings, SSHDConfig, sshd_config
from ..config.sshd_match import Subject
from ..keys.files import read_regular_file
from ..server import PacedLog
from ..server.accounts import Account, find_account
from ..server.pam import PAM
from ..server.shadow import ShadowPasswords
from .account_access import closed_because, group_names
from .account_policies import AccountLogin, PasswordChecks, policies_of
from .client_names import name_of_address
from .login_log import FAILED_LINES_PER_SECOND

BANNER_BYTES_MAX = 64 * 1024
_STAND_IN = Account("NOUSER", 0xFFFE, 0xFFFE, "/nonexistent", "/bin/sh", ())

_log = logging.getLogger("trio_ssh.cli.account_rules")


@attrs.define(eq=False)
class AccountRules:
    """Gives the rules of each login by the configuration that is there then; `config` may be replaced at any time."""

    config: SSHDConfig
    clock: Callable[[], float] = time.time
    shadow: ShadowPasswords = attrs.field(factory=ShadowPasswords)
    pam_folder: str | None = None
    """Has the service files of PAM instead of the system's folder."""
    _pam: dict[tuple[str, bool], PAM] = attrs.field(factory=dict, init=False)
    _paced: PacedLog = attrs.field(factory=lambda: PacedLog(_log, FAILED_LINES_PER_SECOND), init=False)

    async def rules_for(self, login: Login) -> LoginRules:
        """The rules, as `trio_ssh.RulesByLogin` wants them."""
        config = self.config
        account = await find_account(login.username)
        if account is not None and not _is_name(account.name):
            account = None
        host = await self._host(login.address)
        answer = account or _STAND_IN
        groups = await trio.to_thread.run_sync(group_names, answer)
        settings = config.for_subject(subject_of(login, groups, host, exists=account is not None))
        why = await trio.to_thread.run_sync(closed_because, answer, groups, settings, host, login.address, self.clock())
        if account is None or why:
            self._paced.info("%s", _shown_refusal(login, why if account is not None else ""))
        known = AccountLogin(settings=settings, account=answer, is_open=account is not None and not why, clock=self.clock)
        return LoginRules(
            authenticate=combined(settings, policies_of(known, self._checks(settings))),
            banner=await trio.to_thread.run_sync(_banner, settings[sshd_config.BANNER]),
            permissions=bound(settings),
            accept_env=settings[sshd_config.ACCEPT_ENV],
            auth_failures=settings[sshd_config.MAX_AUTH_TRIES],
            sessions=settings[sshd_config.MAX_SESSIONS],
            empty_passwords=settings[sshd_config.PERMIT_EMPTY_PASSWORDS],
        )

    def _checks(self, settings: Settings) -> PasswordChecks:
        permit_empty = settings[sshd_config.PERMIT_EMPTY_PASSWORDS]
        shadow = attrs.evolve(self.shadow, permit_empty=permit_empty, clock=self.clock)
        if not settings[sshd_config.USE_PAM]:
            return PasswordChecks(shadow=shadow)
        service = settings[sshd_config.PAM_SERVICE_NAME]
        pam = self._pam.get((service, permit_empty))
        if pam is None:  # kept, because each has a bound of its own for the attempts that it decides at a time
            pam = self._pam[service, permit_empty] = PAM(service, self.pam_folder, permit_empty)
        return PasswordChecks(shadow=shadow, pam=pam)

    async def _host(self, address: str) -> str:
        """The client's name where UseDNS wants it, else its address. (UseDNS cannot stand in a Match block.)"""
        return await name_of_address(address) if self.config.settings[sshd_config.USE_DNS] else address


def subject_of(login: Login, groups: tuple[str, ...], host: str, *, exists: bool) -> Subject:
    """The login as Match blocks see it."""
    local_address, _, local_port = login.local.partition(" port ")
    return Subject(
        user=login.username,
        groups=groups,
        exists=exists,
        host=host or None,
        address=login.address or None,
        local_address=local_address or None,
        local_port=int(local_port) if local_port.isdigit() else None,
    )


def bound(settings: Settings) -> Permissions:
    """What no key or certificate can widen."""
    return Permissions(
        force_command=settings[sshd_config.FORCE_COMMAND],
        environ=settings[sshd_config.SET_ENV],
        terminal=settings[sshd_config.PERMIT_TTY],
        # sshd executes ~/.ssh/rc before a key's forced command, but not before the configuration's.
        user_rc=settings[sshd_config.PERMIT_USER_RC] and settings[sshd_config.FORCE_COMMAND] is None,
        touch_required=False,  # that is for the keys' own permissions, and for PubkeyAuthOptions, to say
    )


@attrs.frozen
class _Nobody:
    """No way in."""

    methods = ()

    async def __call__(self, attempt: AuthAttempt) -> Verdict:
        return UNKNOWN_USER


def combined(settings: Settings, policies: dict[str, Authenticator]) -> Authenticator:
    """The ways in that AuthenticationMethods names, as far as their methods are switched on; without it each method is one."""
    chains = settings[sshd_config.AUTHENTICATION_METHODS]
    if not chains:
        return any_of(*policies.values()) if policies else _Nobody()
    methods = [tuple(name.partition(":")[0] for name in chain) for chain in chains]
    ways = [all_of(*(policies[name] for name in chain)) for chain in methods if set(chain) <= set(policies)]
    if not ways:
        _log.error("AuthenticationMethods: every list has a method in it that is switched off; nobody is let in")
        return _Nobody()
    return any_of(*ways)


def _shown_refusal(login: Login, why: str) -> str:
    """As sshd says it."""
    name = printable(login.username, 100)
    return f"User {name} from {login.address} not allowed because {why}" if why else f"Invalid user {name} from {login.peer}"


def _is_name(name: str) -> bool:
    """May it stand in a path (hardening E13)?"""
    return name not in ("", ".", "..") and "/" not in name and "\0" not in name


def _banner(path: str | None) -> str:
    if path is None:
        return ""
    try:
        return read_regular_file(path, BANNER_BYTES_MAX).decode("utf-8", "replace")
    except KeyFileError as error:
        _log.warning("Banner: %s", error)
        return ""
