"""Patterns: equal to a plain definition of what they mean, and never slow."""

from __future__ import annotations

import fnmatch
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_ssh.wire.patterns import compile_pattern_list, matches_pattern, matches_pattern_list


@pytest.mark.parametrize(
    ("text", "pattern", "expected"),
    [
        ("", "", True),
        ("", "*", True),
        ("", "?", False),
        ("a", "", False),
        ("a", "?", True),
        ("a", "A", False),
        ("host.example.com", "*.example.com", True),
        ("example.com", "*.example.com", False),
        ("10.0.0.17", "10.0.?.1*", True),
        ("[host]:2222", "[host]:2222", True),
        ("[host]:2222", "[host]:*", True),
        ("h", "[h]", False),
        ("a*b", r"a\*b", False),
        ("abc", "***a**c*", True),
        ("häuser", "h?user", True),
    ],
)
def test_single(text, pattern, expected):
    assert matches_pattern(text, pattern) is expected


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["a*"], True),
        (["a*", "!abc"], False),
        (["!abc", "a*"], False),
        (["!x*", "a*"], True),
        (["!x*"], False),
        ([], False),
        (["x", "abc"], True),
        (["!"], False),
    ],
)
def test_lists(patterns, expected):
    assert matches_pattern_list("abc", patterns) is expected
    assert compile_pattern_list(iter(patterns)).matches("abc") is expected


@given(st.text(alphabet="ab", max_size=12), st.text(alphabet="ab*?", max_size=10))
def test_equal_to_the_shell(text, pattern):
    assert matches_pattern(text, pattern) == fnmatch.fnmatchcase(text, pattern)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("a" * 64, "*a" * 64 + "*b"),
        ("a" * 255, "*a" * 5000 + "b"),
        ("a" * 255, "*" * 10_000 + "b"),
        ("a" * 255, "?" * 5000 + "*" * 5000),
        ("ab" * 127, "*" + "ab" * 4999 + "c"),
    ],
)
def test_no_pattern_is_slow(text, pattern):
    best = min(_seconds(text, pattern) for _ in range(3))
    assert best < 0.010


def _seconds(text: str, pattern: str) -> float:
    start = time.process_time()
    assert not matches_pattern(text, pattern)
    return time.process_time() - start
