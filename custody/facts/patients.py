"""Patients as facts have them: found by their identifiers, else inserted under the keys that they had."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction

from archive import patient_rows, strangers
from archive.models import AttributeOverride, Patient, PatientLink, Study
from archive.patient_models import Standing
from custody.facts import providers, rows
from custody.facts.documents import Facts
from custody.facts.known import is_done, moment_of, remember
from custody.facts.tally import Tally
from custody.facts.triggers import PATIENT_FACTS

Identity = tuple[str, str, str]
_IDENTITY = ("patient_id", "issuer_of_patient_id", "unidentified_study_uid")


def identity(row: Mapping[str, Any]) -> Identity:
    """What makes two rows the same patient's."""
    return row["patient_id"], row["issuer_of_patient_id"], row["unidentified_study_uid"]


def present(documents: Sequence[Sequence[Mapping[str, Any]]]) -> list[dict[int, int]]:
    """For each document the primary keys that its patients have in this index, by those that it names; unknown ones are
    inserted.

    One key may be of two patients in two documents: they may come from indexes that began empty one after the other.
    Whom an inserted identifier names is put right where that patient is in the same document.
    """
    by_identity = {identity(row): row for found in documents for row in found}
    if not by_identity:
        return [{} for _ in documents]
    known = _known(by_identity)
    new = [row for key, row in by_identity.items() if key not in known]
    if new:
        bare = [{**row, "merged_into_id": None, "standing": Standing.LEADS} for row in new]
        rows.insert(Patient, bare)
        known = _known(by_identity)
        # Somebody else has the key that they had.
        rows.insert(Patient, [_without(row, "id") for row in bare if identity(row) not in known])
        known = _known(by_identity)
    numbers = [{row["id"]: known[identity(row)] for row in found} for found in documents]
    unknown = {identity(row) for row in new}
    for found, of_document in zip(documents, numbers, strict=True):
        for row in found:
            if identity(row) in unknown and row["merged_into_id"] in of_document:
                Patient.objects.filter(pk=of_document[row["id"]]).update(
                    merged_into=of_document[row["merged_into_id"]], standing=row["standing"]
                )
    return numbers


def restore(facts: Facts, tally: Tally) -> None:
    """Make a patient what its document says: what was told, whom it names, corrections, links, marks."""
    if is_done(PATIENT_FACTS, facts):
        tally.counts["unchanged"] += 1
        return
    content = facts.content
    said, leads = content["patient"], content["merged_into"]
    linked = [link["with"] for link in content["links"] or []]
    with transaction.atomic():
        [numbers] = present([[*([leads] if leads else []), *linked, said]])
        pk = numbers[said["id"]]
        before = Patient.objects.filter(pk=pk).values().get()
        merged_into = numbers.get(said["merged_into_id"]) if leads else None
        rows.update(Patient, [{**said, "id": pk, "merged_into_id": merged_into}], "id")
        _corrections(pk, content["corrections"] or [], numbers)
        for link in content["links"] or []:
            made = {name: link[name] for name in ("made_by", "source_message", "made_at")}
            PatientLink.objects.get_or_create(one_id=pk, other_id=numbers[link["with"]["id"]], defaults=made)
        providers.restore(PATIENT_FACTS, str(pk), content.get("more", {}), moment_of(facts))
        remember(PATIENT_FACTS, str(pk), facts)
        if before != Patient.objects.filter(pk=pk).values().get():
            _refresh(pk)
    tally.counts["patients"] += 1


def _refresh(pk: int) -> None:
    """What is prepared of studies that are in the index already is made again."""
    studies = list(Study.objects.select_for_update().filter(patient=pk).order_by("study_instance_uid"))
    if studies:
        patient_rows.refresh([study.pk for study in studies])
        strangers.wish_for_studies(study.pk for study in studies)


def _corrections(pk: int, said: Sequence[Mapping[str, Any]], numbers: Mapping[int, int]) -> None:
    """Those that are not there yet; a patient that is named by its key is named by the one that it has now."""

    def named(text: str) -> str:
        return str(numbers.get(int(text), text)) if text else text

    known = set(AttributeOverride.objects.filter(level="patient", uid=str(pk)).values_list("keyword", "old", "new"))
    missing = []
    for row in said:
        merged = row["keyword"] == "merged_into"
        old, new = (named(row[name]) if merged else row[name] for name in ("old", "new"))
        if (row["keyword"], old, new) not in known:
            missing.append({**row, "uid": str(pk), "old": old, "new": new})
    rows.insert(AttributeOverride, missing)


def _known(wanted: Mapping[Identity, Any]) -> dict[Identity, int]:
    found = Patient.objects.filter(
        patient_id__in={key[0] for key in wanted}, issuer_of_patient_id__in={key[1] for key in wanted}
    ).values_list("pk", *_IDENTITY)
    return {(value, issuer, study): pk for pk, value, issuer, study in found if (value, issuer, study) in wanted}


def _without(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}
