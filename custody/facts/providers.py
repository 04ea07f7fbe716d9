"""THE table of further facts: what other rooms know of a study, a patient or the archive, and how it is put back.

A room adds one row here, and triggers that wish for the document (``custody.facts.triggers``) in its own migration.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from custody.facts import marks, tags
from custody.facts.triggers import ARCHIVE_FACTS, PATIENT_FACTS, STUDY_FACTS
from custody.retention import hold_facts


@dataclass(frozen=True, slots=True)
class FactProvider:
    """``collect`` gives a JSON value for a subject, None for nothing to be said.

    ``restore`` puts it back: of a subject, its value (None if there is none) and the moment at which it was so. What
    was decided after that moment stays. It runs before anything of the study is shown, may run again, and must not fail
    because the study is not in the index. The subject is a Study Instance UID, the primary key of a patient, or, of the
    archive, ``name``.
    """

    kind: str
    name: str
    collect: Callable[[str], Any]
    restore: Callable[[str, Any, datetime], None]


PROVIDERS: list[FactProvider] = [
    FactProvider(STUDY_FACTS, "holds", hold_facts.of_study, hold_facts.restore_of_study),
    FactProvider(PATIENT_FACTS, "holds", hold_facts.of_patient, hold_facts.restore_of_patient),
    FactProvider(STUDY_FACTS, "marks", marks.of_study, marks.restore_of_study),
    FactProvider(PATIENT_FACTS, "marks", marks.of_patient, marks.restore_of_patient),
    FactProvider(ARCHIVE_FACTS, "tags", tags.collect, tags.restore),
]


def more(kind: str, subject: str) -> dict[str, Any]:
    """The further facts of a subject, by name; of the archive only those that are named like it."""
    found = {
        each.name: each.collect(subject)
        for each in PROVIDERS
        if each.kind == kind and (kind != ARCHIVE_FACTS or each.name == subject)
    }
    return {name: value for name, value in found.items() if value is not None}


def restore(kind: str, subject: str, found: dict[str, Any], at: datetime) -> None:
    """Put them back."""
    for each in PROVIDERS:
        if each.kind == kind and (kind != ARCHIVE_FACTS or each.name == subject):
            each.restore(subject, found.get(each.name), at)
