"""Old months leave the database only where that was asked for, and what left stays provable."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from pydantic import ValidationError

from audit.archive_models import ArchivedPartition
from audit.messages import Source
from audit.models import AccessEvent, UnsealedEvent
from audit.partitions import make_ahead, partitions
from audit.sealer import checkpoint, folder, own_signer
from audit.sealing import seal
from audit.sender import Sender
from audit.syslog import Receiver
from pacs_project.config import AuditConfig
from tests.audit.logs import as_superuser, rows
from tests.audit.test_partitions import record_at

pytestmark = pytest.mark.django_db
OLD, PART = [datetime(2010, 3, day, tzinfo=UTC) for day in (1, 15, 31)], "audit_accessevent_2010_03"
Prepare = Callable[..., None]


@pytest.fixture
def old_months(settings: Any, tmp_path: Path) -> None:
    """Three events of a March long ago, one of the April after it, one of now; sealed and signed."""
    audit = settings.PACS.audit.model_copy(update={"years": 6, "checkpoints": str(tmp_path / "checkpoints")})
    settings.PACS = settings.PACS.model_copy(update={"data": tmp_path, "audit": audit})
    make_ahead(date(2010, 3, 1))
    record_at(OLD[0], OLD[1], datetime(2010, 4, 1, tzinfo=UTC), OLD[2], datetime.now(UTC))
    seal()
    checkpoint(folder(), own_signer())


def run(*words: str) -> str:
    said = StringIO()
    call_command(*words, stdout=said)
    return said.getvalue()


def verified() -> None:
    call_command("audit_verify")


@pytest.mark.usefixtures("old_months")
class TestOldMonths:
    """Copied, checked, detached."""

    def test_only_told_first(self) -> None:
        assert PART in run("audit_partitions", "--detach", "--dry-run")
        assert AccessEvent.objects.filter(recorded_at__lt=OLD[2]).count() == 2
        assert not ArchivedPartition.objects.exists()

    def test_what_left_stays_provable(self, tmp_path: Path) -> None:
        (tmp_path / "audit-archive").mkdir(mode=0o755)
        assert "3 events" in run("audit_partitions", "--detach")
        assert AccessEvent.objects.filter(recorded_at__year=2010).count() == 0
        assert PART not in [part.name for part in partitions()]
        row = ArchivedPartition.objects.get(name=PART)
        assert (row.events, row.positions) == (3, [[1, 2], [4, 4]])
        assert (tmp_path / "audit-archive" / row.file).stat().st_mode & 0o077 == 0
        lines = gzip.decompress((tmp_path / "audit-archive" / row.file).read_bytes()).splitlines()
        assert [b'"request_id":"2010-03-' in line for line in lines] == [True] * 3
        told = AccessEvent.objects.filter(kind="configuration").order_by("sequence")
        assert next(row.sha256 in event.outcome_description for event in told)
        verified()
        seal()
        checkpoint(folder(), own_signer())
        verified()
        assert rows(f"SELECT count(*) FROM {PART}") == [(3,)], "the table itself is left to somebody's decision"  # noqa: S608
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE {PART}")
        verified()

    def test_what_left_is_not_told_to_be_gone(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """Single events are proved from the copy, and a receiver of syslog that comes later raises no alarm."""
        second = AccessEvent.objects.get(request_id="2010-03-15").sequence
        third = AccessEvent.objects.get(request_id="2010-03-31").sequence
        newest = AccessEvent.objects.latest("recorded_at").sequence
        run("audit_partitions", "--detach")
        for sequence, day in ((second, "2010-03-15"), (third, "2010-03-31")):
            assert json.loads(run("audit_proof", str(sequence)))["event"]["request_id"] == day
        sending = Sender(threading.Event(), Receiver("localhost", 1, None), Source("a", "b"), lambda _: {})
        assert [framed == b"" for _, framed in sending._batch()] == [True] * 4 + [False]
        assert "ALTERED" not in caplog.text
        (tmp_path / "audit-archive" / ArchivedPartition.objects.get(name=PART).file).unlink()
        with pytest.raises(CommandError, match="lies in an archive that is not here"):
            run("audit_proof", str(second))
        as_superuser(("DELETE FROM audit_accessevent WHERE sequence = %s", [newest]))
        sending._batch()
        assert "ALTERED" in caplog.text

    @pytest.mark.parametrize("harm", ["gone", "altered"])
    def test_an_archive_that_is_gone_or_altered_is_named(
        self, tmp_path: Path, harm: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        run("audit_partitions", "--detach")
        path = tmp_path / "audit-archive" / ArchivedPartition.objects.get(name=PART).file
        if harm == "gone":
            path.rename(tmp_path / path.name)
        else:
            path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()).replace(b"2010-03-15", b"2010-03-16")))
        with pytest.raises(CommandError):
            verified()
        assert path.name in capsys.readouterr().out
        if harm == "gone":
            with pytest.raises(CommandError):
                verified()
            (tmp_path / "elsewhere").mkdir()
            for each in path.parent.iterdir():
                each.rename(tmp_path / "elsewhere" / each.name)
            path = (tmp_path / path.name).rename(tmp_path / "elsewhere" / path.name)
            call_command("audit_verify", "--archives", str(path.parent))

    def test_a_row_of_an_archive_hides_no_deletion(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Somebody who owns the database deletes an event and says that it lies in an archive."""
        as_superuser(("DELETE FROM audit_accessevent WHERE request_id = %s", ["2010-04-01"]))
        ArchivedPartition.objects.create(
            name="audit_accessevent_2009_01", high=OLD[0], events=1, positions=[[3, 3]], file="x.gz", sha256="0"
        )
        with pytest.raises(CommandError):
            verified()
        assert "x.gz" in capsys.readouterr().out

    def test_not_before_it_is_sealed_and_signed(self) -> None:
        record_at(OLD[1])
        assert UnsealedEvent.objects.count() == 1
        with pytest.raises(CommandError, match="not sealed"):
            run("audit_partitions", "--detach")
        seal()
        with pytest.raises(CommandError, match="no signed checkpoint"):
            run("audit_partitions", "--detach")
        assert not ArchivedPartition.objects.exists()
        checkpoint(folder(), own_signer())
        run("audit_partitions", "--detach")

    def test_not_where_the_trail_was_altered(self) -> None:
        as_superuser(("UPDATE audit_accessevent SET outcome = 8 WHERE request_id = %s", ["2010-03-15"]))
        with pytest.raises(CommandError, match="not what it was"):
            run("audit_partitions", "--detach")
        assert not ArchivedPartition.objects.exists()

    def test_for_ever_unless_it_was_set(self, settings: Any) -> None:
        audit = settings.PACS.audit.model_copy(update={"years": None})
        settings.PACS = settings.PACS.model_copy(update={"audit": audit})
        with pytest.raises(CommandError, match="kept for ever"):
            run("audit_partitions", "--detach")
        assert "Nothing takes events away" in run("audit_partitions")

    @pytest.mark.parametrize("statement", ["UPDATE {} SET positions = '[]'", "DELETE FROM {}", "TRUNCATE {}"])
    def test_where_a_month_went_is_kept_as_well(self, statement: str) -> None:
        run("audit_partitions", "--detach")
        with (
            pytest.raises(DatabaseError, match="append-only"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement.format("audit_archivedpartition"))


def test_six_years_are_the_least() -> None:
    with pytest.raises(ValidationError):
        AuditConfig(years=5)
    assert AuditConfig(years=6).years == 6
