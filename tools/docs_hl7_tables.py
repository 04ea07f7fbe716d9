"""The tables of the HL7 part of the conformance statement, from the tables that the messages are handled by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial
from typing import Any

from tools.markdown import table

# What a handler does, by its name in ``hl7.adt``, ``orders``, ``reports``, ``mdm`` and ``siu``.
_DOES = {
    "_visit": "patient taken up or updated; visit: {effect}",
    "_update": "patient updated, taken up where the profile says so; visit: update",
    "_class": "patient and visit updated; the visit renumbered (MRG-3 to PID-18)",
    "_person": "patient taken up or updated",
    "_merge": "MRG-1 is merged into the patient of PID-3; each pair of PID and MRG",
    "_merge_with_account": "the same, and the account of MRG-3 becomes that of PID-18",
    "_move": "the identifier MRG-1, with all that came under it, becomes one of the patient of PID-3",
    "_change": "the identifier MRG-1 is changed into PID-3, and goes on naming the patient",
    "_two_patients": "two patients {word}; nothing moves",
    "apply_orders": "patient, visit and each ORC by the table of order control",
    "apply_reports": "each OBR is a version of a report",
    "_document": "a version of a report{event}",
    "_apply": "steps of a known order: {effect}",
}


def messages() -> str:
    """Types and events with their effect, from ``hl7.handlers``."""
    from hl7.handlers import HANDLERS

    does: dict[str, list[str]] = {}
    for (kind, event), handler in HANDLERS.items():
        does.setdefault(_effect(handler), []).append(f"`{kind}^{event}`")
    return table(["Messages", "Effect"], ([" ".join(names), effect] for effect, names in does.items()))


def _effect(handler: Callable[..., Any]) -> str:
    of = handler.func if isinstance(handler, partial) else handler
    told = handler.keywords if isinstance(handler, partial) else {}
    words = {name: _word(value) for name, value in told.items()}
    return _DOES[told.get("apply", of).__name__].format(**words)


def _word(value: object) -> str:
    from hl7.mdm import Event

    if isinstance(value, Event):
        said = [", an addendum"] if value.addendum else []
        said += [", of a document that is known unless its content comes along"] if value.known else []
        return "".join(said)
    return str(value).replace("_", " ").lower()


def conditions() -> str:
    """Table 0357 with the code of the answer, from ``hl7.errors``."""
    from hl7.acknowledgement import code_of
    from hl7.errors import Condition, Refused

    again = {True: "the same bytes may be sent again", False: ""}
    rows = ([str(int(c)), c.display, code_of(Refused(c, None, "")).value, again[c.passing]] for c in Condition)
    return table(["ERR-3", "Table 0357", "MSA-1", ""], rows)


def answers() -> str:
    """What goes back at once and what later, by MSH-15 and MSH-16: asked of ``hl7.acknowledgement`` itself."""
    from hl7.acknowledgement import answers as asked
    from hl7.errors import Condition, Refused
    from hl7.header import Header

    def said(accept: str, application: str, refused: Refused | None) -> str:
        head = f"MSH|^~\\&|A|B|C|D|2025||ADT^A01|1|P|2.5.1|||{accept}|{application}"
        given = asked(Header.of(head.encode()), refused)
        codes = [each.split(b"\rMSA|")[1][:2].decode() if each else "none" for each in (given.now, given.later)]
        return codes[0] if given.later is None else f"{codes[0]}, later {codes[1]}"

    wrong = Refused(Condition.DATA_TYPE, None, "")
    words = ("", "AL", "SU", "ER", "NE")
    rows: dict[tuple[str, str], list[str]] = {}
    for accept in words:
        for application in words:
            outcome = said(accept, application, None), said(accept, application, wrong)
            rows.setdefault(outcome, []).append(f"{accept or 'empty'}/{application or 'empty'}")
    return table(
        ["MSH-15/MSH-16", "Applied", "Content that can't be applied"],
        ([", ".join(pairs), *outcome] for outcome, pairs in rows.items()),
    )


def order_control() -> str:
    """ORC-1 and ORC-5, from ``worklist.order_matrix``."""
    from worklist.order_matrix import _ROWS

    words = {"": "empty", "*": "any"}
    rows = (
        [", ".join(controls.split()), ", ".join(words.get(each, each) for each in statuses), effect.value]
        for controls, statuses, effect in _ROWS
    )
    return table(["ORC-1", "ORC-5", "Effect on the order"], rows)


def fields_of_orders() -> str:
    """Worklist attributes and where they come from, in order of preference, from ``hl7.order_fields``."""
    from pydicom.datadict import tag_for_keyword

    from hl7.order_fields import ATTRIBUTES

    rows = []
    for row in ATTRIBUTES:
        tag = f"{tag_for_keyword(row.keyword) or 0:08X}"
        rows.append([row.keyword, f"({tag[:4]},{tag[4:]})", ", ".join(f"{name}-{at}" for name, at in row.places)])
    return table(["Attribute", "Tag", "From"], rows)


def profile() -> str:
    """What an interface's profile may say, from ``hl7.profiles``."""
    from hl7.profiles import _CHOICES, Profile

    rows = (
        [f"`{each.name}`", _default(each.default), ", ".join(f"`{word}`" for word in _CHOICES.get(each.name, ()))]
        for each in fields(Profile)
    )
    return table(["Name", "Default", "One of"], rows)


def _default(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(value)
    return {"True": "yes", "False": "no", "None": ""}.get(str(value), str(value))


def charsets() -> str:
    """MSH-18 and how it is read, from ``hl7.charset``."""
    from hl7.charset import CODECS

    named: dict[str, list[str]] = {}
    for name, codec in CODECS.items():
        named.setdefault(codec, []).append(f"`{name}`")
    return table(["MSH-18 (table 0211)", "Read as"], ([", ".join(names), codec] for codec, names in named.items()))


def report_statuses() -> str:
    """OBR-25, in and out, from ``reports.states`` and ``hl7.outbound``."""
    from hl7.outbound import REPORT_STATUSES
    from reports.states import STATUSES

    sent = {str(status): code for status, code in REPORT_STATUSES.items()}
    came: dict[str, list[str]] = {}
    for code, status in STATUSES.items():
        came.setdefault(str(status), []).append(code)
    rows = ([status, ", ".join(came.get(status, [])), sent.get(status, "")] for status in {**came, **sent})
    return table(["Report", "OBR-25 that comes", "OBR-25 that is sent"], rows)


def order_statuses() -> str:
    """ORC-5 of the status that is sent, from ``hl7.outbound``."""
    from hl7.outbound import ORDER_STATUSES

    return table(["Order", "ORC-5 that is sent"], ([str(status), code] for status, code in ORDER_STATUSES.items()))


def limits() -> str:
    """What one message may hold, from ``hl7.message`` and its neighbours."""
    from hl7 import message
    from pacs_project.config_hl7 import Hl7Config

    rows = [
        ["Bytes of a message", f"{Hl7Config().frame_bytes:,} (`PACS_HL7__FRAME_BYTES`)"],
        ["Segments", f"{message.MOST_SEGMENTS:,}"],
        [f"{', '.join(sorted(message._ACTING))}, each", f"{message.MOST_ACTING:,}"],
        ["Fields of a segment", f"{message.MOST_FIELDS:,}"],
        ["Repetitions of a field", f"{message.MOST_REPETITIONS:,}"],
        ["Characters of a field", f"{message.LONGEST_FIELD:,}, but of OBX-5 and of segments of the sender's own (Z)"],
    ]
    return table(["What", "At most"], rows)


TABLES: Mapping[str, Callable[[], str]] = {
    "hl-messages": messages,
    "hl-conditions": conditions,
    "hl-answers": answers,
    "hl-order-control": order_control,
    "hl-order-fields": fields_of_orders,
    "hl-profile": profile,
    "hl-charsets": charsets,
    "hl-report-statuses": report_statuses,
    "hl-order-statuses": order_statuses,
    "hl-limits": limits,
}
