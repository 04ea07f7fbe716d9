"""Up to when rules were asked, who was told of alerts, and months of the trail that lie in archives."""

from typing import ClassVar

import django.db.models.functions.datetime
from django.db import migrations, models
from django.db.migrations.operations.base import Operation

# Where a month went is as little to be changed as what it held.
KEEP = """
CREATE TRIGGER audit_archivedpartition_keep_rows BEFORE UPDATE OR DELETE ON audit_archivedpartition
    FOR EACH ROW EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER audit_archivedpartition_keep_table BEFORE TRUNCATE ON audit_archivedpartition
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();
ALTER TABLE audit_archivedpartition ENABLE ALWAYS TRIGGER audit_archivedpartition_keep_rows;
ALTER TABLE audit_archivedpartition ENABLE ALWAYS TRIGGER audit_archivedpartition_keep_table;
"""
LET_GO = """
DROP TRIGGER audit_archivedpartition_keep_table ON audit_archivedpartition;
DROP TRIGGER audit_archivedpartition_keep_rows ON audit_archivedpartition;
"""
_NOW = django.db.models.functions.datetime.Now()


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("audit", "0005_outputs"),
    ]

    operations: ClassVar[list[Operation]] = [
        migrations.CreateModel(
            name="RuleAsked",
            fields=[
                ("rule", models.TextField(primary_key=True, serialize=False)),
                ("until", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="Notice",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "subject", "channel", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("subject", models.TextField()),
                ("channel", models.TextField()),
                ("told_at", models.DateTimeField(db_default=_NOW)),
            ],
        ),
        migrations.CreateModel(
            name="ArchivedPartition",
            fields=[
                ("name", models.TextField(primary_key=True, serialize=False)),
                ("low", models.DateTimeField(null=True)),
                ("high", models.DateTimeField()),
                ("events", models.BigIntegerField()),
                ("positions", models.JSONField(default=list)),
                ("file", models.TextField()),
                ("sha256", models.TextField()),
                ("detached_at", models.DateTimeField(db_default=_NOW)),
            ],
        ),
        migrations.RunSQL(KEEP, LET_GO),
    ]
