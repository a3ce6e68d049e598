"""`make fuzz`: G1 and G2 whole, then every target under atheris for some seconds. One line each; status 1 if anything was found.

``python -m tests.fuzz.run [--seconds 20] [--g2 1000000] [--seed 0] [NAME ...]``: names of targets, or ``g1``, ``g2``; none is everything.
Inputs that found something are in ``tests/fuzz/crashes``; once it is understood, its hex goes to ``tests/fuzz/regressions/NAME/WHAT.hex``.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import trio

from tests.fuzz import frames, g1, g2
from tests.fuzz.registry import FOLDER, NAMES, Target, load, regressions
from tests.fuzz.states import BOTH, IN_FIRST_KEX, State
from trio_ssh.crypto.suites import DEFAULT_CIPHERS

CRASHES, CORPUS = FOLDER / "crashes", FOLDER / "corpus"
SECONDS_PER_INPUT = 10
MEGABYTES = 2048
FOUND = 77
SLACK_SECONDS = 120


@attrs.frozen
class Report:
    """One line, and what was found, if anything was."""

    line: str
    findings: tuple[str, ...] = ()


# -- the generators --------------------------------------------------------------------------------------------------------------------


def whole_connections() -> Report:
    async def play() -> list[str]:
        return [complaint for case in g1.cases() if (complaint := await g1.run_on_whole(case))]

    return _timed("G1 on whole connections", lambda: trio.run(play), len(list(g1.cases())))


def machines_under(cipher: str) -> Report:
    """The states that are behind the first keys."""
    algorithms = attrs.evolve(BOTH, ciphers=(cipher,))
    cases = list(g1.cases(states=[state for state in State if state not in IN_FIRST_KEX]))

    async def play() -> list[str]:
        return [complaint for case in cases if (complaint := g1.run_on_machine(case, algorithms))]

    return _timed(f"G1 under {cipher}", lambda: trio.run(play), len(cases))


def machines_without_strict_kex() -> Report:
    async def play() -> list[str]:
        return [complaint for case in g1.cases() if (complaint := g1.run_on_machine(case, strict=False))]

    return _timed("G1 without strict kex", lambda: trio.run(play), len(list(g1.cases())))


def mutated_messages(count: int, seed: int) -> Report:
    async def play() -> list[str]:
        try:
            g2.run(count, seed)
        except g2.Finding as finding:
            return [str(finding)]
        return []

    return _timed(f"G2 from seed {seed}", lambda: trio.run(play), count)


def mutated_frames(count: int, seed: int) -> Report:
    async def play() -> list[str]:
        try:
            frames.run(count, seed)
        except frames.Finding as finding:
            return [str(finding)]
        return []

    return _timed(f"frames from seed {seed}", lambda: trio.run(play), count)


def _timed(name: str, play: Callable[[], list[str]], count: int) -> Report:
    started = time.monotonic()
    try:
        findings = play()
    except Exception as error:
        findings = ["\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", [])])]
    seconds = time.monotonic() - started
    return Report(f"{name:36} {count:9} cases  {seconds:6.0f} s  {len(findings)} findings", tuple(findings))


# -- the targets -----------------------------------------------------------------------------------------------------------------------


def fuzzed(name: str, seconds: int) -> Report:
    """One target under atheris. What it learns is kept in ``tests/fuzz/corpus`` for the next run."""
    corpus = CORPUS / name
    for folder in (CRASHES, corpus):
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="trio-ssh-fuzz-") as seeds:
        _write_seeds(load(name), Path(seeds))
        flags = [f"-max_total_time={seconds}", f"-timeout={SECONDS_PER_INPUT}", f"-rss_limit_mb={MEGABYTES}", "-print_final_stats=1"]
        command = [
            sys.executable,
            "-m",
            "tests.fuzz.under_atheris",
            name,
            *flags,
            f"-artifact_prefix={CRASHES}/{name}-",
            str(corpus),
            seeds,
        ]
        try:
            run = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=seconds + SLACK_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return Report(f"{name:36} did not end within {seconds + SLACK_SECONDS} s", (f"{name}: some input takes for ever",))
    executions, edges = _last(r"number_of_executed_units:\s+(\d+)", run.stderr), _last(r"cov: (\d+)", run.stderr)
    found = () if run.returncode == 0 else (_what_was_found(name, run),)
    return Report(f"{name:36} {executions:>9} runs   {edges:>6} edges  {len(found)} findings", found)


def _write_seeds(target: Target, folder: Path) -> None:
    for index, seed in enumerate([*target.seeds(), *regressions(target.name).values()]):
        (folder / f"seed{index:04}").write_bytes(seed)


def _last(pattern: str, text: str) -> str:
    found = re.findall(pattern, text)
    return found[-1] if found else "?"


def _what_was_found(name: str, run: subprocess.CompletedProcess[str]) -> str:
    """The exception, and where its input is; the end of the output where the process died of something else."""
    text = run.stdout + run.stderr
    shown = [line for line in text.splitlines() if "Error" in line or "Exception" in line or "Test unit written" in line or "ERROR" in line]
    ending = "\n  ".join(shown[-6:] or text.splitlines()[-12:])
    return f"{name} (status {run.returncode}{', an input was found' if run.returncode == FOUND else ''}):\n  {ending}"


# -- all of it -------------------------------------------------------------------------------------------------------------------------


def reports(arguments: argparse.Namespace) -> Iterator[Report]:
    names = set(arguments.names)

    def wanted(name: str) -> bool:
        return not names or name in names

    if wanted("g1"):
        yield whole_connections()
        yield machines_without_strict_kex()
        for cipher in DEFAULT_CIPHERS:
            yield machines_under(cipher)
    if wanted("g2"):
        yield mutated_messages(arguments.g2, arguments.seed)
        yield mutated_frames(arguments.g2, arguments.seed)
    for name in filter(wanted, NAMES):
        yield fuzzed(name, arguments.seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description="Everything that make fuzz runs.")
    parser.add_argument("--seconds", type=int, default=20, help="for each target under atheris")
    parser.add_argument("--g2", type=int, default=1_000_000, help="how many mutated messages, and as many frames")
    parser.add_argument("--seed", type=int, default=0, help="where G2 begins")
    parser.add_argument("names", nargs="*", choices=[*NAMES, "g1", "g2", []], metavar="NAME")
    findings: list[str] = []
    for report in reports(parser.parse_args()):
        print(report.line, flush=True)
        findings += report.findings
    for finding in findings:
        print(finding, file=sys.stderr)
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
