"""What a replay would do: its effect in words, and each value of the patient and the order that would be another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from archive.models import Patient
from hl7.effects import Effect
from hl7.replay import replay
from worklist.models import Order, RequestedProcedure, ScheduledProcedureStep

_PATIENT: Final = (
    *("patient_id", "issuer_of_patient_id", "patient_name", "patient_birth_date", "patient_sex", "standing"),
)
_ORDER: Final = (
    *("placer_number", "filler_number", "accession_number", "priority", "reason", "clinical_info"),
    *("referring_physician_name", "attributes", "status"),
)
_PROCEDURE: Final = ("procedure_id", "study_instance_uid", "code", "description")
_STEP: Final = (
    *("step_id", "modality", "station_ae_titles", "station_name", "location", "start_date", "start_time"),
    *("description", "protocol_codes", "performing_physician_name", "status"),
)
State = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Change:
    """One value: what it is of, what it is now ("" where there is nothing yet) and what it would be."""

    what: str
    now: str
    then: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What a replay would do."""

    words: tuple[str, ...]
    changes: tuple[Change, ...]


def preview(number: int, by: str) -> Preview:
    """Apply a message, look, and take everything back. Raises NotReplayable, and Refused as ``replay`` does."""
    then: dict[str, str] = {}
    effect = replay(number, by, dry_run=True, look=lambda done: then.update(_state(done)))
    now = _state(effect)
    names = list(dict.fromkeys((*then, *now)))
    differing = [name for name in names if now.get(name, "") != then.get(name, "")]
    return Preview(effect.words, tuple(Change(name, now.get(name, ""), then.get(name, "")) for name in differing))


def _state(effect: Effect) -> State:
    """The values of the effect's patient and order as they are at this moment."""
    found: dict[str, str] = {}
    patient = Patient.objects.filter(pk=effect.patient).values(*_PATIENT).first() if effect.patient else None
    found |= _told("patient", patient)
    order = Order.objects.filter(pk=effect.order).values(*_ORDER).first() if effect.order else None
    found |= _told("order", order)
    if order is not None:
        for procedure in RequestedProcedure.objects.filter(order=effect.order).order_by("pk").values("pk", *_PROCEDURE):
            name = f"procedure {procedure.pop('procedure_id')}"
            key = procedure.pop("pk")
            found |= _told(name, procedure)
            for step in ScheduledProcedureStep.objects.filter(procedure=key).order_by("pk").values(*_STEP):
                found |= _told(f"{name}, step {step.pop('step_id')}", step)
    return found


def _told(what: str, values: Mapping[str, Any] | None) -> State:
    return {
        f"{what}: {name.replace('_', ' ')}": _word(value)
        for name, value in (values or {}).items()
        if value not in (None, "", [], {})
    }


def _word(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {each}" for name, each in sorted(value.items()))
    return ", ".join(str(each) for each in value) if isinstance(value, list) else str(value)
