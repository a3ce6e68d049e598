"""``python -m tests.soak`` for a moment: its parts run, it reports, and what fails makes it exit with 1."""

from __future__ import annotations

from tests.faults.points import Fault, Point, Recording
from tests.soak.__main__ import main
from tests.soak.every_byte import count_points, nth_point, stride
from tests.soak.findings import Findings, Memory


def test_g3_the_parts_run_and_report(capsys):
    assert main(["--seconds", "1", "--seed", "3", "--only", "every_byte", "--only", "scenarios", "--only", "handshakes"]) == 0
    output = capsys.readouterr().out
    assert "soak: 1 s, seed 3, every_byte, scenarios, handshakes\n" in output
    assert output.count(": ok\n") == 3
    assert output.endswith("soak: 0 failures\n")


def test_g3_one_point_and_one_scenario_again(capsys):
    assert main(["--point", "up:EOF:10"]) == 0
    assert main(["--scenario", "3"]) == 0
    assert "ended as: ConnectionLost" in capsys.readouterr().out


def test_a_failure_is_said_and_counted(capsys):
    findings = Findings("a part", {"things": 3})
    findings.failed("one of them is wrong")
    assert findings.text() == "a part: FAILED\n    things: 3\n    FAILED: one of them is wrong"
    assert "one of them is wrong" in capsys.readouterr().err
    assert not findings.hopeless
    assert main(["--point", "sideways:EOF:1"]) == 1  # there is no such direction


def test_g3_the_order_of_points_has_each_once():
    recording = Recording({"up": 10, "down": 13}, {}, {}, {}, {})
    total = count_points(recording)
    assert total == 23 * len(Fault)
    for seed in range(20):
        step = stride(total, seed)
        points = {nth_point(recording, (seed + step * number) % total) for number in range(total)}
        assert len(points) == total
        assert all(Point.parse(str(point)) == point for point in points)


def test_the_slope_of_memory():
    memory = Memory([(float(at), 1000 + 7 * at) for at in range(100)])
    assert round(memory.slope, 6) == 7
    assert memory.growth == 7 * 47
    assert Memory([(1.0, 5)]).slope == Memory().growth == 0
