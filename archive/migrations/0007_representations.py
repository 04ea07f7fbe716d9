"""Instances in a second transfer syntax, what was tried in vain, and originals that were dropped.

The objects of representations are counted in ``archive_storedbytes`` as those of instances are; and an instance's row
may now change its object, when a representation takes the place of what was received.
"""

from typing import ClassVar

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models
from django.db.migrations.operations.base import Operation

_COUNT = """
CREATE OR REPLACE FUNCTION archive_count_stored_bytes() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    change bigint;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM archive_storedbytes;
        SELECT COALESCE((SELECT sum(object_size) FROM archive_instance), 0)
            {representations}
            + COALESCE((SELECT sum(size) FROM archive_deletedobject), 0) INTO change;
    ELSIF TG_OP = 'UPDATE' THEN
        EXECUTE format('SELECT COALESCE((SELECT sum(%1$I) FROM came), 0) - COALESCE((SELECT sum(%1$I) FROM went), 0)',
            TG_ARGV[0]) INTO change;
    ELSIF TG_OP = 'INSERT' THEN
        EXECUTE format('SELECT COALESCE(sum(%I), 0) FROM came', TG_ARGV[0]) INTO change;
    ELSE
        EXECUTE format('SELECT -COALESCE(sum(%I), 0) FROM went', TG_ARGV[0]) INTO change;
    END IF;
    IF change <> 0 THEN
        INSERT INTO archive_storedbytes (slot, bytes) VALUES (pg_backend_pid() % 16, change)
        ON CONFLICT (slot) DO UPDATE SET bytes = archive_storedbytes.bytes + EXCLUDED.bytes;
    END IF;
    RETURN NULL;
END $$;
"""
_ALSO = "+ COALESCE((SELECT sum(object_size) FROM archive_representation), 0)"
_TRIGGERS = """
CREATE TRIGGER stored_bytes_insert AFTER INSERT ON archive_representation REFERENCING NEW TABLE AS came
    FOR EACH STATEMENT EXECUTE FUNCTION archive_count_stored_bytes('object_size');
CREATE TRIGGER stored_bytes_delete AFTER DELETE ON archive_representation REFERENCING OLD TABLE AS went
    FOR EACH STATEMENT EXECUTE FUNCTION archive_count_stored_bytes('object_size');
CREATE TRIGGER stored_bytes_truncate AFTER TRUNCATE ON archive_representation
    FOR EACH STATEMENT EXECUTE FUNCTION archive_count_stored_bytes('object_size');
CREATE TRIGGER stored_bytes_update AFTER UPDATE ON archive_instance
    REFERENCING OLD TABLE AS went NEW TABLE AS came
    FOR EACH STATEMENT EXECUTE FUNCTION archive_count_stored_bytes('object_size');
"""
_NO_TRIGGERS = """
DROP TRIGGER stored_bytes_update ON archive_instance;
DROP TRIGGER stored_bytes_truncate ON archive_representation;
DROP TRIGGER stored_bytes_delete ON archive_representation;
DROP TRIGGER stored_bytes_insert ON archive_representation;
"""


def _id() -> tuple[str, models.Field]:
    return "id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")


def _uid() -> models.Field:
    return models.TextField(db_collation="C")


def _now() -> models.Field:
    return models.DateTimeField(db_default=django.db.models.functions.datetime.Now())


def _instance(name: str) -> tuple[str, models.Field]:
    cascade = django.db.models.deletion.CASCADE
    return "instance", models.ForeignKey(on_delete=cascade, related_name=name, to="archive.instance")


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("archive", "0006_scopes"),
    ]

    operations: ClassVar[list[Operation]] = [
        migrations.CreateModel(
            name="Representation",
            fields=[
                _id(),
                ("transfer_syntax_uid", _uid()),
                ("object_key", models.TextField(unique=True)),
                ("object_size", models.BigIntegerField()),
                ("object_sha256", models.BinaryField()),
                ("header_length", models.BigIntegerField()),
                ("pixels", models.JSONField()),
                ("frame_table", models.BinaryField()),
                ("changed", models.JSONField(default=dict)),
                ("exact", models.BooleanField()),
                ("source_sha256", models.BinaryField()),
                ("source_size", models.BigIntegerField()),
                ("made_at", _now()),
                ("verified_at", _now()),
                _instance("representations"),
            ],
            options={
                "indexes": [models.Index(fields=["made_at"], name="representation_age")],
                "constraints": [
                    models.UniqueConstraint(fields=("instance", "transfer_syntax_uid"), name="representation_identity")
                ],
            },
        ),
        migrations.CreateModel(
            name="TranscodingAttempt",
            fields=[
                _id(),
                ("transfer_syntax_uid", _uid()),
                ("tries", models.IntegerField(default=0)),
                ("outcome", models.TextField(blank=True, default="")),
                ("reason", models.TextField(blank=True, default="")),
                ("size", models.BigIntegerField(default=0)),
                ("updated_at", _now()),
                _instance("transcoding_attempts"),
            ],
            options={
                "indexes": [models.Index(fields=["outcome", "instance"], name="transcoding_outcome")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("instance", "transfer_syntax_uid"), name="transcoding_attempt_identity"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="DroppedOriginal",
            fields=[
                _id(),
                ("sop_instance_uid", _uid()),
                ("study_instance_uid", _uid()),
                ("transfer_syntax_uid", _uid()),
                ("object_key", models.TextField()),
                ("object_size", models.BigIntegerField()),
                ("object_sha256", models.BinaryField()),
                ("stored_transfer_syntax_uid", _uid()),
                ("stored_sha256", models.BinaryField()),
                ("number_of_frames", models.BigIntegerField()),
                ("changed", models.JSONField(default=dict)),
                ("verified_at", models.DateTimeField()),
                ("dropped_at", _now()),
            ],
            options={"indexes": [models.Index(fields=["sop_instance_uid"], name="dropped_instance")]},
        ),
        migrations.CreateModel(name="TranscodingPause", fields=[_id(), ("since", _now())]),
        migrations.RunSQL(_COUNT.replace("{representations}", _ALSO), _COUNT.replace("{representations}", "")),
        migrations.RunSQL(_TRIGGERS, _NO_TRIGGERS),
    ]
