"""Making a batch of stored objects visible: one transaction for its rows, its news, its tasks and its record.

Three statements whatever the size of the batch: its parents are locked, what it adds to them is counted here, and all
is written at once. Two more where a study or series is new.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import OperationalError, transaction
from isal import igzip
from psycopg.errors import SerializationFailure

from archive import answers, extended_values, outbox
from archive.at_rest_policy import OFF
from archive.extended_declaration import ExtendedAttribute
from archive.index_rows import (
    INSTANCE,
    PATIENT,
    SERIES,
    STUDY,
    PatientKey,
    StoredObject,
    as_json,
    octets,
    place,
    rows_of,
)
from archive.index_statements import (
    MEMBERS,
    NEW_PARENTS,
    PARENT_COLUMNS,
    PARENTS,
    PATIENT_NAMES,
    SERIES_NAMES,
    STUDY_NAMES,
)
from archive.outbox import Wish

# Seconds to wait for more of a series before its document and picture are made: readers ask for the document first.
METADATA_DELAY = 1.0
THUMBNAIL_DELAY = 3.0
# So often parents are looked for that others insert and delete at the same moment.
_LOOKS = 4

SeriesKey = tuple[str, str]
_STUDY_NAMES = (*STUDY_NAMES, *PATIENT_NAMES)


@dataclass(slots=True)
class Indexed:
    """What became of a batch, as SOP Instance UIDs."""

    created: set[str] = field(default_factory=set)
    patient_mismatch: set[str] = field(default_factory=set)  # the study belongs to another patient


@dataclass(slots=True)
class _Study:
    """A locked study, and what this batch adds to it."""

    id: int
    patient: int
    values: dict[str, str]
    series: int
    instances: int
    modalities: set[str]
    institution: str
    new_series: int = 0
    new_instances: int = 0


@dataclass(slots=True)
class _Series:
    """A locked series, and what this batch adds to it."""

    id: int
    study: _Study
    values: dict[str, str]
    request_attributes: str
    instances: int
    members: list[StoredObject] = field(default_factory=list)


@dataclass(slots=True)
class _Parents:
    """Those of a batch, and the attributes that are declared to be indexed as well.

    ``persons`` are the patients that identifiers name, of those that are known; what is ``stale`` has to be looked for
    again.
    """

    declared: list[ExtendedAttribute]
    persons: dict[PatientKey, int]
    stale: bool
    studies: dict[str, _Study] = field(default_factory=dict)
    series: dict[SeriesKey, _Series] = field(default_factory=dict)


def index(objects: Sequence[StoredObject], record: Callable[[Indexed], None]) -> Indexed:
    """Make ``objects`` visible in one transaction; ``record`` is called inside it, just before the commit.

    No two of ``objects`` may share a SOP Instance UID. Raises ``overtaken()`` where one of them came into the index, or
    a parent went, at the same moment: the transaction has to come again, without what is known by then.
    """
    with transaction.atomic():
        outcome = _write(objects) if objects else Indexed()
        record(outcome)
    return outcome


def overtaken() -> OperationalError:
    """For a row that came or went between two statements: the transaction has to come again."""
    error = OperationalError("another writer was faster")
    error.__cause__ = SerializationFailure()
    return error


def _write(objects: Sequence[StoredObject]) -> Indexed:
    parents = _parents(objects)
    for o in objects:
        series = parents.series[o.series_key]
        series.members.append(o)
        series.study.new_instances += 1
        series.study.modalities |= {series.values["Modality"]} - {""}
    outcome = Indexed({o.uid for o in objects})
    outcome.patient_mismatch = {
        o.uid for o in objects if parents.persons.get(o.patient_key) != parents.series[o.series_key].study.patient
    }
    ids = _members(objects, parents, outcome)
    if len(ids) < len(objects):
        raise overtaken()
    if parents.declared:
        _write_extended(objects, parents, ids)
    return outcome


def _parents(objects: Sequence[StoredObject]) -> _Parents:
    """The studies and series of ``objects``, locked; those that there were none of are new."""
    new_series: Counter[int] = Counter()
    # Whoever waits for a study while holding another one that comes later may be waited for himself: with more than one
    # study it is all given back before anybody else's is looked for.
    one_study = len({o.parsed.study_instance_uid for o in objects}) == 1
    for _ in range(_LOOKS):
        parents = _locked(objects)
        if parents.stale:
            made = False
        elif missing := [o for o in objects if o.series_key not in parents.series]:
            new = _insert_parents(missing, parents)
            new_series.update(new)
            made = len(new) == len({o.series_key for o in missing})
        else:
            for study in parents.studies.values():
                study.new_series = new_series[study.id]
                study.series += study.new_series
            return parents
        if not made and not one_study:
            break
    raise overtaken()


def _locked(objects: Sequence[StoredObject]) -> _Parents:
    keys = {o.series_key: None for o in objects}
    columns: list[Sequence[str]] = [*zip(*sorted({o.patient_key for o in objects}), strict=True)]
    columns += sorted({study for study, _ in keys}), sorted({series for _, series in keys})
    found = PARENTS.rows([list(column) for column in columns])
    declared, persons, stale = found[0][:3]
    parents = _Parents(
        [ExtendedAttribute(*each) for each in declared or ()],
        {(value, issuer, study): person for value, issuer, study, person in persons or ()},
        stale,
    )
    for row in found:
        study_id, patient, *counts, series_id, instances, requests = row[3:PARENT_COLUMNS]
        if study_id is None:
            continue
        of_study = dict(zip(_STUDY_NAMES, row[PARENT_COLUMNS:], strict=False))
        study = parents.studies.setdefault(
            of_study["StudyInstanceUID"],
            _Study(study_id, patient, of_study, counts[0], counts[1], set(counts[2]), counts[3]),
        )
        of_series = dict(zip(SERIES_NAMES, row[PARENT_COLUMNS + len(_STUDY_NAMES) :], strict=True))
        key = of_study["StudyInstanceUID"], of_series["SeriesInstanceUID"]
        if series_id is not None and key in keys:
            of_series["StudyInstanceUID"] = key[0]
            parents.series[key] = _Series(series_id, study, of_series, requests, instances)
    return parents


def _insert_parents(missing: Sequence[StoredObject], parents: _Parents) -> list[int]:
    """Give objects without a series one, and without a study also that; the study of each new series."""
    without_study = [o for o in missing if o.parsed.study_instance_uid not in parents.studies]
    of_patient = ("of_patient_id", "of_issuer_of_patient_id", "of_unidentified_study_uid")
    found = NEW_PARENTS.rows(
        [
            rows_of(PATIENT, _first_of(without_study, lambda o: o.patient_key), lambda o: {}),
            rows_of(
                STUDY,
                _first_of(without_study, lambda o: o.parsed.study_instance_uid),
                lambda o: dict(zip(of_patient, o.patient_key, strict=True)),
            ),
            rows_of(
                SERIES,
                _first_of(missing, lambda o: o.series_key),
                lambda o: {"of_study": o.parsed.study_instance_uid},
            ),
        ]
    )
    return [study for (study,) in found]


def _first_of(objects: Iterable[StoredObject], key: Callable[[StoredObject], Any]) -> list[StoredObject]:
    """The first object to arrive of each key."""
    firsts: dict[Any, StoredObject] = {}
    for o in objects:
        firsts.setdefault(key(o), o)
    return list(firsts.values())


def _members(objects: Sequence[StoredObject], parents: _Parents, outcome: Indexed) -> dict[str, int]:
    """Write what belongs to the parents, and what they are by then; the primary keys of the new instances."""
    arrived = {o.uid: number for number, o in enumerate(objects)}

    def beside(o: StoredObject) -> dict[str, Any]:
        return {
            "series_id": parents.series[o.series_key].id,
            "patient_mismatch": o.uid in outcome.patient_mismatch,
            "of_study": o.parsed.study_instance_uid,
            "of_series": o.parsed.series_instance_uid,
            "place": arrived[o.uid],
        }

    found = MEMBERS.rows(
        [
            rows_of(INSTANCE, objects, beside),
            as_json([_series_row(series) for series in parents.series.values()]),
            as_json([_study_row(study, objects) for study in parents.studies.values()]),
            as_json([_fragment(series) for series in parents.series.values()]),
            *outbox.wished(_wishes(parents)),
        ]
    )
    return {uid: pk for pk, uid in found}


def _series_row(series: _Series) -> dict[str, Any]:
    total = series.instances + len(series.members)
    return {
        "id": series.id,
        "n": total,
        "answer": answers.series_answer(series.values, series.request_attributes, total),
    }


def _study_row(study: _Study, objects: Sequence[StoredObject]) -> dict[str, Any]:
    modalities, total = sorted(study.modalities), study.instances + study.new_instances
    row = {
        "id": study.id,
        "modalities": modalities,
        "series": study.series,
        "n": total,
        "answer": answers.study_answer(study.values, modalities, study.series, total),
    }
    return row if study.institution else row | _place(study.values["StudyInstanceUID"], objects)


def _place(study_instance_uid: str, objects: Sequence[StoredObject]) -> dict[str, str]:
    """Where a study was made is what the first of its objects says that names an institution."""
    for o in objects:
        if o.parsed.study_instance_uid == study_instance_uid and (institution := place(o, "InstitutionName")):
            return {"institution": institution, "department": place(o, "InstitutionalDepartmentName")}
    return {}


def _fragment(series: _Series) -> dict[str, Any]:
    """The metadata of the series' new instances, in the order of their UIDs."""
    members = sorted(series.members, key=lambda o: o.uid)
    lines = igzip.compress(b"\n".join(o.parsed.json_text for o in members), 1)
    return {"series_id": series.id, "lines": octets(lines)}


def _write_extended(objects: Sequence[StoredObject], parents: _Parents, ids: Mapping[str, int]) -> None:
    instances = (
        extended_values.Indexable(
            (*o.series_key, o.uid),
            {"study": series.study.id, "series": series.id, "instance": ids[o.uid]},
            extended_values.data_set(o.parsed.json_text),
        )
        for o in objects
        for series in [parents.series[o.series_key]]
    )
    extended_values.write(extended_values.extracted(parents.declared, instances))


def _wishes(parents: _Parents) -> list[Wish]:
    at_rest = settings.PACS.at_rest
    wishes = [Wish(outbox.RECONCILE, str(study.id)) for study in parents.studies.values() if study.new_series]
    for series in parents.series.values():
        subject = str(series.id)
        wishes.append(Wish(outbox.SERIES_METADATA, subject, METADATA_DELAY))
        wishes.append(Wish(outbox.SERIES_THUMBNAIL, subject, THUMBNAIL_DELAY))
        if settings.PACS.copies.there:
            wishes.append(Wish(outbox.COPY_SERIES, subject, METADATA_DELAY))
        if at_rest.transfer_syntax != OFF and any(o.parsed.frames for o in series.members):
            wishes.append(Wish(outbox.AT_REST, subject, at_rest.delay_seconds))
    return wishes
