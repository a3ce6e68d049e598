"""Each limit has a test that sets it (hardening §6.1, law 5): a new field without one fails here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import attrs

from trio_ssh import Limits

TESTS = Path(__file__).parent


def keywords_of_limits() -> Iterator[str]:
    """The fields that any test gives to ``Limits(...)``, or to ``attrs.evolve`` of one."""
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ("Limits", "evolve", "dict"):
                yield from (keyword.arg for keyword in node.keywords if keyword.arg)
    yield from ("send_quantum_bytes", "request_backlog")  # in `pairs.SMALLEST`, which whole connections are run with


def test_every_limit_is_met_by_a_test():
    fields = {field.name for field in attrs.fields(Limits)}
    assert fields - set(keywords_of_limits()) == set()
