"""What the index says of a study and its series after instances were taken away: counts, modalities, ready answers."""

from collections.abc import Sequence

from archive import answers
from archive.index_rows import execute, select_values


def recount_series(series_ids: Sequence[int]) -> tuple[list[int], list[int]]:
    """Bring the locked series up to date; returns the ids of those that hold instances, and of those that are empty.

    The version of a series that lost instances moves on, so that its metadata document is made again.
    """
    if not series_ids:
        return [], []
    own, names = select_values("e", "series")
    found = execute(
        "SELECT e.id, s.study_instance_uid, e.request_attributes, "
        f"(SELECT count(*) FROM archive_instance i WHERE i.series_id = e.id), {own} "
        "FROM archive_series e JOIN archive_study s ON s.id = e.study_id WHERE e.id IN (SELECT * FROM {rows})",
        ["bigint"],
        [[pk] for pk in series_ids],
    )
    rows = []
    for pk, study_instance_uid, request_attributes, count, *values in found:
        if count:
            named = dict(zip(names, values, strict=True)) | {"StudyInstanceUID": study_instance_uid}
            rows.append((pk, count, answers.series_answer(named, request_attributes, count)))
    if rows:
        execute(
            "UPDATE archive_series e SET number_of_series_related_instances = k.n, answer = k.answer, "
            "version = e.version + 1, updated_at = statement_timestamp() "
            "FROM {rows} AS k (id, n, answer) WHERE e.id = k.id",
            ["bigint", "int", "text"],
            rows,
        )
    left = {pk for pk, _, _ in rows}
    return sorted(left), sorted(set(series_ids) - left)


def recount_study(study_id: int) -> bool:
    """Bring the locked study up to date with its series; ``False``, and nothing done, if it has none left."""
    own, own_names = select_values("s", "study")
    of_patient, patient_names = select_values("p", "patient")
    [(series, instances, modalities, *values)] = execute(
        "SELECT k.series, k.instances, k.modalities, "
        f"{own}, {of_patient} FROM archive_study s JOIN archive_patient p ON p.id = s.patient_id, LATERAL ("
        "SELECT count(*) AS series, COALESCE(sum(number_of_series_related_instances), 0)::int AS instances, "
        "COALESCE(array_agg(DISTINCT modality ORDER BY modality) FILTER (WHERE modality <> ''), '{}') AS modalities "
        "FROM archive_series WHERE study_id = s.id) AS k WHERE s.id IN (SELECT * FROM {rows})",
        ["bigint"],
        [[study_id]],
    )
    if not series:
        return False
    named = dict(zip(own_names + patient_names, values, strict=True))
    execute(
        r"UPDATE archive_study s SET modalities_in_study = COALESCE(string_to_array(k.modalities, '\'), '{}'), "
        "number_of_study_related_series = k.series, number_of_study_related_instances = k.n, "
        "answer = k.answer, updated_at = statement_timestamp() "
        "FROM {rows} AS k (id, modalities, series, n, answer) WHERE s.id = k.id",
        ["bigint", "text", "int", "int", "text"],
        [
            (
                study_id,
                "\\".join(modalities),
                series,
                instances,
                answers.study_answer(named, modalities, series, instances),
            )
        ],
    )
    return True
