"""Which accounts may be logged in to at all: the lists of users and groups, root, and accounts that the system has closed."""

from __future__ import annotations

import grp
import os

from .. import Permissions, printable
from ..config import Settings, sshd_config
from ..config.sshd_words import RootLogin
from ..server.accounts import Account
from ..server.shadow import shadow_entry


def group_names(account: Account) -> tuple[str, ...]:
    """The names of its groups; those without a name are left out. Blocks."""
    names = []
    for number in account.groups:
        try:
            names.append(grp.getgrgid(number).gr_name)
        except KeyError:
            continue
    return tuple(names)


def closed_because(account: Account, groups: tuple[str, ...], settings: Settings, host: str, address: str, now: float) -> str:
    """Why nobody may log in to the account from there, whatever he can prove; "" if somebody may. Blocks.

    As with sshd: first come the lists of users, then those of groups, and of each what denies.
    """
    if not account.may_be_served:
        return "this server does not run as root"
    if not os.path.isfile(account.shell) or not os.access(account.shell, os.X_OK):
        return f"shell {printable(account.shell, 200)} cannot be executed"
    if not settings[sshd_config.USE_PAM] and (fault := _locked(account.name, now)):
        return fault
    allowed, denied = settings[sshd_config.ALLOW_USERS], settings[sshd_config.DENY_USERS]
    if any(pattern.matches(account.name, host, address) for pattern in denied):
        return "listed in DenyUsers"
    if allowed and not any(pattern.matches(account.name, host, address) for pattern in allowed):
        return "not listed in AllowUsers"
    if any(pattern.matches(group) for pattern in settings[sshd_config.DENY_GROUPS] for group in groups):
        return "a group is listed in DenyGroups"
    some = settings[sshd_config.ALLOW_GROUPS]
    if some and not any(pattern.matches(group) for pattern in some for group in groups):
        return "no group is listed in AllowGroups"
    return ""


def _locked(name: str, now: float) -> str:
    """What sshd asks of an account where PAM is not asked."""
    entry = shadow_entry(name)
    if entry is None:
        return ""
    if entry.password.startswith("!"):
        return "the account is locked"
    return "the account has expired" if 0 < entry.expires <= now // 86400 else ""


def root_refusal(account: Account, settings: Settings, method: str, permissions: Permissions) -> str:
    """Why root may not log in by this method (PermitRootLogin); "" for others, and where it may."""
    rule = settings[sshd_config.PERMIT_ROOT_LOGIN]
    if account.uid != 0 or rule is RootLogin.YES:
        return ""
    if rule is RootLogin.PROHIBIT_PASSWORD and method == "publickey":
        return ""
    if rule is RootLogin.FORCED_COMMANDS_ONLY and permissions.force_command is not None:
        return ""
    return f"root may not log in this way (PermitRootLogin {rule.value})"
