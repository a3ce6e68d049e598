"""How an established connection and new good clients fare while strangers hammer at the same server (hardening A13, RES-04, RES-07).

``python -m benchmarks.under_attack [--seconds S] [--attackers N] [--sources K] [--kex METHOD] [ATTACK ...]``

One server process with the library's defaults; a client that was there before, with one byte going to and fro; a client that logs in again
and again from an address of its own; and a process of N attackers, at most speed, from K addresses of 127.0.0.0/8:

    idle       nobody: what the others are compared with
    greet      connect, wait for the server's identification, leave
    silent     connect and say nothing, until the server closes
    kex        identify, KEXINIT and a made-up public value in one go; wait for the server's answer to it, leave
    ssh-audit  ``ssh-audit --dheat`` with N processes, where it is installed (one address)

Nothing here is an assertion: two cores that are shared with other work give other figures each time. Compare with ``idle`` of the same run.
"""

from __future__ import annotations

import argparse
import importlib.util
import ipaddress
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import trio

import trio_ssh
from trio_ssh.protocol.sealer import Sealer

from .peers.common import HOST, USER, listening, say
from .processes import ROOT, write_keys

ATTACKS = ("idle", "greet", "silent", "kex", "ssh-audit")
ECHO_PAUSE_SECONDS = 0.003
LOGIN_PAUSE_SECONDS = 0.1
ATTACKERS_FROM = ipaddress.ip_address("127.1.0.1")
LOGINS_FROM = "127.0.0.9"
LEAD_SECONDS = 1.0
"""An attack runs so long before anything is measured."""
GROUP_BYTES = {"diffie-hellman-group14-sha256": 256, "diffie-hellman-group16-sha512": 512, "diffie-hellman-group18-sha512": 1024}


# -- the server and its good clients -----------------------------------------------------------------------------------------------------


def serve(folder: Path, kex: str) -> None:
    async def echo(session: trio_ssh.ServerSession) -> int:
        async for chunk in session:
            await session.send_all(chunk)
        return 0

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(
                lambda task_status: trio_ssh.serve(
                    echo,
                    0,
                    host=HOST,
                    host_keys=[trio_ssh.PrivateKey.from_file(folder / "host_key")],
                    authenticate=trio_ssh.AuthorizedKeys.from_file(folder / "user_key.pub"),
                    algorithms=trio_ssh.Algorithms(kex=kex.split(",")) if kex else None,
                    task_status=task_status,
                )
            )
            listening(listeners[0].socket.getsockname()[1])

    trio.run(main)


def _connect(folder: Path, stream: trio.abc.Stream) -> trio_ssh.Connecting:
    return trio_ssh.connect(
        HOST,
        stream=stream,
        username=USER,
        credentials=[trio_ssh.PrivateKeyCredential(trio_ssh.PrivateKey.from_file(folder / "user_key"))],
        host_keys=trio_ssh.PinnedKeys([trio_ssh.PrivateKey.from_file(folder / "host_key").public_key]),
    )


def measure_echo(folder: Path, port: int) -> None:
    """Connected once; for each line of stdin, which says for how many seconds, the times of one byte's way to and fro."""

    async def main() -> None:
        stream = await trio.open_tcp_stream(HOST, port)
        async with _connect(folder, stream) as client, client.open_process("echo", stderr=trio_ssh.DISCARD) as process:
            say({"connected": True})
            while line := await trio.to_thread.run_sync(sys.stdin.readline):
                times = []
                end = time.perf_counter() + float(line)
                while (started := time.perf_counter()) < end:
                    await process.stdin.send_all(b"x")
                    await process.stdout.receive_some()
                    times.append(time.perf_counter() - started)
                    await trio.sleep(ECHO_PAUSE_SECONDS)
                say(_figures(times, failures=0))

    trio.run(main)


def measure_logins(folder: Path, port: int, seconds: float) -> None:
    """Log in, one after the other."""

    async def main() -> None:
        times, failures = [], 0
        end = time.perf_counter() + seconds
        while (started := time.perf_counter()) < end:
            try:
                with trio.fail_after(10):
                    stream = await trio.open_tcp_stream(HOST, port, local_address=LOGINS_FROM)
                    async with _connect(folder, stream):
                        times.append(time.perf_counter() - started)
            except (trio_ssh.SSHError, OSError, trio.TooSlowError):
                failures += 1
            await trio.sleep(LOGIN_PAUSE_SECONDS)
        say(_figures(times, failures))

    trio.run(main)


def _figures(times: list[float], failures: int) -> dict[str, float]:
    """Milliseconds."""
    times.sort()
    part = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    found = {name: 1e3 * times[min(len(times) - 1, int(share * len(times)))] if times else float("inf") for name, share in part.items()}
    return {**found, "count": len(times), "failures": failures}


# -- the attackers -----------------------------------------------------------------------------------------------------------------------


Act = Callable[[trio.SocketStream, "Counter[str]"], Awaitable[None]]


def attack(port: int, kind: str, seconds: float, attackers: int, sources: int, kex: str) -> None:
    """At most speed; says how much of it came through."""
    counts: Counter[str] = Counter()
    acts: dict[str, Act] = {"greet": _greet, "silent": _silent, "kex": partial(_exchange, kex=kex)}
    act = acts[kind]

    async def hammer(number: int) -> None:
        turn = number
        while True:
            turn += attackers
            counts["tried"] += 1
            try:
                stream = await trio.open_tcp_stream(HOST, port, local_address=str(ATTACKERS_FROM + turn % sources))
                async with stream:
                    await act(stream, counts)
            except (OSError, trio.BrokenResourceError):
                counts["broken"] += 1

    async def main() -> None:
        with trio.move_on_after(seconds):
            async with trio.open_nursery() as nursery:
                for number in range(attackers):
                    nursery.start_soon(hammer, number)

    trio.run(main)
    say(counts)


async def _greet(stream: trio.SocketStream, counts: Counter[str]) -> None:
    counts["served" if bytes(await stream.receive_some()).startswith(b"SSH-") else "refused"] += 1


async def _silent(stream: trio.SocketStream, counts: Counter[str]) -> None:
    await _greet(stream, counts)
    while await stream.receive_some():
        pass


async def _exchange(stream: trio.SocketStream, counts: Counter[str], kex: str) -> None:
    await stream.send_all(b"SSH-2.0-attacker\r\n" + _made_up_exchange(kex))
    received = bytearray()
    while data := await stream.receive_some():
        received += data
        if received[:4] != b"SSH-":
            break
        # Identification, KEXINIT, and the answer to what we made up: three packets in clear.
        at = received.find(b"\n") + 1
        numbers = []
        while at and len(received) >= at + 6:
            numbers.append(received[at + 5])
            at += 4 + int.from_bytes(received[at : at + 4], "big")
        if 31 in numbers:
            counts["answered"] += 1
            break
    counts["served" if received.startswith(b"SSH-") else "refused"] += 1


def _made_up_exchange(kex: str) -> bytes:
    sealer = Sealer(os.urandom, lambda: None)
    sealer.seal(trio_ssh.Algorithms(kex=[kex]).kexinit_payload(trio_ssh.Role.CLIENT, os.urandom(16), first=True))
    size = GROUP_BYTES.get(kex)
    share = os.urandom(32) if size is None else b"\x7f" + os.urandom(size - 1)
    sealer.seal(b"\x1e" + struct.pack(">I", len(share)) + share)
    return bytes(sealer.take_batch())


# -- the whole ---------------------------------------------------------------------------------------------------------------------------


class Part:
    """One of the processes; its answers are lines of JSON."""

    def __init__(self, role: str, **order: Any) -> None:
        command = [sys.executable, "-m", "benchmarks.under_attack", "--part", json.dumps({"role": role, **order})]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True)

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def answer(self) -> Figures:
        assert self.process.stdout is not None
        answer: Figures = json.loads(self.process.stdout.readline() or '{"ended": true}')
        return answer

    def end(self) -> None:
        self.process.terminate()
        self.process.communicate()


def main(wanted: argparse.Namespace) -> None:
    print(f"load before: {os.getloadavg()[0]:.2f}; {wanted.attackers} attackers from {wanted.sources} addresses, {wanted.kex}")
    with tempfile.TemporaryDirectory(prefix="attack") as name:
        write_keys(Path(name))
        server = Part("serve", folder=name, kex=wanted.server_kex)
        try:
            port = server.answer()["port"]
            echo = Part("echo", folder=name, port=port)
            try:
                echo.answer()
                for kind in wanted.attacks or ATTACKS:
                    print(_line(kind, *_round(kind, wanted, name, port, echo)), flush=True)
            finally:
                echo.end()
        finally:
            server.end()


Figures = dict[str, Any]


def _round(kind: str, wanted: argparse.Namespace, folder: str, port: int, echo: Part) -> tuple[Figures, Figures, Figures]:
    """What the byte's way took, what logins took, and what came through of the attack (a second)."""
    seconds = wanted.seconds
    attacker: Part | subprocess.Popen[str] | None = None
    if kind == "ssh-audit":
        attacker = _start_ssh_audit(port, wanted.attackers)
    elif kind != "idle":
        order = {"kind": kind, "attackers": wanted.attackers, "sources": wanted.sources, "kex": wanted.kex}
        attacker = Part("attack", port=port, seconds=seconds + 2 * LEAD_SECONDS, **order)
    time.sleep(LEAD_SECONDS)
    logins = Part("logins", folder=folder, port=port, seconds=seconds)
    echo.tell(str(seconds))
    found = echo.answer(), logins.answer()
    logins.end()
    if isinstance(attacker, Part):
        came = {name: round(count / (seconds + 2 * LEAD_SECONDS)) for name, count in attacker.answer().items()}
        attacker.end()
        return *found, came
    return *found, _stop_ssh_audit(attacker) if attacker is not None else {}


def _start_ssh_audit(port: int, attackers: int) -> subprocess.Popen[str] | None:
    if importlib.util.find_spec("ssh_audit") is None:
        return None
    command = [sys.executable, "-m", "ssh_audit", "-n", "-p", str(port), f"--dheat={attackers}", HOST]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True)


def _stop_ssh_audit(process: subprocess.Popen[str]) -> Figures:
    """Its own statistics, a second."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        text = process.communicate(timeout=20)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        text = process.communicate()[0]
    names = {"Attempted TCP": "tried", "Successful TCP": "served", "Successful DH": "answered"}
    names |= dict.fromkeys(("Not allowed", "Exceeded"), "refused")
    came: Counter[str] = Counter()
    for line in text.splitlines():
        for beginning, name in names.items():
            if line.strip().strip('"').startswith(beginning) and "/sec" in line:
                came[name] += round(float(line.partition(":")[2].split("/sec")[0].replace(",", "")))
    return dict(came)


def _line(kind: str, echo: Figures, logins: Figures, came: Figures) -> str:
    def shown(figures: Figures) -> str:
        return f"p50 {figures['p50']:7.2f}  p99 {figures['p99']:7.2f}  max {figures['max']:7.2f} ms"

    failed = f", {logins['failures']} failed" if logins["failures"] else ""
    attack = "  ".join(f"{name} {count}/s" for name, count in came.items())
    return f"{kind:10} byte: {shown(echo)} | login: {shown(logins)} ({logins['count']}{failed}) | {attack}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.under_attack", description=__doc__.partition("\n")[0])
    parser.add_argument("attacks", nargs="*", metavar="ATTACK", help=f"of {', '.join(ATTACKS)}; all by default")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--attackers", type=int, default=16)
    parser.add_argument("--sources", type=int, default=1)
    parser.add_argument("--kex", default="curve25519-sha256", help="the attackers' key exchange method")
    parser.add_argument("--server-kex", default="", help="the server's methods, with commas; its defaults if not given")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    return parser.parse_args()


def _run_part(order: dict[str, Any]) -> None:
    role = order.pop("role")
    if "folder" in order:
        order["folder"] = Path(order["folder"])
    parts: dict[str, Callable[..., None]] = {"serve": serve, "echo": measure_echo, "logins": measure_logins, "attack": attack}
    parts[role](**order)


if __name__ == "__main__":
    wanted = _arguments()
    if wanted.part:
        _run_part(json.loads(wanted.part))
    else:
        main(wanted)
