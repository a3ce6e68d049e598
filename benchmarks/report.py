"""The table, for a terminal and for the documentation, and the plot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .processes import ROOT
from .results import Result

TABLE = ROOT / "docs" / "performance_table.txt"
PLOT = ROOT / "docs" / "performance.svg"
TITLES = {"trio_ssh": "trio_ssh", "asyncssh": "AsyncSSH", "paramiko": "Paramiko", "openssh": "OpenSSH", "raw_trio": "Trio TCP without SSH"}
COLUMNS = ("asyncssh", "paramiko", "openssh")
COLOURS = {"asyncssh": "#33658a", "paramiko": "#86bbd8", "openssh": "#f26419"}
REACHED = {True: "yes", False: "no", None: ""}


def line(result: Result) -> str:
    """One result as text, for the terminal."""
    peers = "  ".join(f"{TITLES[peer]} {result.unit.show(result.figure(peer))} ({_ratios(result, peer)})" for peer in result.others)
    ours = f"{result.ours} {result.unit.show(result.figure(result.ours))}"
    return f"{result.row:4} {result.work}: {ours}  {peers}" + (f"  [{_goal(result)}]" if result.goal else "")


def _ratios(result: Result, peer: str) -> str:
    """How many times better: in time, and, where it was measured, in processor time of both ends together."""
    cpu = result.cpu_ratio(peer)
    return f"{result.ratio(peer):.2f} x" + (f", cpu {cpu:.2f} x" if cpu is not None else "")


def _goal(result: Result) -> str:
    assert result.goal is not None
    words = {True: "reached", False: "NOT REACHED", None: "not compared"}
    return f"{result.goal.text}: {words[result.reached]}"


def write(results: Sequence[Result], machine: dict[str, str]) -> None:
    """Both files of the documentation."""
    TABLE.write_text(table(results, machine), encoding="utf-8")
    draw(results, PLOT)


def table(results: Sequence[Result], machine: dict[str, str]) -> str:
    """reStructuredText: the facts of the machine, then a list-table."""
    lines = [".. written by python -m benchmarks", ""]
    lines += [f":{name}: {value}" for name, value in machine.items()]
    lines += ["", ".. list-table::", "   :header-rows: 1", "   :widths: auto", ""]
    lines += _cells(["", "work", "trio_ssh", *(TITLES[peer] for peer in COLUMNS), "goal", "reached"])
    for result in results:
        lines += _cells(_row(result))
    return "\n".join(lines) + "\n"


def _cells(texts: Sequence[str]) -> list[str]:
    return [f"   {'*' if number == 0 else ' '} - {text}".rstrip() for number, text in enumerate(texts)]


def _row(result: Result) -> list[str]:
    goal = result.goal.text if result.goal else ""
    for peer in result.others:
        if peer not in COLUMNS:  # a floor, or ourselves in another way: beside the goal that is about it
            goal += f" ({result.unit.show(result.figure(peer))})"
    ours = result.unit.show(result.figure(result.ours))
    return [result.row, result.work, ours, *(_peer_cell(result, peer) for peer in COLUMNS), goal, REACHED[result.reached]]


def _peer_cell(result: Result, peer: str) -> str:
    if peer not in result.values:
        return "–"
    return f"{result.unit.show(result.figure(peer))} ({result.ratio(peer):.2f} ×)"


def draw(results: Sequence[Result], path: Path) -> None:
    """How many times better than each peer, on a logarithmic scale. Needs matplotlib, which the ``bench`` extra brings."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "trio_ssh"  # the same figures give the same file
    matplotlib.rcParams["svg.fonttype"] = "none"  # text stays text
    from matplotlib import pyplot

    shown = [result for result in results if any(peer in result.values for peer in COLUMNS)]
    figure, axes = pyplot.subplots(figsize=(9, 0.55 * len(shown) + 1.2))
    height = 0.8 / len(COLUMNS)
    for offset, peer in enumerate(COLUMNS):
        places = [place + offset * height for place, result in enumerate(shown) if peer in result.values]
        ratios = [result.ratio(peer) for result in shown if peer in result.values]
        axes.barh(places, [ratio - 1 for ratio in ratios], height, left=1, color=COLOURS[peer], label=TITLES[peer])
    for place, result in enumerate(shown):
        if result.goal is not None and result.goal.against in COLUMNS:
            bar = place + COLUMNS.index(result.goal.against) * height
            axes.plot([result.goal.times] * 2, [bar - height / 2, bar + height / 2], color="black", linewidth=2)
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks([place + height for place in range(len(shown))], [f"{result.row} {result.work}" for result in shown])
    axes.invert_yaxis()
    axes.set_xlabel("times better than the peer; a short black line is the goal")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} ×")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(COLUMNS), frameon=False)
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)
