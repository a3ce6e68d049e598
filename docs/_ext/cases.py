"""``.. cases-table::`` lists what we must stand (``tests/case_list.py``), each case with the tests that carry its id."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent.parent))

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

from tests.case_list import CASES, SECTIONS
from tests.case_scan import read_ids


class CasesTable(Directive):
    def run(self) -> list[nodes.Node]:
        self.state.document.settings.env.note_reread()  # a renamed test is no change of the page
        found = read_ids()
        shown: list[nodes.Node] = []
        for title, section in SECTIONS.items():
            rows = [((number, text), found.get(number, [])) for number, text in section.items()]
            shown += [nodes.rubric(text=title), _table(("case", "what happens"), (8, 40), rows)]
        others = [((number,), found[number]) for number in sorted(set(found) - set(CASES))]
        return [*shown, nodes.rubric(text="Cases of other layers that have tests already"), _table(("case",), (8,), others)]


def _table(head: tuple[str, ...], widths: tuple[int, ...], rows: Iterable[tuple[tuple[str, ...], list[str]]]) -> nodes.table:
    """Text cells, then the names of tests."""
    group = nodes.tgroup(cols=len(head) + 1)
    for width in (*widths, 52):
        group += nodes.colspec(colwidth=width)
    group += nodes.thead("", _row([nodes.paragraph(text=cell) for cell in (*head, "tests")]))
    body = nodes.tbody()
    for cells, tests in rows:
        names = [nodes.list_item("", nodes.paragraph("", "", nodes.literal(text=name))) for name in tests]
        body += _row([*(nodes.paragraph(text=cell) for cell in cells), nodes.bullet_list("", *names)])
    group += body
    return nodes.table("", group)


def _row(cells: list[nodes.Element]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", cell) for cell in cells))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("cases-table", CasesTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
