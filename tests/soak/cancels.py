"""Generator G4 with another seed: trio's scheduler takes other ways between the same checkpoints (hardening FLT-15)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile

from tests.soak.findings import Findings

FILES = ("tests/faults/test_cancel.py", "tests/faults/test_cancel_calls.py")


def run(seconds: float, seed: int) -> Findings:
    """pytest runs them in a process of its own, which is killed when the time is over; what it has done by then counts."""
    findings = Findings("cancel at every checkpoint (G4)")
    command = [sys.executable, "-u", "-m", "pytest", "-v", "-x", "--no-header", "--color=no", *FILES]
    environ = {**os.environ, "TRIO_SSH_TEST_SEED": str(seed)}
    over = ""
    with tempfile.TemporaryFile("w+") as output:
        with subprocess.Popen(command, env=environ, stdout=output, stderr=subprocess.STDOUT) as process:
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                over = ", then the time was over"
        output.seek(0)
        text = output.read()
    passed = len(re.findall(r" PASSED +\[", text))
    findings.facts["operations"] = f"{passed} tests with seed {seed}{over}"
    if process.returncode and not over:
        findings.failed(f"to see it again: TRIO_SSH_TEST_SEED={seed} python -m pytest {' '.join(FILES)}\n{text[-3000:]}")
    return findings
