"""Studies as facts have them: what was deleted and what is closed first, then parents, then instances by the way that
a Store takes (``archive.index``), then what was made of them.

All of it may be done again: what is in the index already stays, so a rebuild that was broken off goes on where it was.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction

from access.models import DeletedStudy
from archive import outbox, request_attributes
from archive.errors import Held
from archive.index import index
from archive.index_recount import recount_study
from archive.index_rows import StoredObject
from archive.models import AttributeOverride, DeletedObject, DroppedOriginal, Instance, Series, Study
from archive.outbox import Wish
from archive.store import ATTEMPTS, COLLISIONS, known_objects
from custody.facts import documents, patients, providers, rows
from custody.facts.documents import Facts, UnreadableFacts
from custody.facts.known import done, moment_of, remember
from custody.facts.reading import Unread, known_object, many
from custody.facts.removing import follow, remove_gone
from custody.facts.representing import restore_representations
from custody.facts.tally import Tally
from custody.facts.triggers import STUDY_FACTS, SWITCH

# Instances that are made visible at a time.
BATCH: Final = 250
_NONE_YET: Final = {"answer": "{}", "modalities_in_study": [], "number_of_study_related_instances": 0}
# What a document can do to its own study only.
_FAULTS: Final = (DatabaseError, LookupError, TypeError, ValueError)
Item = TypeVar("Item")
Progress = Callable[[int], None]


def restore(keys: Sequence[str], progress: Progress = lambda instances: None) -> Tally:
    """Put back the studies of these documents. Raises ``ObjectStoreUnavailable`` and what the database raises when it
    is away; whatever else goes wrong with one study is told, and the others are done."""
    tally = Tally()
    ready = done(list(keys))
    tally.counts["unchanged"] += len(ready)
    found = []
    for key in keys:
        if key not in ready:
            try:
                found.append(documents.read(key))
            except UnreadableFacts as error:
                tally.problem("facts_unreadable", str(error))
                tally.unread[key.rpartition("/")[0]] = key
    try:
        tally.add(_restored(found, progress))
    except (OperationalError, InterfaceError):
        raise
    except _FAULTS:
        # One of them is at fault: the others are done without it.
        for facts in found:
            try:
                tally.add(_restored([facts], progress))
            except (OperationalError, InterfaceError):
                raise
            except _FAULTS as error:
                tally.problem("failed", f"{facts.key}: {type(error).__name__}")
                tally.unread[facts.folder] = facts.key
    return tally


def _restored(found: Sequence[Facts], progress: Progress) -> Tally:
    tally = Tally()
    for facts in found:
        _begin(facts, tally)
    with _unwished():
        numbers = patients.present([facts.content["patients"] or [] for facts in found])
        for facts, of_facts in zip(found, numbers, strict=True):
            _gone(facts, of_facts)
        touched = _parents(found, numbers)
    said = [row for facts in found for row in _instances(facts)]
    cold: set[str] = set()
    for batch in _batches(_missing(said), BATCH):
        _index(list(many(known_object, batch)), {row["sop_instance_uid"]: row for row in batch}, tally, cold)
        progress(len(batch))
    with _unwished():
        for facts in found:
            _finish(facts, tally, cold, recount=facts.content["study_instance_uid"] in touched)
    return tally


class _unwished:
    """A transaction that wishes for no facts: these are the facts."""

    def __enter__(self) -> None:
        self._transaction = transaction.atomic()
        self._transaction.__enter__()
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL {SWITCH} = 'off'")

    def __exit__(self, *error: Any) -> None:
        self._transaction.__exit__(*error)


def _begin(facts: Facts, tally: Tally) -> None:
    """Close what was closed, and take away what was deleted since, before anything is shown."""
    uid = facts.content["study_instance_uid"]
    providers.restore(STUDY_FACTS, uid, facts.content.get("more", {}), moment_of(facts))
    said = {row["sop_instance_uid"]: row for row in _instances(facts)}
    tally.counts["moved"] += follow(uid, said)
    try:
        tally.counts["removed"] += remove_gone(uid, said, moment_of(facts))
    except Held:
        tally.problem("held", f"study {uid}: it was deleted, and is under a legal hold by now")


def _gone(facts: Facts, numbers: Mapping[int, int]) -> None:
    """What was deleted can be brought back for as long as before."""
    content = facts.content
    found = [{**row, "patient_id": numbers.get(row.get("patient_id"))} for row in content["deleted"] or []]
    rows.insert(DeletedObject, found, update_on="object_key")
    if content["deleted_of"] in numbers:
        DeletedStudy.objects.update_or_create(
            study_instance_uid=content["study_instance_uid"], defaults={"patient_id": numbers[content["deleted_of"]]}
        )
    known = AttributeOverride.objects.filter(level="study", uid=content["study_instance_uid"])
    if content["corrections"] and not known.exists():
        rows.insert(AttributeOverride, content["corrections"])


def _parents(found: Sequence[Facts], numbers: Sequence[Mapping[int, int]]) -> set[str]:
    """Studies and their series under the keys that they had; the UIDs of studies that were there already."""
    studies = [
        {
            **facts.content["study"],
            "patient_id": of_facts[facts.content["study"]["patient_id"]],
            "original_patient_id": of_facts.get(facts.content["study"]["original_patient_id"]),
        }
        for facts, of_facts in zip(found, numbers, strict=True)
        if facts.content["study"]
    ]
    uids = [study["study_instance_uid"] for study in studies]
    there = set(_studies(uids))
    rows.update(Study, [study for study in studies if study["study_instance_uid"] in there], "study_instance_uid")
    series_of = Counter({facts.content["study_instance_uid"]: len(facts.content["series"] or []) for facts in found})
    new = [
        {
            **study,
            **_NONE_YET,
            "number_of_study_related_series": series_of[study["study_instance_uid"]],
            "updated_at": study["created_at"],
        }
        for study in studies
        if study["study_instance_uid"] not in there
    ]
    if rows.insert(Study, new) < len(new):
        known = _studies(uids)
        # Another study has the key that they had.
        rows.insert(Study, [_unnumbered(study) for study in new if study["study_instance_uid"] not in known])
    pks = _studies(uids)
    series = [
        {
            **row,
            "study_id": pks[facts.content["study_instance_uid"]],
            "answer": "{}",
            "number_of_series_related_instances": 0,
            "version": 0,
            "updated_at": row["created_at"],
        }
        for facts in found
        for row in facts.content["series"] or []
    ]
    before = set(Series.objects.filter(study__in=pks.values()).values_list("study_id", "series_instance_uid"))
    series = [row for row in series if (row["study_id"], row["series_instance_uid"]) not in before]
    if rows.insert(Series, series) < len(series):
        rows.insert(Series, [_unnumbered(row) for row in series])
    of_studies = Series.objects.filter(study__in=pks.values())
    request_attributes.write_items(list(of_studies.filter(requests=None).values_list("pk", flat=True)))
    return there


def _studies(uids: Sequence[str]) -> dict[str, int]:
    return dict(Study.objects.filter(study_instance_uid__in=uids).values_list("study_instance_uid", "pk"))


def _unnumbered(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "id"}


def _instances(facts: Facts) -> list[dict[str, Any]]:
    columns = facts.content["columns"]
    return [dict(zip(columns, row, strict=True)) for row in facts.content["instances"] or []]


def _missing(said: Sequence[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """Those that the index does not have, in the order in which they came."""
    for batch in _batches(said, BATCH * 4):
        known = set(
            Instance.objects.filter(sop_instance_uid__in=[row["sop_instance_uid"] for row in batch]).values_list(
                "sop_instance_uid", flat=True
            )
        )
        yield from (row for row in batch if row["sop_instance_uid"] not in known)


def _index(
    found: Sequence[StoredObject | Unread], said: Mapping[str, dict[str, Any]], tally: Tally, cold: set[str]
) -> None:
    """Make objects visible as a Store would; when they came, and what else they do not say, is put right with it.

    The keys of those that have to be recalled first are added to ``cold``.
    """
    objects = []
    for each in found:
        if isinstance(each, Unread):
            tally.problem(each.kind, each.text)
            if each.kind == "cold":
                cold.add(each.text.partition(":")[0])
        else:
            objects.append(each)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with _unwished():
                index(objects, lambda indexed: None)
                rows.update(Instance, [_beside(said[each.uid]) for each in objects], "sop_instance_uid")
        except OperationalError as error:
            if attempt == ATTEMPTS or not isinstance(error.__cause__, COLLISIONS):
                raise
            there = set(known_objects(each.uid for each in objects))
            objects = [each for each in objects if each.uid not in there]
        else:
            tally.counts["instances"] += len(objects)
            return


def _beside(said: Mapping[str, Any]) -> dict[str, Any]:
    but = ("object_key", "object_size", "object_sha256", "series_instance_uid")
    return {name: value for name, value in said.items() if name not in but}


def _finish(facts: Facts, tally: Tally, cold: set[str], *, recount: bool) -> None:
    content, uid = facts.content, facts.content["study_instance_uid"]
    restore_representations(content["representations"] or [], tally)
    known = set(DroppedOriginal.objects.filter(study_instance_uid=uid).values_list("object_key", flat=True))
    dropped = [row for row in content["dropped"] or [] if row["object_key"] not in known]
    tally.counts["dropped_originals"] += rows.insert(DroppedOriginal, dropped)
    study = Study.objects.select_for_update().filter(study_instance_uid=uid).first()
    if study is not None:
        # Parents whose every object is missing or broken are none.
        emptied = Series.objects.filter(study=study, instances=None).delete()[0]
        if not study.series.exists():
            study.delete()
        elif recount or emptied:
            recount_study(study.pk)
            of_study = list(study.series.values_list("pk", flat=True))
            outbox.wish(Wish(outbox.SERIES_METADATA, str(pk)) for pk in of_study)
    stored = Instance.objects.filter(series__study__study_instance_uid=uid).count()
    said = len(content["instances"] or [])
    if stored != said:
        tally.problem("differences", f"study {uid}: {said} instances in the facts, {stored} in the index")
    tally.counts["studies"] += 1 if study is not None else 0
    tally.counts["deleted"] += len(content["deleted"] or [])
    # Where something is to be recalled first, the next run comes by again.
    if cold.isdisjoint(row["object_key"] for row in _instances(facts)):
        remember(STUDY_FACTS, uid, facts)


def _batches(items: Iterable[Item], size: int) -> Iterable[list[Item]]:
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch
