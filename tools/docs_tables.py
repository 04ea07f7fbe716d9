"""Writes the tables of docs/ that follow from the code, between ``<!-- table: NAME -->`` and ``<!-- end -->``.

    python -m tools.docs_tables

``tests/docs`` compares what stands in the pages with what this module would write.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import astuple
from pathlib import Path
from typing import Any

from tools import docs_fault_tables, docs_hl7_tables
from tools.markdown import table

DOCS = Path(__file__).resolve().parent.parent / "docs"
_MARKED = re.compile(r"(<!-- table: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_MATCHING = {
    "uid": "list of UIDs",
    "wildcard": "single value, wild card",
    "person_name": "wild card, case and accents ignored",
    "date": "single value, range",
    "time": "single value, range",
    "single": "single value",
    "number": "whole number",
    "none": "not matched",
}


def roles() -> str:
    """Roles x rights with their scope, from ``access.roles``."""
    from access.roles import ROLES, Permission, Scope

    head = ["Role", *(right.value.replace("_", " ") for right in Permission)]
    rows = (
        [f"`{role.name}`", *(_scope(role.rights.get(right, Scope.NONE).name) for right in Permission)]
        for role in ROLES.values()
    )
    return table(head, rows)


def withheld() -> str:
    """Which attributes which role is not shown, from ``access.attribute_groups``."""
    from access.attribute_groups import TITLES, Group, keywords
    from access.roles import ROLES

    rows = (
        [
            f"`{group.value}`",
            TITLES[group],
            ", ".join(f"`{role.name}`" for role in ROLES.values() if group in role.withheld),
            ", ".join(keywords(group)),
        ]
        for group in Group
    )
    return table(["Group", "What", "Withheld from", "Attributes"], rows)


def matrix() -> str:
    """What every route answers to every role, from ``tests.access.matrix``."""
    from tests.access.matrix import COLUMNS, DOORS, cells

    rows = []
    for door in DOORS:
        for word in dict.fromkeys(door.rows.values()):
            answered = (i if i == o else f"{i} / {o}" for i, o in cells(word, door.nobody).values())
            rows.append([_routes(door.rows, word), *answered])
    return table(["Route", *(column.replace("_", " ") for column in COLUMNS)], rows)


def marked() -> str:
    """What the routes about studies answer of one that is marked, from ``tests.access.matrix``."""
    from tests.access.matrix import COLUMNS, DOORS, MARKED, marked_cells

    rows = [
        [_routes(door.rows, word), *marked_cells(word, door.nobody).values()]
        for door in DOORS
        for word in dict.fromkeys(door.rows.values())
        if word in MARKED
    ]
    return table(["Route", *(column.replace("_", " ") for column in COLUMNS)], rows)


def _routes(lines: Mapping[str, str], word: str) -> str:
    """The lines of the matrix that have this word, one below the other."""
    return "<br>".join(
        f"{method} `/{_template(route.partition(' (')[0])}`{''.join(route.partition(' (')[1:])}"
        for line, answers in lines.items()
        if answers == word
        for method, _, route in [line.partition(" ")]
    )


def at_rest() -> str:
    """The policy of transcoding at rest as it is shipped, from ``archive.at_rest_policy``."""
    from archive.at_rest_policy import table as policy
    from pacs_project.config_at_rest import AtRestConfig

    shipped = AtRestConfig()
    rows = []
    for row in policy(shipped.transfer_syntax, shipped.rows):
        columns = (row.modalities, row.photometric, row.bits, row.sources)
        stored = row.stored.name if row.stored else "stays as it is"
        rows.append([*(" ".join(values).replace("*", "any") for values in columns), stored])
    return table(["Modality", "Photometric interpretation", "Bits allocated", "Source", "Representation"], rows)


def resources() -> str:
    """Every resource and method below the DICOMweb root with its right and its event, from ``dicomweb.urls``."""
    from dicomweb.urls import urlpatterns

    rows = (
        [method, f"`/{_template(str(entry.pattern))}`", *_declared(view)]
        for entry in urlpatterns
        for method, view in _methods(entry.callback.view_class)  # type: ignore[attr-defined]
    )
    return table(["Method", "Resource below `/dicom-web`", "Right", "Event in the trail"], rows)


def attributes() -> str:
    """The indexed attributes, from ``dicom.attributes``."""
    from dicom.attributes import ATTRIBUTES

    rows = (
        [
            a.keyword,
            f"({a.tag[:4]},{a.tag[4:]})",
            a.vr,
            a.level,
            _MATCHING[a.matching],
            "yes" if a.default else "no",
        ]
        for a in ATTRIBUTES
    )
    return table(["Keyword", "Tag", "VR", "Level", "Matching", "Required by PS3.18"], rows)


def transfer_syntaxes() -> str:
    """What is stored, how its frames leave, and what is done with them, from ``dicom.codecs``."""
    from dicom.codecs import CODECS
    from dicom.transfer_syntaxes import BY_UID, OCTET_STREAM

    rows = (
        [
            ts.name,
            f"`{ts.uid}`",
            f"`{ts.media_type}`" if ts.encapsulated else f"`{OCTET_STREAM}`, Explicit VR Little Endian",
            CODECS[ts.uid].support,
            CODECS[ts.uid].reader,
            CODECS[ts.uid].writer,
            CODECS[ts.uid].note,
        ]
        for ts in BY_UID.values()
    )
    head = ["Transfer syntax", "UID", "Frames without decoding", "Support", "Decoded by", "Written by", "Note"]
    return table(head, rows)


def findings() -> str:
    """What is found wrong with images, from ``dicom.quality_codes``."""
    from dicom.quality_codes import CODES

    rows = ([f"`{code}`", said.severity, said.meaning, said.clause or "–"] for code, said in CODES.items())
    return table(["Code", "Severity", "What was seen", "Clause"], rows)


def status_codes() -> str:
    """Which error is answered with which status, from ``dicomweb.errors``."""
    from dicomweb.errors import PROBLEMS

    unique = {(p.status, p.code, p.title) for p in PROBLEMS.values()}
    rows = ([str(status), f"`{code}`", title] for status, code, title in sorted(unique))
    return table(["Status", "`code`", "`title`"], rows)


def clauses() -> str:
    """PS3.18 clause by clause with its verdict, from ``tests.conformance.clauses``."""
    from tests.conformance.clauses import CLAUSES

    rows = ([c.number, c.title, c.verdict.value, c.why] for c in CLAUSES.values())
    return table(["Clause", "What it asks for", "Verdict", "Why"], rows)


def costs() -> str:
    """What each kind of request costs at the most, from ``tests.guard.costs``."""
    from tests.guard.costs import COSTS

    head = ["Request", "Statements", "Round trips", "Planned anew", "Durable commits", "Files opened", "fsync"]
    rows = ([name, *(str(count) for count in astuple(cost))] for name, cost in COSTS.items())
    return table(head, rows)


TABLES: Mapping[str, Callable[[], str]] = {
    "roles": roles,
    "withheld": withheld,
    "matrix": matrix,
    "marked": marked,
    "resources": resources,
    "attributes": attributes,
    "transfer-syntaxes": transfer_syntaxes,
    "at-rest": at_rest,
    "findings": findings,
    "status-codes": status_codes,
    "clauses": clauses,
    "costs": costs,
    "faults": docs_fault_tables.faults,
    **docs_hl7_tables.TABLES,
}


def filled(page: str) -> str:
    """The text of a page with its marked tables as the code has them now. Raises KeyError for an unknown name."""
    return _MARKED.sub(lambda found: found[1] + TABLES[found[2]]() + found[3], page)


def _scope(name: str) -> str:
    return {"NONE": ""}.get(name, name.lower())


def _template(route: str) -> str:
    return re.sub(r"<\w+:(\w+)>", r"{\1}", route)


def _declared(view: Any) -> tuple[str, str]:
    """Right and event; the capabilities ask for no right and leave no event."""
    return (view.permission.value, view.event.name) if hasattr(view, "permission") else ("signed in", "")


def _methods(view: Any) -> list[tuple[str, Any]]:
    """Each method with the class that has it, which is the one that declares its right and its event."""
    asked = [method for method in ("get", "post", "put", "patch", "delete") if hasattr(view, method)]
    return [(method.upper(), next(each for each in view.__mro__ if method in vars(each))) for method in asked]


def main() -> None:
    """Rewrite the pages in place."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pacs_project.settings")
    os.environ.setdefault("PACS_SECRET_KEY", "only for the documentation")
    import django

    django.setup()
    for path in sorted(DOCS.glob("*.md")):
        page = path.read_text()
        if (new := filled(page)) != page:
            path.write_text(new)
            print(f"rewritten: {path.name}")


if __name__ == "__main__":
    main()
