"""Updates without downtime: what migrations may do, held for those of today and shown to find what they may not."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation

from tests.architecture.migration_policy import EXCEPTIONS, RELEASED, findings, of_migration
from tests.architecture.test_house import ROOT


def test_every_migration_since_the_last_release_expands_only() -> None:
    ours = {config.label for config in apps.get_app_configs() if ROOT in (ROOT / config.path).parents}
    ours = {label for label in ours if ".venv" not in apps.get_app_config(label).path}
    assert {"archive", "audit", "backups"} <= ours
    found = [f"{each.app} {each.migration} {each.text}" for each in findings(MigrationLoader(None), ours)]
    assert found == []


def test_what_is_named_is_there() -> None:
    known = set(MigrationLoader(None).disk_migrations)
    assert {*RELEASED.items(), *EXCEPTIONS} <= known


def made(*operations: Operation, atomic: bool = True) -> list[str]:
    migration = type("Next", (migrations.Migration,), {"operations": list(operations), "atomic": atomic})
    return list(of_migration(migration("0002_next", "archive")))


INDEX = models.Index(fields=["study_date"], name="study_by_date")
TEXT = models.TextField(null=True)
WRONG: dict[str, list[Operation]] = {
    "neither nullable nor has a db_default": [migrations.AddField("study", "mark", models.TextField(default=""))],
    "with an index": [migrations.AddField("study", "mark", models.TextField(null=True, db_index=True))],
    "with a foreign key": [
        migrations.AddField(
            "study", "twin", models.ForeignKey("archive.Study", models.PROTECT, null=True, db_index=False)
        )
    ],
    "alters study.study_date": [migrations.AlterField("study", "study_date", models.IntegerField())],
    "under a lock: AddIndexConcurrently": [migrations.AddIndex("study", INDEX)],
    "checks no_past": [
        migrations.AddConstraint("study", models.CheckConstraint(condition=models.Q(id__gt=0), name="no_past"))
    ],
    "takes something away": [migrations.RemoveField("study", "study_date")],
    "Rename field": [migrations.RenameField("study", "study_date", "date")],
    "has DROP COLUMN": [migrations.RunSQL("ALTER TABLE archive_study\n  DROP COLUMN study_date")],
    "has SET NOT NULL": [migrations.RunSQL([("ALTER TABLE archive_study ALTER study_date SET NOT NULL", None)])],
}


@pytest.mark.parametrize("words", WRONG)
def test_what_a_migration_may_not_do_is_found(words: str) -> None:
    assert any(words in text for text in made(*WRONG[words])), made(*WRONG[words])


def test_what_is_done_beside_others_is_all_right() -> None:
    new_table = migrations.CreateModel("Mark", [("id", models.BigAutoField(primary_key=True)), ("text", TEXT)])
    assert made(migrations.AddField("study", "mark", TEXT)) == []
    assert made(migrations.AddField("study", "marked", models.BooleanField(db_default=False))) == []
    assert made(new_table, migrations.AddIndex("mark", models.Index(fields=["text"], name="mark_text"))) == []
    assert made(AddIndexConcurrently("study", INDEX), atomic=False) == []


def test_what_is_not_atomic_can_be_repeated() -> None:
    [text] = made(migrations.AddField("study", "mark", TEXT), AddIndexConcurrently("study", INDEX), atomic=False)
    assert "a kill may leave a part of it" in text
