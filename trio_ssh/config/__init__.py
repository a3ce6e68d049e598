"""OpenSSH's configuration languages, as far as they are supported here (L5). Nothing is read that was not named."""

from __future__ import annotations

from . import ssh_config, sshd_config
from .algorithm_list import choose_algorithms
from .client_config import Resolved, SSHConfig, resolve
from .connection import client_algorithms, client_limits
from .lines import Place
from .server_values import server_algorithms, server_limits
from .settings import Keyword, Section, Setting, Settings
from .ssh_walk import Local, Query
from .sshd_config import SSHDConfig
from .tokens import expand_path, expand_tokens
from .values import ListenAddress, LogLevel, RekeyLimit, StrictHostKeyChecking, Subsystem

__all__ = [
    "Keyword",
    "ListenAddress",
    "Local",
    "LogLevel",
    "Place",
    "Query",
    "RekeyLimit",
    "Resolved",
    "SSHConfig",
    "SSHDConfig",
    "Section",
    "Setting",
    "Settings",
    "StrictHostKeyChecking",
    "Subsystem",
    "choose_algorithms",
    "client_algorithms",
    "client_limits",
    "expand_path",
    "expand_tokens",
    "resolve",
    "server_algorithms",
    "server_limits",
    "ssh_config",
    "sshd_config",
]
