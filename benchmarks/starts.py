"""P13: how long it takes to import a library, and to run one command on another host."""

from __future__ import annotations

import importlib.util
import json
import os
import pwd
import subprocess
import sys
import time

from .compare import AES, KEX, Run
from .peers.common import HOST
from .processes import ROOT, PeerProcess
from .results import OURS, Goal, Result, Unit

IMPORT_LIMIT_MS = 80
ROUNDS_MIN = 5

# Imports what comes first, then the package: prints the milliseconds of the latter, and which modules are loaded in the end.
_IMPORT = """
import importlib, json, sys, time
package, first = sys.argv[1], json.loads(sys.argv[2])
for name in first:
    try:
        importlib.import_module(name)
    except ImportError:
        pass  # a module that its package makes by itself
started = time.perf_counter()
importlib.import_module(package)
print(json.dumps([1e3 * (time.perf_counter() - started), list(sys.modules)]))
"""
_TRIO_SSH = "import sys; from trio_ssh.cli.ssh import main; sys.exit(main())"  # what the trio-ssh command runs

BEFORE = ("asyncio", "cryptography", "trio")
"""What a user of such a library has imported anyway: the event loop and the cryptography."""


def import_times(run: Run) -> list[Result]:
    packages = [peer for peer in (OURS, "asyncssh", "paramiko") if peer in run.peers]
    loaded = {package: _import(package, [])[1] for package in packages}  # this one also writes the .pyc files
    first = {package: [name for name in loaded[package] if name.partition(".")[0] in BEFORE] for package in packages}
    whole: dict[str, list[float]] = {package: [] for package in packages}
    beyond: dict[str, list[float]] = {package: [] for package in packages}
    for _ in range(max(run.rounds, ROUNDS_MIN)):
        for package in packages:
            whole[package].append(_import(package, [])[0])
            beyond[package].append(_import(package, first[package])[0])
    goal = Goal(text=f"<= {IMPORT_LIMIT_MS} ms", limit=IMPORT_LIMIT_MS)
    return [
        Result(row="P13", work="import, beyond its event loop and cryptography", unit=Unit.MILLISECONDS, values=beyond, goal=goal),
        Result(row="P13", work="import, all in all", unit=Unit.MILLISECONDS, values=whole),
    ]


def _import(package: str, first: list[str]) -> tuple[float, list[str]]:
    command = [sys.executable, "-c", _IMPORT, package, json.dumps(first)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=ROOT)
    milliseconds, modules = json.loads(done.stdout)
    return milliseconds, modules


def command_times(run: Run) -> list[Result]:
    """``trio-ssh host true`` and ``ssh host true``, both to the same sshd. Nothing where one of them is not there."""
    if "openssh" not in run.peers or importlib.util.find_spec("trio_ssh.cli.ssh") is None:
        return []
    server = PeerProcess("openssh", "serve", run.setup())
    try:
        port = server.answer()["port"]
        words = _words(run, port)
        values: dict[str, list[float]] = {OURS: [], "openssh": []}
        commands = {OURS: [sys.executable, "-c", _TRIO_SSH, *words], "openssh": ["ssh", *words]}
        for _ in range(max(run.rounds, ROUNDS_MIN)):
            for name, command in commands.items():
                values[name].append(_milliseconds(run, command))
    finally:
        server.end()
    goal = Goal(text="<= OpenSSH", against="openssh", times=1)
    return [Result(row="P13", work="ssh host true, the whole command", unit=Unit.MILLISECONDS, values=values, goal=goal)]


def _words(run: Run, port: int) -> list[str]:
    known_hosts = run.folder / "known_hosts.command"
    known_hosts.write_text(f"[{HOST}]:{port} " + (run.folder / "host_key.pub").read_text())
    settings = {
        "BatchMode": "yes",
        "Ciphers": AES,
        "KexAlgorithms": KEX,
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": known_hosts,
    }
    user = pwd.getpwuid(os.getuid()).pw_name
    words = ["-F", "none", "-T", "-p", str(port), "-l", user, "-i", str(run.folder / "user_key")]
    return [*words, *(word for name, value in settings.items() for word in ("-o", f"{name}={value}")), HOST, "true"]


def _milliseconds(run: Run, command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, stdin=subprocess.DEVNULL, check=True, cwd=ROOT, env={**os.environ, "HOME": str(run.folder)})
    return 1e3 * (time.perf_counter() - started)
