"""Making a batch of stored objects visible: one transaction for its rows, its news, its tasks and its record."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from django.conf import settings
from django.db import OperationalError, connection, transaction
from isal import igzip
from psycopg.errors import SerializationFailure

from archive import answers, extended_values, outbox, request_attributes
from archive.at_rest_policy import OFF
from archive.extended_declaration import ExtendedAttribute
from archive.index_patients import Named, named_patients
from archive.index_rows import (
    INSTANCE,
    SERIES,
    STUDY,
    PatientKey,
    StoredObject,
    execute,
    first_of,
    insert,
    place,
    select_values,
)
from archive.outbox import Wish

# Seconds to wait for more of a series before its document and picture are made.
METADATA_DELAY = 2.0
THUMBNAIL_DELAY = 1.0
CREATE = "create"

SeriesKey = tuple[str, str]


@dataclass(slots=True)
class Indexed:
    """What became of a batch, as SOP Instance UIDs."""

    created: set[str] = field(default_factory=set)
    known: set[str] = field(default_factory=set)  # another writer was first
    patient_mismatch: set[str] = field(default_factory=set)  # the study belongs to another patient


@dataclass(slots=True)
class _Parent:
    """A locked study or series row, and what this batch adds to it."""

    id: int
    parent_id: int
    values: dict[str, str]
    counts: tuple[int, int]
    modalities: set[str]
    new_series: int = 0
    new_instances: int = 0


def index(objects: Sequence[StoredObject], record: Callable[[Indexed], None]) -> Indexed:
    """Make ``objects`` visible in one transaction; ``record`` is called inside it, just before the commit.

    No two of ``objects`` may share a SOP Instance UID. An object whose UID is in the index already is left out
    and named in ``Indexed.known``.
    """
    with transaction.atomic():
        outcome = _write(objects) if objects else Indexed()
        record(outcome)
    return outcome


def _write(objects: Sequence[StoredObject]) -> Indexed:
    declared = extended_values.writable()
    patients = named_patients(objects)
    studies = _studies(objects, patients)
    series = _series(objects, studies)
    outcome = Indexed()
    ids = _instances(sorted(objects, key=lambda o: o.uid), patients, studies, series, outcome)
    created = [o for o in objects if o.uid in ids]
    _count(created, studies, series)
    _write_fragments(created, ids, series)
    _write_extended(declared, created, ids, studies, series)
    _write_news(created)
    outbox.wish(_wishes(created, studies, series))
    return outcome


def overtaken() -> OperationalError:
    """For a row that was there and is gone a statement later, deleted: the transaction has to come again."""
    error = OperationalError("a Delete was faster")
    error.__cause__ = SerializationFailure()
    return error


def _studies(objects: Sequence[StoredObject], patients: Mapping[PatientKey, Named]) -> dict[str, _Parent]:
    firsts = first_of(objects, lambda o: o.parsed.study_instance_uid)
    insert(
        "archive_study",
        STUDY,
        firsts,
        extra=[
            ("patient_id", "bigint", [patients[o.patient_key].patient for o in firsts]),
            ("original_patient_id", "bigint", [patients[o.patient_key].original for o in firsts]),
        ],
        constants={
            "modalities_in_study": "ARRAY[]::text[]",
            "number_of_study_related_series": "0",
            "number_of_study_related_instances": "0",
            "answer": "''",
        },
        unless="study_instance_uid",
        returning="id",
    )
    own, own_names = select_values("s", "study")
    of_patient, patient_names = select_values("p", "patient")
    found = execute(
        "SELECT s.id, s.patient_id, s.number_of_study_related_series, s.number_of_study_related_instances, "
        f"s.modalities_in_study, COALESCE(s.institution_name, ''), {own}, {of_patient} "
        "FROM archive_study s JOIN archive_patient p ON p.id = s.patient_id "
        "WHERE s.study_instance_uid IN (SELECT * FROM {rows}) ORDER BY s.study_instance_uid FOR UPDATE OF s",
        ["text"],
        [[o.parsed.study_instance_uid] for o in firsts],
    )
    if len(found) < len(firsts):
        raise overtaken()
    parents, unplaced = {}, {}
    for pk, patient, series, instances, modalities, institution, *values in found:
        named = dict(zip(own_names + patient_names, values, strict=True))
        parents[named["StudyInstanceUID"]] = _Parent(pk, patient, named, (series, instances), set(modalities))
        if not institution:
            unplaced[named["StudyInstanceUID"]] = pk
    _place(objects, unplaced)
    return parents


def _place(objects: Sequence[StoredObject], unplaced: Mapping[str, int]) -> None:
    """Where a study was made is what the first of its objects says that names an institution."""
    naming = [o for o in objects if o.parsed.study_instance_uid in unplaced and place(o, "InstitutionName")]
    rows = [
        (unplaced[o.parsed.study_instance_uid], place(o, "InstitutionName"), place(o, "InstitutionalDepartmentName"))
        for o in first_of(naming, lambda o: o.parsed.study_instance_uid)
    ]
    if rows:
        execute(
            "UPDATE archive_study s SET institution_name = k.institution, institutional_department_name = k.department "
            "FROM {rows} AS k (id, institution, department) WHERE s.id = k.id",
            ["bigint", "text", "text"],
            rows,
        )


def _series(objects: Sequence[StoredObject], studies: Mapping[str, _Parent]) -> dict[SeriesKey, _Parent]:
    firsts = first_of(objects, lambda o: o.series_key)
    study_ids = [studies[o.parsed.study_instance_uid].id for o in firsts]
    created = insert(
        "archive_series",
        SERIES,
        firsts,
        extra=[("study_id", "bigint", study_ids)],
        constants={
            "number_of_series_related_instances": "0",
            "version": "0",
            "answer": "''",
        },
        unless="study_id, series_instance_uid",
        returning="study_id, id",
    )
    by_id = {study.id: study for study in studies.values()}
    for study_id, _ in created:
        by_id[study_id].new_series += 1
    request_attributes.write_items([pk for _, pk in created])
    own, names = select_values("e", "series")
    found = execute(
        f"SELECT e.id, e.study_id, e.number_of_series_related_instances, e.request_attributes, {own} "
        "FROM archive_series e WHERE (e.study_id, e.series_instance_uid) IN (SELECT * FROM {rows}) "
        "ORDER BY e.study_id, e.series_instance_uid FOR UPDATE OF e",
        ["bigint", "text"],
        [(study_id, o.parsed.series_instance_uid) for study_id, o in zip(study_ids, firsts, strict=True)],
    )
    parents = {}
    for pk, study_id, instances, requests, *values in found:
        named = dict(zip(names, values, strict=True))
        named["StudyInstanceUID"] = by_id[study_id].values["StudyInstanceUID"]
        named["RequestAttributesSequence"] = requests
        key = named["StudyInstanceUID"], named["SeriesInstanceUID"]
        parents[key] = _Parent(pk, study_id, named, (0, instances), set())
    return parents


def _instances(
    objects: Sequence[StoredObject],
    patients: Mapping[PatientKey, Named],
    studies: Mapping[str, _Parent],
    series: Mapping[SeriesKey, _Parent],
    outcome: Indexed,
) -> dict[str, int]:
    mismatches = [patients[o.patient_key].patient != studies[o.parsed.study_instance_uid].parent_id for o in objects]
    created = insert(
        "archive_instance",
        INSTANCE,
        objects,
        extra=[
            ("series_id", "bigint", [series[o.series_key].id for o in objects]),
            ("patient_mismatch", "bool", mismatches),
        ],
        unless="sop_instance_uid",
        returning="sop_instance_uid, id",
    )
    outcome.created = {uid for uid, _ in created}
    outcome.known = {o.uid for o in objects} - outcome.created
    outcome.patient_mismatch = {o.uid for o, mismatch in zip(objects, mismatches, strict=True) if mismatch}
    return dict(created)


def _count(
    created: Sequence[StoredObject], studies: Mapping[str, _Parent], series: Mapping[SeriesKey, _Parent]
) -> None:
    """Bring counts, modalities and ready answers of every touched study and series up to date."""
    for o in created:
        of_study, of_series = studies[o.parsed.study_instance_uid], series[o.series_key]
        of_study.new_instances += 1
        of_series.new_instances += 1
        of_study.modalities |= {of_series.values["Modality"]} - {""}
    series_rows = [
        (e.id, total, answers.series_answer(e.values, e.values["RequestAttributesSequence"], total))
        for e in series.values()
        if e.new_instances
        for total in [e.counts[1] + e.new_instances]
    ]
    study_rows = [
        (s.id, "\\".join(modalities), *counts, answers.study_answer(s.values, modalities, *counts))
        for s in studies.values()
        if s.new_instances or s.new_series
        for modalities in [sorted(s.modalities)]
        for counts in [(s.counts[0] + s.new_series, s.counts[1] + s.new_instances)]
    ]
    if series_rows:
        execute(
            "UPDATE archive_series e SET number_of_series_related_instances = k.n, answer = k.answer, "
            "version = e.version + 1, updated_at = statement_timestamp() "
            "FROM {rows} AS k (id, n, answer) WHERE e.id = k.id",
            ["bigint", "int", "text"],
            series_rows,
        )
    if study_rows:
        execute(
            r"UPDATE archive_study s SET modalities_in_study = COALESCE(string_to_array(k.modalities, '\'), '{}'), "
            "number_of_study_related_series = k.series, number_of_study_related_instances = k.n, "
            "answer = k.answer, updated_at = statement_timestamp() "
            "FROM {rows} AS k (id, modalities, series, n, answer) WHERE s.id = k.id",
            ["bigint", "text", "int", "int", "text"],
            study_rows,
        )


def _write_fragments(
    created: Sequence[StoredObject], ids: Mapping[str, int], series: Mapping[SeriesKey, _Parent]
) -> None:
    by_series: dict[int, list[StoredObject]] = defaultdict(list)
    for o in created:
        by_series[series[o.series_key].id].append(o)
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO archive_metadatafragment (series_id, instance_ids, lines) VALUES (%s, %s, %s)",
            [
                (pk, [ids[o.uid] for o in members], igzip.compress(b"\n".join(o.parsed.json_text for o in members), 1))
                for pk, members in sorted(by_series.items())
            ],
        )


def _write_extended(
    declared: Sequence[ExtendedAttribute],
    created: Sequence[StoredObject],
    ids: Mapping[str, int],
    studies: Mapping[str, _Parent],
    series: Mapping[SeriesKey, _Parent],
) -> None:
    if not declared:
        return
    instances = (
        extended_values.Indexable(
            (*o.series_key, o.uid),
            {
                "study": studies[o.parsed.study_instance_uid].id,
                "series": series[o.series_key].id,
                "instance": ids[o.uid],
            },
            extended_values.data_set(o.parsed.json_text),
        )
        for o in created
    )
    extended_values.write(extended_values.extracted(declared, instances))


def _write_news(created: Sequence[StoredObject]) -> None:
    if created:
        execute(
            "INSERT INTO archive_changefeedentry (action, study_instance_uid, series_instance_uid, sop_instance_uid) "
            "SELECT * FROM {rows}",
            ["text"] * 4,
            [(CREATE, *o.series_key, o.uid) for o in created],
        )


def _wishes(
    created: Sequence[StoredObject], studies: Mapping[str, _Parent], series: Mapping[SeriesKey, _Parent]
) -> list[Wish]:
    touched = {series[o.series_key].id for o in created}
    at_rest = settings.PACS.at_rest
    framed = {series[o.series_key].id for o in created if o.parsed.frames and at_rest.transfer_syntax != OFF}
    return (
        [Wish(outbox.SERIES_METADATA, str(pk), METADATA_DELAY) for pk in sorted(touched)]
        + [Wish(outbox.SERIES_THUMBNAIL, str(pk), THUMBNAIL_DELAY) for pk in sorted(touched)]
        + [Wish(outbox.AT_REST, str(pk), at_rest.delay_seconds) for pk in sorted(framed)]
        + [Wish(outbox.RECONCILE, str(study.id)) for study in studies.values() if study.new_series]
    )
