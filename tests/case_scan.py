"""Which tests carry which case: the tests are read, not imported.

An id stands in a test's name, anywhere, or at the beginning of an id of its parameters: ``sm_034``, ``a02``, ``res_20``, ``g1``. The
documentation's table (``docs/_ext/cases.py``) is made from this.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent

FAMILIES: dict[str, int] = {
    "SM": 164, "RES": 32, "FLT": 30, "TRI": 30, "POL": 7, "PAIN": 26, "ASR": 13,
    "A": 31, "B": 23, "C": 20, "D": 16, "E": 15, "G": 4, "P": 10,
}
"""How many cases of each kind there are in all, those of layers that are not there yet included: a test may name any of them."""

_ID = re.compile(r"(?<![a-z0-9])(?:(sm)_(\d{3})|(res|flt|tri|pol|pain|asr)_(\d\d)|([a-e])(\d\d)|([gp])(\d{1,2}))(?![a-z0-9])")


def ids_in(text: str) -> list[str]:
    """The ids that a name carries, as `case_list` writes them: ``test_sm_034_a02_noise`` has SM-034 and A02."""
    found = [[part for part in match.groups() if part is not None] for match in _ID.finditer(text)]
    return [f"{family.upper()}-{digits}" if len(family) > 1 else f"{family.upper()}{digits}" for family, digits in found]


def is_known(number: str) -> bool:
    """Is there such a case?"""
    family = number.rstrip("0123456789")
    return 1 <= int(number[len(family) :]) <= FAMILIES[family.rstrip("-")]


def read_ids(folder: Path = TESTS) -> dict[str, list[str]]:
    """Every id that a test below `folder` carries -> ``file::function``, in the order of the files."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        values = _values_of_names(tree)
        for function in ast.walk(tree):
            if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)) and function.name.startswith("test_"):
                name = f"{path.relative_to(folder).as_posix()}::{function.name}"
                texts = [function.name, *_parameter_ids(function, values)]
                for number in dict.fromkeys(number for text in texts for number in ids_in(text)):
                    found.setdefault(number, []).append(name)
    return found


def _parameter_ids(function: ast.FunctionDef | ast.AsyncFunctionDef, values: dict[str, ast.AST]) -> Iterator[str]:
    """Texts that begin with an id, of the decorators and of the module's names that they use."""
    todo: list[ast.AST] = list(function.decorator_list)
    seen: set[str] = set()
    while todo:
        for node in ast.walk(todo.pop()):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _ID.match(node.value):
                yield node.value
            elif isinstance(node, ast.Name) and node.id in values and node.id not in seen:
                seen.add(node.id)
                todo.append(values[node.id])


def _values_of_names(tree: ast.Module) -> dict[str, ast.AST]:
    values: dict[str, ast.AST] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            values |= {target.id: statement.value for target in statement.targets if isinstance(target, ast.Name)}
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value is not None:
            values[statement.target.id] = statement.value
    return values
