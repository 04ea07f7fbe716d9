"""Facts documents and rebuilds; wishes for facts where what they are made of changes; a walk through what is stored."""

from django.db import migrations, models
from django.db.models.functions import Now

from custody.facts.triggers import ARCHIVE_FACTS, PATIENT_FACTS, STUDY_FACTS, Wisher, create, drop

_OF_INSTANCE = (
    "SELECT s.study_instance_uid FROM changed c JOIN archive_instance i ON i.id = c.instance_id "
    "JOIN archive_series e ON e.id = i.series_id JOIN archive_study s ON s.id = e.study_id"
)
# No join of the two: its plan is made at the first change in a session, which is small, and then serves large ones.
_MOVED = (
    "SELECT s.study_instance_uid FROM ("
    "SELECT series_id, id, object_key FROM changed EXCEPT SELECT series_id, id, object_key FROM was) AS c "
    "JOIN archive_series e ON e.id = c.series_id JOIN archive_study s ON s.id = e.study_id"
)
_UID = "SELECT study_instance_uid FROM changed"
WISHERS = (
    # Every Store, deletion, merge and quarantine changes the row of its study.
    Wisher("archive_study", STUDY_FACTS, _UID),
    Wisher("archive_representation", STUDY_FACTS, _OF_INSTANCE),
    # Another tier, another seal, or a representation in its place.
    Wisher("archive_instance", STUDY_FACTS, _MOVED, ("UPDATE",)),
    Wisher("archive_droppedoriginal", STUDY_FACTS, _UID, ("INSERT",)),
    Wisher("archive_deletedobject", STUDY_FACTS, _UID, ("INSERT", "DELETE")),
    Wisher(
        "archive_deletedobject", STUDY_FACTS, f"{_UID} UNION SELECT study_instance_uid FROM was", ("UPDATE",)
    ),
    Wisher("access_deletedstudy", STUDY_FACTS, _UID, ("INSERT", "UPDATE")),
    Wisher("access_restriction", STUDY_FACTS, _UID),
    Wisher("access_restriction", PATIENT_FACTS, "SELECT patient_id::text FROM changed WHERE patient_id IS NOT NULL"),
    # What a Store says of a patient stands with the study.
    Wisher(
        "archive_patient",
        PATIENT_FACTS,
        "SELECT id::text FROM changed WHERE merged_into_id IS NOT NULL OR told <> '{}' OR event_at IS NOT NULL",
        ("INSERT",),
    ),
    Wisher("archive_patient", PATIENT_FACTS, "SELECT id::text FROM changed", ("UPDATE",)),
    Wisher(
        "archive_attributeoverride", PATIENT_FACTS, "SELECT uid FROM changed WHERE level = 'patient'", ("INSERT",)
    ),
    Wisher("archive_attributeoverride", STUDY_FACTS, "SELECT uid FROM changed WHERE level = 'study'", ("INSERT",)),
    Wisher("archive_patientlink", PATIENT_FACTS, "SELECT one_id::text FROM changed", ("INSERT", "DELETE")),
    Wisher("archive_extendedtag", ARCHIVE_FACTS, "SELECT 'tags' FROM changed"),
)
# What was stored before has none yet: a task walks through it.
_WALK = """
    INSERT INTO archive_outboxentry (kind, subject, generation, attempts, dead, last_error, not_before)
    SELECT 'facts_walk', '0', 1, 0, false, '', statement_timestamp()
    WHERE EXISTS (SELECT FROM archive_study) OR EXISTS (SELECT FROM archive_patient)
    ON CONFLICT (kind, subject) DO NOTHING;
"""


class Migration(migrations.Migration):
    initial = True
    dependencies = [("archive", "0009_patients"), ("access", "0010_links")]

    operations = [
        migrations.CreateModel(
            name="FactsDocument",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.TextField()),
                ("subject", models.TextField(blank=True, db_collation="C", default="")),
                ("folder", models.TextField()),
                ("version", models.BigIntegerField(default=0)),
                ("object_key", models.TextField(null=True, unique=True)),
                ("digest", models.BinaryField(default=b"")),
                ("pending", models.TextField(blank=True, default="")),
                ("written_at", models.DateTimeField(db_default=Now())),
            ],
        ),
        migrations.CreateModel(
            name="Rebuild",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("mode", models.TextField()),
                ("started_at", models.DateTimeField(db_default=Now())),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                ("summary", models.JSONField(blank=True, default=dict)),
            ],
        ),
        migrations.AddConstraint(
            model_name="factsdocument",
            constraint=models.UniqueConstraint(fields=("kind", "subject"), name="facts_subject"),
        ),
        migrations.RunSQL("".join(map(create, WISHERS)) + _WALK, "".join(map(drop, WISHERS))),
    ]
