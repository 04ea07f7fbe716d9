"""Drill A5: whoever owns the database changes the trail, and verification says where."""

from pathlib import Path

import pytest
from django.db import connection

from audit.record import record
from audit.sealer import checkpoint
from audit.tree import TrailAltered
from tests.audit.logs import COPY_OF_THE_FIRST, Log, an_event, as_superuser, hash_everything_anew, rows, sequence_at

pytestmark = pytest.mark.django_db
EVENTS = 700


@pytest.fixture
def log(tmp_path: Path) -> Log:
    """700 events under checkpoints of 300, 500 and 700."""
    made = Log(tmp_path)
    for count in (300, 200, 200):
        made.grow(count)
    return made


def first(log: Log) -> tuple[int | None, int | None, str]:
    report = log.verify()
    assert report.findings
    return report.findings[0].position, report.findings[0].sequence, report.findings[0].text


def test_an_untouched_trail_is_whole(log: Log) -> None:
    report = log.verify()
    assert (report.findings, report.events, report.checkpoints, report.signed) == ([], EVENTS, 3, EVENTS)
    assert (report.waiting, report.late) == (0, 0)


def test_a_changed_field(log: Log) -> None:
    """(a)"""
    victim = sequence_at(321)
    as_superuser(("UPDATE audit_accessevent SET principal_id = 'somebody else' WHERE sequence = %s", [victim]))
    assert first(log)[:2] == (321, victim)
    assert len(log.verify().findings) == 1


@pytest.mark.parametrize(
    "change",
    [
        "recorded_at = recorded_at + interval '1 microsecond'",
        "source_ip = '10.0.0.1'",
        "study_uids = '{}'",
        "roles = '{\"\"}'",
        "bytes = 1",
        "decision = 'deny'",
        "rule = chr(1)",
    ],
)
def test_every_sort_of_column_counts(log: Log, change: str) -> None:
    as_superuser((f"UPDATE audit_accessevent SET {change} WHERE sequence = %s", [sequence_at(5)]))  # noqa: S608
    assert first(log)[0] == 5


@pytest.mark.parametrize("also_sealed", [False, True])
def test_a_middle_row_is_deleted(log: Log, also_sealed: bool) -> None:
    """(b) the event alone, or with its place in the log"""
    victim = sequence_at(444)
    as_superuser(("DELETE FROM audit_accessevent WHERE sequence = %s", [victim]))
    if also_sealed:
        as_superuser(("DELETE FROM audit_sealedevent WHERE sequence = %s", [victim]))
    assert first(log)[:2] == (444, victim)


@pytest.mark.parametrize("tables", [1, 2])
def test_the_newest_hundred_are_deleted(log: Log, tables: int) -> None:
    """(c) the database alone is in order then; the checkpoint is not"""
    victim, doomed = sequence_at(601), [sequence_at(position) for position in (601, 700)]
    as_superuser(("DELETE FROM audit_accessevent WHERE sequence BETWEEN %s AND %s", doomed))
    if tables == 2:
        as_superuser("DELETE FROM audit_sealedevent WHERE position > 600")
        with pytest.raises(TrailAltered, match=r"700 events were sealed at .*, and 600 are left"):
            checkpoint(log.folder, log.signer)
    report = log.verify()
    assert (report.findings[0].position, report.findings[0].sequence) == (601, victim)
    assert [finding.position for finding in report.findings] == list(range(601, 701))


def test_after_the_newest_are_deleted_the_trail_goes_on_and_still_shows_it(log: Log) -> None:
    as_superuser(
        "DELETE FROM audit_accessevent WHERE sequence > (SELECT sequence FROM audit_sealedevent WHERE position = 600)",
        "DELETE FROM audit_sealedevent WHERE position > 600",
    )
    log.grow(200, sign=False)
    with pytest.raises(TrailAltered, match="the first 700 events are not those"):
        checkpoint(log.folder, log.signer)
    assert first(log)[0] == 601


def swap(one: int, other: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE audit_sealedevent SET position = -position WHERE position IN (%s, %s)", [one, other])
        for now, then in ((one, other), (other, one)):
            cursor.execute("UPDATE audit_sealedevent SET position = %s WHERE position = %s", [then, -now])


@pytest.mark.parametrize("hashes_too", [False, True])
def test_two_are_swapped(log: Log, hashes_too: bool) -> None:
    """(d) the events' contents, or their places with their hashes"""
    here, there = sequence_at(350), sequence_at(360)
    if hashes_too:
        as_superuser(lambda: swap(350, 360))
    else:
        as_superuser(
            ("UPDATE audit_accessevent SET sequence = -1 WHERE sequence = %s", [here]),
            ("UPDATE audit_accessevent SET sequence = %s WHERE sequence = %s", [here, there]),
            ("UPDATE audit_accessevent SET sequence = %s WHERE sequence = -1", [there]),
        )
    report = log.verify()
    assert [finding.position for finding in report.findings] == [350, 360]


def test_one_is_inserted_with_a_hash_that_looks_right(log: Log) -> None:
    """(e) everything behind it moved by one, and all hashes made anew"""
    [(new,)] = rows(f"{COPY_OF_THE_FIRST} RETURNING sequence")
    as_superuser(
        "UPDATE audit_sealedevent SET position = -position - 1 WHERE position >= 400",
        "UPDATE audit_sealedevent SET position = -position WHERE position < 0",
        ("INSERT INTO audit_sealedevent (position, sequence, leaf_hash) VALUES (400, %s, '')", [new]),
        "DELETE FROM audit_unsealedevent",
        hash_everything_anew,
    )
    assert first(log)[0] == 400


def test_one_is_slipped_in_beside_the_log(log: Log) -> None:
    """(e) without a place in the log"""
    trigger = "ALTER TABLE audit_accessevent {} TRIGGER access_event_await_sealing"
    as_superuser(trigger.format("DISABLE"), COPY_OF_THE_FIRST, trigger.format("ENABLE ALWAYS"))
    [(new,)] = rows("SELECT max(sequence) FROM audit_accessevent")
    report = log.verify()
    assert [(f.position, f.sequence) for f in report.findings] == [(None, new)]
    assert "slipped in" in report.findings[0].text


def test_all_hashes_are_made_anew_after_an_edit(log: Log) -> None:
    """(f) the database is in order by itself"""
    victim = sequence_at(555)
    as_superuser(("UPDATE audit_accessevent SET study_uids = '{}' WHERE sequence = %s", [victim]), hash_everything_anew)
    report = log.verify()
    assert [(f.position, f.sequence) for f in report.findings] == [(555, victim)]
    assert "another event stood here" in report.findings[0].text
    with pytest.raises(TrailAltered):
        log.grow(1)


def test_without_the_leaves_the_checkpoints_still_say_between_which(log: Log) -> None:
    for path in log.folder.path.glob("*/*.leaves"):
        path.unlink()
    as_superuser(
        ("UPDATE audit_accessevent SET study_uids = '{}' WHERE sequence = %s", [sequence_at(555)]), hash_everything_anew
    )
    position, _, text = first(log)
    assert position == 501
    assert "501 to 700" in text


def test_leaves_that_were_changed_convict_nobody(log: Log) -> None:
    path = sorted(log.folder.path.glob("*/*.leaves"))[1]
    path.write_bytes(bytes(path.stat().st_size))
    assert log.verify().findings == []
    as_superuser(
        ("UPDATE audit_accessevent SET bytes = 9 WHERE sequence = %s", [sequence_at(450)]), hash_everything_anew
    )
    assert first(log)[0] == 301, "not those zeros: the range of the checkpoint"


def test_a_changed_tree_is_found(log: Log) -> None:
    as_superuser("UPDATE audit_treenode SET hash = sha256('x') WHERE level = 8 AND index = 1")
    assert "level 8, number 1" in first(log)[2]
    with pytest.raises(TrailAltered):
        log.grow(1)


def test_a_changed_stored_hash_is_found(log: Log) -> None:
    as_superuser("UPDATE audit_sealedevent SET leaf_hash = sha256('x') WHERE position = 700")
    assert first(log)[0] == 700


def test_an_event_taken_away_before_it_was_sealed(log: Log) -> None:
    record([an_event(), an_event()])
    [(last,)] = rows("SELECT max(sequence) FROM audit_accessevent")
    as_superuser(("DELETE FROM audit_accessevent WHERE sequence = %s", [last]))
    report = log.verify()
    assert [(f.position, f.sequence) for f in report.findings] == [(None, last)]
    assert report.waiting == 1
    assert report.oldest_waiting_seconds is not None


def test_an_event_that_claims_to_be_older_is_pointed_out(log: Log) -> None:
    """Nothing proves that it is false; but it was not sealed when it says it happened."""
    record([an_event()])
    as_superuser(
        "UPDATE audit_accessevent SET recorded_at = now() - interval '3 days' WHERE sequence = (SELECT "
        "max(sequence) FROM audit_accessevent)"
    )
    log.grow(1)
    report = log.verify()
    assert report.findings == []
    assert report.late == 1
