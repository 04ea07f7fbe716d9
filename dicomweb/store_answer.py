"""What a Store answers: a status, and for every instance what became of it (PS3.18 10.5.3)."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from archive.store import Stored
from dicom.compose import Coercion

_LONGEST_COMMENT = 1024

Coercions = Mapping[str, Sequence[Coercion]]


def status_of(stored: Sequence[Stored]) -> int:
    """PS3.18 10.5.3.1: 200 all, 202 some or with warnings, 409 none."""
    failed = sum(s.failure_reason is not None for s in stored)
    if failed == len(stored):
        return 409
    return 202 if failed or any(s.warning_reason is not None for s in stored) else 200


def response_body(stored: Sequence[Stored], root: str, coercions: Coercions | None = None) -> dict[str, Any]:
    """The Store Instances Response module (PS3.18 10.5.3.2); ``coercions`` by SOP Instance UID.

    Empty sequences are left out: some clients take an empty Failed SOP Sequence for a failure.
    """
    kept = [s for s in stored if s.failure_reason is None]
    studies = {s.study_instance_uid for s in kept}
    named = [s for s in stored if s.failure_reason is not None and s.sop_instance_uid]
    nameless = [s for s in stored if s.failure_reason is not None and not s.sop_instance_uid]
    # Type 2: there, but without a value where the request was not about one study.
    url = {"Value": [f"{root}/studies/{studies.pop()}"]} if len(studies) == 1 else {}
    body: dict[str, Any] = {"00081190": {"vr": "UR"} | url}
    sequences = {
        "00081198": [_identified(s) | _failure(s) for s in named],
        "00081199": [
            _identified(s) | _reference(s, root) | _original(coercions.get(s.sop_instance_uid, ()) if coercions else ())
            for s in kept
        ],
        "0008119A": [_failure(s) for s in nameless],
    }
    return body | {tag: {"vr": "SQ", "Value": items} for tag, items in sequences.items() if items}


def _identified(s: Stored) -> dict[str, Any]:
    return {
        "00081150": {"vr": "UI", "Value": [s.sop_class_uid]},
        "00081155": {"vr": "UI", "Value": [s.sop_instance_uid]},
    }


def _failure(s: Stored) -> dict[str, Any]:
    """The reason as a number, and as text in Failed Attributes Sequence (0074,1048) / Error Comment (0000,0902)."""
    return {
        "00081197": {"vr": "US", "Value": [s.failure_reason]},
        "00741048": {"vr": "SQ", "Value": [_comment(s.text)]},
    }


def _reference(s: Stored, root: str) -> dict[str, Any]:
    url = f"{root}/studies/{s.study_instance_uid}/series/{s.series_instance_uid}/instances/{s.sop_instance_uid}"
    reference: dict[str, Any] = {"00081190": {"vr": "UR", "Value": [url]}}
    if s.warning_reason is not None:
        reference["00081196"] = {"vr": "US", "Value": [s.warning_reason]}
        reference["00741048"] = {"vr": "SQ", "Value": [_comment(s.text)]}
    return reference


def _comment(text: str) -> dict[str, Any]:
    return {"00000902": {"vr": "LO", "Value": [text[:_LONGEST_COMMENT]]}}


def _original(coercions: Sequence[Coercion]) -> dict[str, Any]:
    """Original Attributes Sequence (0400,0561): what was there before attributes were filled in or changed."""
    if not coercions:
        return {}
    item = {
        "04000550": {"vr": "SQ", "Value": [{c.tag: dict(c.before or {"vr": c.after["vr"]}) for c in coercions}]},
        "04000562": {"vr": "DT", "Value": [datetime.now(UTC).strftime("%Y%m%d%H%M%S+0000")]},
        "04000563": {"vr": "LO", "Value": ["Lightbox"]},
        "04000565": {"vr": "CS", "Value": ["COERCE"]},
    }
    return {"04000561": {"vr": "SQ", "Value": [item]}}
