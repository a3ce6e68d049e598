"""Settings that cannot be kept together, found when a configuration is read rather than when somebody wants to log in."""

from __future__ import annotations

import os
from typing import Any

from ..config import Keyword, Settings, SSHDConfig, sshd_config
from ..server.pam import PAM
from .key_lists import check_key_lists

_METHODS: tuple[Keyword[bool], ...] = (
    sshd_config.PUBKEY_AUTHENTICATION,
    sshd_config.PASSWORD_AUTHENTICATION,
    sshd_config.KBD_INTERACTIVE_AUTHENTICATION,
)
_COMMANDS: tuple[tuple[Keyword[str | None], Keyword[str | None]], ...] = (
    (sshd_config.AUTHORIZED_KEYS_COMMAND, sshd_config.AUTHORIZED_KEYS_COMMAND_USER),
    (sshd_config.AUTHORIZED_PRINCIPALS_COMMAND, sshd_config.AUTHORIZED_PRINCIPALS_COMMAND_USER),
)
_PER_LOGIN = {
    *sshd_config.IN_MATCH,
    sshd_config.FINGERPRINT_HASH,
    sshd_config.PAM_SERVICE_NAME,
    sshd_config.PERMIT_USER_ENVIRONMENT,
    sshd_config.REQUIRED_RSA_SIZE,
    sshd_config.STRICT_MODES,
    sshd_config.USE_DNS,
    sshd_config.USE_PAM,
}


def check_account_settings(config: SSHDConfig) -> None:
    """Raises `ConfigError` for what nobody could log in with, or not in the way that was meant."""
    settings = config.settings
    _check_methods(config, settings)
    for command, user in _COMMANDS:
        if settings[command] is not None and settings[user] is None:
            raise settings.places(command)[0].error(f"{command.name}: it needs {user.name}: the user to execute it as")
    _check_passwords(settings)
    check_key_lists(config)


def _check_passwords(settings: Settings) -> None:
    if settings[sshd_config.USE_PAM]:
        PAM(settings[sshd_config.PAM_SERVICE_NAME])
        return
    for keyword in _METHODS:
        if keyword in settings and settings[keyword] and not _can_be_checked(keyword, settings):
            is_password = keyword is sshd_config.PASSWORD_AUTHENTICATION
            why = "only root can check passwords" if is_password else "there is nobody to ask the questions"
            raise settings.places(keyword)[0].error(f"{keyword.name}: it cannot be switched on: {why} without UsePAM")


def _check_methods(config: SSHDConfig, settings: Settings) -> None:
    usable = [keyword for keyword in _METHODS if _can_be_checked(keyword, settings)]
    if any(settings[keyword] for keyword in usable):
        return
    if any(setting.value is True and setting.name == keyword.name for setting in config.all_settings() for keyword in usable):
        return  # a Match block switches one on
    place = settings.places(_METHODS[0])[0]
    raise place.error(f"{_METHODS[0].name}: without it nobody could log in: no other method is switched on, or can be checked")


def _can_be_checked(keyword: Keyword[bool], settings: Settings) -> bool:
    if keyword is sshd_config.PUBKEY_AUTHENTICATION or settings[sshd_config.USE_PAM]:
        return True
    return keyword is sshd_config.PASSWORD_AUTHENTICATION and os.geteuid() == 0


def counts_at_once(keyword: Keyword[Any]) -> bool:
    """Does a new value hold for the next login, without a new start?"""
    return keyword in _PER_LOGIN
