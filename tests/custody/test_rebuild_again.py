"""Rebuilds of a store that several indexes wrote to, and what must not happen before one has come to its end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from isal import igzip

from access.marking import restrict
from access.restriction_models import Mark, Restriction
from archive import outbox
from archive.errors import ArchiveUnavailable
from archive.models import DeletedObject, Instance, LegalHold, OutboxEntry, Patient, Series, Study
from archive.object_store import object_store
from archive.object_store.marks import HOT
from archive.sweep import sweep_all
from custody.backups import unsettled
from custody.backups.afterwards import settle
from custody.facts import documents
from custody.facts.behind import is_behind
from custody.facts.due import due
from custody.facts.models import FactsDocument, Rebuild
from custody.facts.rebuild import ADD_MISSING, EMPTY, RESUME, KeptOut, accept
from custody.facts.triggers import ARCHIVE_FACTS, PATIENT_FACTS, STUDY_FACTS
from custody.facts.writing import WALK, revived, walk, write_archive, write_patient, write_study
from custody.tiers.holders import MOVABLE, kept
from custody.tiers.relocation import Moved, relocate
from tests.custody.archive_state import backup, lose, rebuilt, run_tasks, store_all, uids
from tests.custody.test_rebuild import _empty_object_store, delete_at, first_instance, study, told
from tests.dicomweb.objects import make_object

__all__ = ["_empty_object_store"]

pytestmark = pytest.mark.django_db(transaction=True)

LONG_AGO = datetime(2026, 3, 5, 12, tzinfo=UTC)


def of_patients() -> dict[str, str]:
    return dict(Study.objects.values_list("study_instance_uid", "patient__patient_id"))


def facts_in_store() -> set[str]:
    return set(object_store().keys("facts/"))


def test_two_indexes_that_gave_one_key_to_two_patients_keep_them_apart() -> None:
    """The database was lost, images came before anybody rebuilt, and it was lost again."""
    first = [study(1, PatientID=f"A{number}") for number in range(3)]
    run_tasks()
    lose()
    second = [study(1, PatientID=f"B{number}") for number in range(3)]
    for uid in second:
        write_study(uid)
    lose()
    summary = rebuilt(EMPTY)
    assert summary["problems"] == {}
    assert of_patients() == {
        uid: f"{name}{n}" for name, found in (("A", first), ("B", second)) for n, uid in enumerate(found)
    }
    # Whoever stores now gets keys of their own.
    third = study(2, PatientID="C")
    assert of_patients()[third] == "C"
    assert Patient.objects.count() == 7
    assert Series.objects.count() == 7


def test_what_was_moved_after_the_backup_is_found_where_it_lies_even_under_a_hold() -> None:
    uid = study(3)
    run_tasks()
    with backup() as restore:
        for each in list(kept(MOVABLE[0], Instance.objects.all())):
            assert relocate(each, HOT) == Moved.MOVED
        LegalHold.objects.create(study_instance_uid=uid, reason="a case", placed_by="somebody")
        run_tasks()
        moved = dict(Instance.objects.values_list("sop_instance_uid", "object_key"))
        for key in DeletedObject.objects.filter(deleted_by="moved").values_list("object_key", flat=True):
            object_store().delete(key)
        restore()
        summary = rebuilt(ADD_MISSING)
    assert (summary["problems"], summary["counts"]["moved"]) == ({}, 3)
    assert dict(Instance.objects.values_list("sop_instance_uid", "object_key")) == moved
    assert not DeletedObject.objects.exclude(sop_instance_uid="").exists()


def test_nothing_at_all_is_swept_while_the_index_may_lack_something() -> None:
    """What an old index takes for an orphan, or for deleted, may have a row by now that it has not."""
    study(1)
    run_tasks()
    key = Instance.objects.get().object_key
    lose()
    DeletedObject.objects.create(object_key=key, sweep_after=LONG_AGO, deleted_by="orphan")
    assert sweep_all().removed == 0
    rebuilt(EMPTY)
    swept = sweep_all()
    assert (swept.removed, Instance.objects.get().object_key) == (0, key)
    assert key in set(object_store().keys())


def test_after_a_restore_nothing_is_swept_until_the_store_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    stays = study(1)
    run_tasks()
    with backup() as restore:
        later = study(2)
        run_tasks()
        restore()
        now = timezone.now()
        note = unsettled.Note("b", now, now, False, "somewhere", "somebody", objects=0, bytes=0, left_out=0)
        # Of the database of the tests nobody has to come again.
        monkeypatch.setattr(unsettled, "found", lambda: note)
        monkeypatch.setattr(unsettled, "end", lambda: None)
        assert settle() == 0
        assert is_behind()
        assert sweep_all().noted == 0
        # The facts that are there may not be written over by what this index knows.
        run_tasks()
        summary = rebuilt(ADD_MISSING)
    assert uids() == {stays, later}
    assert (summary["mode"], "change_feed" in summary) == (ADD_MISSING, False)
    assert not is_behind()


def test_a_store_without_facts_gets_them_again() -> None:
    """Objects were restored from a backup, which has none of them."""
    uid, gone = study(2), study(1, PatientID="P2")
    restrict(Patient.objects.get(patient_id="P2"), Mark.VIP, "known to all")
    run_tasks()
    delete_at(gone)
    run_tasks()
    for key in facts_in_store():
        object_store().delete(key)
    walk("0")
    run_tasks()
    named = set(FactsDocument.objects.exclude(object_key=None).values_list("object_key", flat=True))
    assert named == facts_in_store()
    kinds = set(FactsDocument.objects.exclude(object_key=None).values_list("kind", flat=True))
    assert kinds == {ARCHIVE_FACTS, PATIENT_FACTS, STUDY_FACTS}
    lose()
    rebuilt(EMPTY)
    assert uids() == {uid}
    assert Restriction.objects.active().get().mark == Mark.VIP


def test_an_upgrade_writes_facts_of_marks_and_deletions_as_well() -> None:
    study(1, PatientID="P2")
    gone = study(1, PatientID="P3")
    restrict(Patient.objects.get(patient_id="P2"), Mark.RESTRICTED, "")
    delete_at(gone)
    OutboxEntry.objects.all().delete()
    walk("0")
    run_tasks()
    lose()
    rebuilt(EMPTY)
    assert gone not in uids()
    found = Restriction.objects.active().get()
    assert (found.patient and found.patient.patient_id, found.reason) == ("P2", "")


def test_an_empty_index_writes_nothing_of_a_patient_whose_facts_it_can_not_find() -> None:
    study(1, PatientID="P2")
    restrict(Patient.objects.get(patient_id="P2"), Mark.VIP, "known to all")
    run_tasks()
    lose()
    study(1, PatientID="P2")
    told("TOLD^BY^FEED", "P2")
    there = facts_in_store()
    with pytest.raises(ArchiveUnavailable):
        write_patient(str(Patient.objects.get(patient_id="P2").pk))
    assert facts_in_store() == there
    OutboxEntry.objects.all().delete()
    rebuilt(ADD_MISSING)
    assert Restriction.objects.active().get().mark == Mark.VIP


def test_a_writer_that_finds_later_facts_stops_the_sweep() -> None:
    """The database came back by other means than ours: the archive's own facts are as old as the index."""
    uid = study(1)
    run_tasks()
    with backup() as restore:
        store_all([make_object(StudyInstanceUID=uid, SeriesInstanceUID="1.2.3")])
        run_tasks()
        restore()
        assert not is_behind()
        Study.objects.update(study_id="changed")
        with pytest.raises(ArchiveUnavailable):
            write_study(uid)
        assert is_behind()


def test_images_that_only_facts_know_are_no_orphans() -> None:
    """As above, and nothing of what came since is changed any more."""
    stays = study(1)
    run_tasks()
    with backup() as restore:
        later = study(2)
        run_tasks()
        restore()
        assert not is_behind()
        assert sweep_all().noted == 0
        assert is_behind()
        rebuilt(ADD_MISSING)
    assert uids() == {stays, later}


def test_a_document_of_a_writer_that_came_too_late_is_no_news() -> None:
    """It was noted, its place was taken by another writer's, and it was put all the same."""
    uid = study(1)
    run_tasks()
    row = FactsDocument.objects.get(kind=STUDY_FACTS)
    documents.put(documents.new_key(row.folder, row.version + 1), b"{}")
    FactsDocument.objects.filter(pk=row.pk).update(version=row.version + 2, pending=f"{row.folder}/never-put")
    Study.objects.update(study_id="changed")
    write_study(uid)
    assert not is_behind()
    assert FactsDocument.objects.get(pk=row.pk).version > row.version + 1


def test_what_was_noted_and_not_settled_is_no_news() -> None:
    """A worker was killed in between, or a backup made: the index knows what the document says, and more by now."""
    uid = study(1)
    run_tasks()
    row = FactsDocument.objects.get(kind=STUDY_FACTS)
    FactsDocument.objects.filter(pk=row.pk).update(pending=row.object_key, object_key=None, digest=b"")
    store_all([make_object(StudyInstanceUID=uid, SeriesInstanceUID="1.2.3")])
    Instance.objects.update(created_at=LONG_AGO)
    summary = rebuilt(ADD_MISSING)
    assert (summary["counts"].get("removed", 0), Instance.objects.count()) == (0, 2)


def test_what_is_sent_already_is_not_sent_for_each_change() -> None:
    uid = study(1)
    entry = OutboxEntry.objects.filter(kind=STUDY_FACTS, subject=uid)
    sent = timezone.now() + timedelta(seconds=60)
    entry.update(not_before=sent, created_at=LONG_AGO)
    Study.objects.update(study_id="changed")
    assert entry.get().not_before == sent
    # What waits because the store was away comes soon after it is used again.
    entry.update(last_error="ArchiveUnavailable")
    Study.objects.update(study_id="changed again")
    assert entry.get().not_before < sent


def test_facts_that_workers_of_before_did_not_know_are_wished_for_again() -> None:
    OutboxEntry.objects.create(kind=WALK, subject="0", dead=True, attempts=5, last_error="KeyError")
    outbox.wish(revived())
    assert not OutboxEntry.objects.get(kind=WALK).dead


def test_what_is_accepted_is_said_in_the_trail() -> None:
    from audit.models import AccessEvent

    Rebuild.objects.create(mode=EMPTY, summary={"open": ["broken"]})
    before = AccessEvent.objects.count()
    assert accept() == 1
    assert AccessEvent.objects.count() == before + 1
    assert accept() == 0
    assert AccessEvent.objects.count() == before + 1


@pytest.fixture
def unreadable(settings: Any) -> tuple[str, str, Path, bytes]:
    """A study that was closed, and of which one of three was deleted; another one; the first one's document, damaged,
    and what it said."""
    closed, whole = study(3), study(1)
    restrict(Study.objects.get(study_instance_uid=closed), Mark.VIP, "known to all")
    delete_at(closed, *first_instance(closed))
    run_tasks()
    document = FactsDocument.objects.get(kind=STUDY_FACTS, subject=closed).object_key
    path = settings.PACS.data / "store/objects" / str(document)
    said = path.read_bytes()
    path.write_bytes(said[:40] + b"x" + said[41:-9])
    lose()
    return closed, whole, path, said


def test_a_study_whose_facts_can_not_be_read_is_kept_out_until_they_can(
    unreadable: tuple[str, str, Path, bytes],
) -> None:
    closed, whole, path, content = unreadable
    out, said = StringIO(), StringIO()
    call_command("rebuild", processes=2, stdout=out, stderr=said)
    assert uids() == {whole}
    assert f"KEPT OUT  study {closed}: its facts can't be read" in said.getvalue()
    assert "1 studies were kept out" in said.getvalue()
    summary = orjson.loads(out.getvalue())
    assert summary["open"] == ["facts_unreadable", "kept_out"]
    assert path.name in summary["problems"]["kept_out"][0]
    # Their objects are no orphans, and can't be made some.
    assert is_behind()
    assert sweep_all().noted == 0
    with pytest.raises(KeptOut, match="--without-facts"):
        accept()
    told = due()
    assert told is not None
    assert ("--accept" in told.hint, told.command) == (False, "./pacs rebuild --resume")
    path.write_bytes(content)
    summary = rebuilt(RESUME)
    assert uids() == {whole, closed}
    assert Instance.objects.filter(series__study__study_instance_uid=closed).count() == 2
    assert Restriction.objects.active().get().study_instance_uid == closed
    assert (summary["open"], is_behind()) == ([], False)


def test_a_person_may_say_that_it_comes_in_without(unreadable: tuple[str, str, Path, bytes]) -> None:
    from audit.models import AccessEvent

    closed, whole, path, _ = unreadable
    summary = rebuilt(EMPTY, without_facts=True)
    assert uids() == {whole, closed}
    assert Instance.objects.filter(series__study__study_instance_uid=closed).count() == 3
    assert (summary["open"], is_behind()) == ([], False)
    event = AccessEvent.objects.filter(kind="import").latest("sequence")
    assert "also without facts that can't be read" in event.outcome_description
    # From now on there are facts of it again.
    document = FactsDocument.objects.get(kind=STUDY_FACTS, subject=closed)
    assert document.object_key is not None
    assert Path(document.object_key).name > path.name
    lose()
    assert rebuilt(EMPTY)["open"] == []
    assert uids() == {whole, closed}


def test_facts_that_can_not_be_put_back_keep_their_study_out(unreadable: tuple[str, str, Path, bytes]) -> None:
    closed, whole, path, content = unreadable
    said = orjson.loads(igzip.decompress(content))
    path.write_bytes(igzip.compress(orjson.dumps({"format": said["format"], "columns": []})))
    summary = rebuilt(EMPTY)
    assert uids() == {whole}
    assert (summary["counts"]["failed"], summary["open"]) == (1, ["failed", "kept_out"])
    assert closed in summary["problems"]["kept_out"][0]


def test_the_archives_own_facts_are_never_written_over() -> None:
    study(1)
    run_tasks()
    lose()
    with pytest.raises(ArchiveUnavailable):
        write_archive("tags")
    assert Rebuild.objects.filter(finished_at=None).count() == 1
    summary: dict[str, Any] = rebuilt(EMPTY)
    assert "change_feed" in summary


def test_whoever_changes_an_instance_locks_in_the_order_of_a_store() -> None:
    """What is counted, then the outbox: triggers of one table come in the order of their names."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgname FROM pg_trigger WHERE tgrelid = 'archive_instance'::regclass AND NOT tgisinternal "
            "AND tgname LIKE '%update' ORDER BY tgname"
        )
        names = [name for (name,) in cursor.fetchall()]
    assert names.index("count_usage_update") < names.index("study_facts_of_archive_instance_update")
