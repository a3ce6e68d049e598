"""The rules of the house, as functions from source files to faults; `test_architecture.py` applies them.

A *room* is a top-level folder or file of the package. `MAY_IMPORT` is the layers table: what is not in it is forbidden, so an import can
only go down. Imports under ``if TYPE_CHECKING:`` and imports inside functions count like any other: a name needed from above for typing
is as much a debt as one needed at run time.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import attrs

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
CLASS_ATTRIBUTES_MAX = 15

ROOT = "__init__"  # the package's own __init__.py: the public names

_L0 = {"errors", "wire"}
_L1 = {"crypto", "keys"}
_L2 = {"protocol"}
_L3 = {"connection", "agent"}
_L4 = {"client", "server"}
_L5 = {"forwarding", "sftp", "config", "tunnel"}
_ALL = _L0 | _L1 | _L2 | _L3 | _L4 | _L5 | {ROOT, "algorithms", "cli", "testing", "__main__"}

# room -> the other rooms it may import; a room may always import itself
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "wire": {"errors"},
    "crypto": _L0,
    "keys": _L0 | {"crypto"},
    "algorithms": _L0 | _L1,
    "protocol": _L0 | _L1,
    "connection": _L0 | _L1 | _L2,
    "agent": _L0 | {"keys"},  # any stream will do, so that it needs nothing of a connection
    "client": _L0 | _L1 | _L2 | _L3,
    "server": _L0 | _L1 | _L2 | _L3,
    ROOT: _L0 | _L1 | _L2 | _L3 | _L4,
    # An application of the library may use what a stranger could: the public names, the errors, the wire format.
    **dict.fromkeys(_L5, _L0 | _L4 | {ROOT}),
    # The tools use everything public.
    "cli": {"errors", "keys", ROOT, "testing", "agent"} | _L4 | _L5,
    "__main__": {"cli", ROOT},
    "testing": _ALL,
}

# room -> the packages beyond the standard library that it may import
_FOREIGN: dict[str, set[str]] = {
    **{room: {"attrs", "attr"} for room in _L0 | _L2},
    **{room: {"attrs", "attr", "cryptography", "bcrypt"} for room in _L1},
    "cli": {"attrs", "attr", "trio", "rich"},
    "testing": {"attrs", "attr", "trio", "cryptography"},
}
_FOREIGN_ABOVE = {"attrs", "attr", "trio"}  # connection and up, where no row says otherwise

# "no trio, no clock, no sockets, no randomness but through an argument"
_NOT_IN_PROTOCOL = {"time", "datetime", "random", "secrets", "socket", "select", "selectors", "ssl", "subprocess", "threading", "signal"}
_HOT_FILES = {"protocol.sealer", "protocol.opener"}
_SEALING = {"seal", "seal_channel_data", "seal_extended_data"}
_MAY_BE_CANCELLED = {"BaseException", "BaseExceptionGroup", "Cancelled"}


@attrs.frozen
class Fault:
    """One breach: `where` is a module, with ``:name`` behind it when the rule is about one class or function."""

    rule: str
    where: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.where} line {self.line}: {self.text} [{self.rule}]"


@attrs.frozen(eq=False)
class Source:
    """One file of the package; `module` is its dotted name below the package, ``connection.mux`` or ``wire`` or ``__init__``."""

    module: str
    is_package: bool
    text: str
    tree: ast.Module

    @property
    def room(self) -> str:
        return self.module.partition(".")[0]


@attrs.frozen
class Import:
    """`target` is a dotted name: a module of the package below its root if `inside`, else a foreign module. `name` is what was taken."""

    inside: bool
    target: str
    name: str
    line: int


def read_package(folder: Path) -> list[Source]:
    """Every Python file below `folder`, parsed, in the order of their names."""
    sources = []
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        module = ".".join(parts[:-1] if is_package and len(parts) > 1 else parts)
        text = path.read_text(encoding="utf-8")
        sources.append(Source(module, is_package, text, ast.parse(text, str(path))))
    return sources


# --- imports ---------------------------------------------------------------------------------------------------------------------------


def imports_of(source: Source, modules: set[str], package: str) -> Iterator[Import]:
    """All imports of a file, wherever they stand. ``from . import name`` means the module `name` if there is one, else the package."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield _absolute(alias.name, "", node.lineno, package)
        elif isinstance(node, ast.ImportFrom):
            base = _base(source, node, package)
            for alias in node.names:
                found = _absolute(base, alias.name, node.lineno, package)
                deeper = alias.name if found.target == ROOT else f"{found.target}.{alias.name}"
                yield attrs.evolve(found, target=deeper) if found.inside and deeper in modules else found


def _base(source: Source, node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    here = [] if source.module == ROOT else source.module.split(".")
    climb = node.level - 1 if source.is_package else node.level
    parts = [package, *here[: len(here) - climb]] if climb <= len(here) else [".."]
    return ".".join([*parts, node.module] if node.module else parts)


def _absolute(dotted: str, name: str, line: int, package: str) -> Import:
    top, _, below = dotted.partition(".")
    if top != package:
        return Import(False, dotted, name, line)
    return Import(True, below or ROOT, name, line)


def upward_imports(sources: Sequence[Source], package: str) -> Iterator[Fault]:
    """The layers table: a room imports only rooms below it, and no other room's private names."""
    modules = {source.module for source in sources}
    for source in sources:
        room = source.room
        if room not in MAY_IMPORT:
            yield Fault("layers", source.module, 1, f"{room!r} is no room of the layers table")
            continue
        for found in imports_of(source, modules, package):
            if not found.inside:
                continue
            other = found.target.partition(".")[0]
            if other != room and other not in MAY_IMPORT[room]:
                yield Fault("layers", source.module, found.line, f"{room} may not import {other}")
            elif other not in (room, ROOT) and found.name.startswith("_"):
                yield Fault("layers", source.module, found.line, f"{found.name} is private to {other}")


def foreign_imports(sources: Sequence[Source], package: str) -> Iterator[Fault]:
    """No trio below connection/, no cryptography outside crypto/ and keys/, no asyncio, nothing that is not a dependency."""
    modules = {source.module for source in sources}
    for source in sources:
        allowed = _FOREIGN.get(source.room, _FOREIGN_ABOVE)
        for found in imports_of(source, modules, package):
            top = found.target.partition(".")[0]
            if found.inside or top == "__future__":
                continue
            if top == "asyncio" or (source.room == "protocol" and top in _NOT_IN_PROTOCOL):
                yield Fault("foreign", source.module, found.line, f"{top} may not be imported here")
            elif top not in sys.stdlib_module_names and top not in allowed:
                yield Fault("foreign", source.module, found.line, f"{top} may not be imported in {source.room}")


def circles(sources: Sequence[Source], package: str) -> Iterator[Fault]:
    """Modules that import each other, directly or round about; each circle is told once."""
    modules = {source.module for source in sources}
    graph = {
        source.module: sorted(
            {i.target for i in imports_of(source, modules, package) if i.inside and i.target in modules} - {source.module}
        )
        for source in sources
    }
    done: set[str] = set()
    for start in graph:
        yield from _circles_from(start, graph, done, [])


def _circles_from(module: str, graph: dict[str, list[str]], done: set[str], path: list[str]) -> Iterator[Fault]:
    if module in path:
        circle = [*path[path.index(module) :], module]
        yield Fault("circle", min(circle), 1, " -> ".join(circle))
    elif module not in done:
        for target in graph[module]:
            yield from _circles_from(target, graph, done, [*path, module])
        done.add(module)


# --- what a file may hold --------------------------------------------------------------------------------------------------------------


def clock_calls(sources: Sequence[Source], _package: str) -> Iterator[Fault]:
    """time.time and time.sleep: trio's clock is the one that tests can steer, and nothing may block the loop.

    `time.time` may be the default of a `clock` that comes in from outside: it is the call that counts.
    """
    for source in sources:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("time.time", "time.sleep"):
                yield Fault("clock", source.module, node.lineno, ast.unparse(node.func))
            elif isinstance(node, ast.ImportFrom) and node.module == "time":
                for alias in node.names:
                    if alias.name in ("time", "sleep"):
                        yield Fault("clock", source.module, node.lineno, f"time.{alias.name}")


def random_calls(sources: Sequence[Source], _package: str) -> Iterator[Fault]:
    """protocol/ draws no randomness itself: whoever makes a machine hands it the source (os.urandom may be a default, not a call)."""
    for source in sources:
        if source.room != "protocol":
            continue
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("os.urandom", "urandom", "os.getrandom", "getrandom"):
                yield Fault("random", source.module, node.lineno, "randomness comes in through an argument")


def unbounded_queues(sources: Sequence[Source], _package: str) -> Iterator[Fault]:
    """Whatever queues has a limit with a name (law 5)."""
    for source in sources:
        for node in ast.walk(source.tree):
            if not isinstance(node, ast.Call):
                continue
            function = node.func.value if isinstance(node.func, ast.Subscript) else node.func
            if not ast.unparse(function).endswith("open_memory_channel"):
                continue
            capacity = [ast.unparse(a) for a in (*node.args, *(k.value for k in node.keywords))]
            if any(c in ("math.inf", "inf", "float('inf')") for c in capacity):
                yield Fault("queue", source.module, node.lineno, "a memory channel without a bound")


def unfinished_marks(sources: Sequence[Source], _package: str) -> Iterator[Fault]:
    """What is not finished stands in an issue, not in the code."""
    pattern = re.compile(r"\b(TODO|FIXME)\b")
    for source in sources:
        for number, line in enumerate(source.text.splitlines(), 1):
            if found := pattern.search(line):
                yield Fault("unfinished", source.module, number, found.group())


def async_protocol(sources: Sequence[Source], _package: str) -> Iterator[Fault]:
    """protocol/ is synchronous: between making bytes and queueing them nothing can be cancelled."""
    forbidden = (ast.Await, ast.AsyncFor, ast.AsyncWith, ast.AsyncFunctionDef)
    for source in sources:
        if source.room == "protocol":
            for node in ast.walk(source.tree):
                if isinstance(node, forbidden):
                    yield Fault("async", source.module, node.lineno, type(node).__name__)


def awaited_sealing(sources: Sequence[Source], _package: str) -> Iterator[Fault]:
    """Whatever seals is a plain function: taking a number, sealing and queueing is one synchronous act (law 3). Peers for tests may err."""
    for source in sources:
        for function in ast.walk(source.tree):
            if isinstance(function, ast.AsyncFunctionDef) and source.room != "testing":
                for node in _own_code(function):
                    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _SEALING:
                        yield Fault("sealing", source.module, node.lineno, f"{node.func.attr} in async {function.name}")


def swallowed_cancellations(sources: Sequence[Source], _package: str) -> Iterator[Fault]:
    """Whoever catches what may be a cancellation raises it again: trio counts on it."""
    for source in sources:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Try):
                passes_on = False
                for handler in node.handlers:
                    caught = _caught(handler)
                    raises = any(isinstance(inner, ast.Raise) for inner in ast.walk(handler))
                    if caught & _MAY_BE_CANCELLED and not raises and not (passes_on and caught == {"BaseException"}):
                        yield Fault("cancelled", source.module, handler.lineno, f"except {', '.join(sorted(caught))} without a raise")
                    passes_on |= bool(caught & {"Cancelled", "PASSING"}) and isinstance(handler.body[-1], ast.Raise)


def _caught(handler: ast.ExceptHandler) -> set[str]:
    """The last parts of the names; a bare except catches BaseException."""
    if handler.type is None:
        return {"BaseException"}
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return {ast.unparse(kind).rpartition(".")[2] for kind in kinds}


def trio_at_import(sources: Sequence[Source], _package: str) -> Iterator[Fault]:
    """Nothing of trio's is made when a module is imported: it belongs to one run, and there may be two. (A RunVar is for that.)"""
    for source in sources:
        for node in _own_code(source.tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("trio.") and not ast.unparse(node.func).endswith("RunVar"):
                yield Fault("import-time", source.module, node.lineno, ast.unparse(node.func))


def _own_code(outer: ast.AST) -> Iterator[ast.AST]:
    """What runs with `outer`: everything in it but the bodies of functions (their decorators and defaults run)."""
    todo: list[ast.AST] = list(ast.iter_child_nodes(outer))
    while todo:
        node = todo.pop()
        yield node
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            todo += [*node.decorator_list, *node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)]
        elif not isinstance(node, ast.Lambda):
            todo += ast.iter_child_nodes(node)


def slow_hot_files(sources: Sequence[Source], package: str) -> Iterator[Fault]:
    """sealer and opener run once a packet: no logging, and no isinstance."""
    modules = {source.module for source in sources}
    for source in sources:
        if source.module not in _HOT_FILES:
            continue
        for found in imports_of(source, modules, package):
            if found.target == "logging":
                yield Fault("hot", source.module, found.line, "no logging in a hot file")
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance":
                yield Fault("hot", source.module, node.lineno, "no isinstance in a hot file")


# --- sizes -----------------------------------------------------------------------------------------------------------------------------


def long_files(sources: Sequence[Source], _package: str) -> Iterator[Fault]:
    for source in sources:
        lines = len(source.text.splitlines())
        if lines > FILE_LINES_MAX:
            yield Fault("file-length", source.module, lines, f"{lines} lines: which noun wants its own file?")


def long_functions(sources: Sequence[Source], _package: str) -> Iterator[Fault]:
    for source in sources:
        for node in ast.walk(source.tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES_MAX:
                    yield Fault("function-length", f"{source.module}:{node.name}", node.lineno, f"{lines} lines")


def wide_classes(sources: Sequence[Source], _package: str) -> Iterator[Fault]:
    for source in sources:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.ClassDef):
                own = own_attributes(node)
                if len(own) > CLASS_ATTRIBUTES_MAX:
                    yield Fault("class-width", f"{source.module}:{node.name}", node.lineno, f"{len(own)} attributes")


def own_attributes(node: ast.ClassDef) -> set[str]:
    """Names that an instance carries: annotated or ``attrs.field()`` names of the body, and whatever a method assigns on ``self``."""
    names: set[str] = set()
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            if not ast.unparse(statement.annotation).startswith(("ClassVar", "typing.ClassVar")):
                names.add(statement.target.id)
        elif isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call):
            if ast.unparse(statement.value.func) in ("attrs.field", "field", "attr.ib"):
                names |= {target.id for target in statement.targets if isinstance(target, ast.Name)}
        elif isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names |= {
                inner.attr
                for inner in ast.walk(statement)
                if isinstance(inner, ast.Attribute)
                and isinstance(inner.ctx, ast.Store)
                and isinstance(inner.value, ast.Name)
                and inner.value.id == "self"
            }
    return names


Rule = Callable[[Sequence[Source], str], Iterator[Fault]]

RULES: tuple[Rule, ...] = (
    upward_imports,
    foreign_imports,
    circles,
    clock_calls,
    random_calls,
    unbounded_queues,
    unfinished_marks,
    async_protocol,
    awaited_sealing,
    swallowed_cancellations,
    trio_at_import,
    slow_hot_files,
    long_files,
    long_functions,
    wide_classes,
)


def faults_of(sources: Sequence[Source], package: str, rules: Sequence[Rule] = RULES) -> list[Fault]:
    """All faults, sorted by place."""
    found = [fault for rule in rules for fault in rule(sources, package)]
    return sorted(found, key=lambda fault: (fault.where, fault.line, fault.rule))
