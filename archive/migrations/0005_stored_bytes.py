"""Bytes of the objects that are kept, counted by triggers where their rows come and go (``archive.quota``)."""

from django.db import migrations, models

# After TRUNCATE there is nothing left to be counted but what the other table has.
_COUNT = """
CREATE FUNCTION archive_count_stored_bytes() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    change bigint;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM archive_storedbytes;
        SELECT COALESCE((SELECT sum(object_size) FROM archive_instance), 0)
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
_UNCOUNT = "DROP FUNCTION archive_count_stored_bytes() CASCADE;"


def _triggers(table: str, column: str, *, changes: bool) -> str:
    events = {"INSERT": "REFERENCING NEW TABLE AS came", "DELETE": "REFERENCING OLD TABLE AS went", "TRUNCATE": ""}
    if changes:
        events["UPDATE"] = "REFERENCING OLD TABLE AS went NEW TABLE AS came"
    return "".join(
        f"CREATE TRIGGER stored_bytes_{event.lower()} AFTER {event} ON {table} {rows} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION archive_count_stored_bytes('{column}');\n"
        for event, rows in events.items()
    )


_BEGIN = """
INSERT INTO archive_storedbytes (slot, bytes)
SELECT 0, COALESCE((SELECT sum(object_size) FROM archive_instance), 0)
    + COALESCE((SELECT sum(size) FROM archive_deletedobject), 0);
"""


class Migration(migrations.Migration):
    dependencies = [("archive", "0004_extended_tags")]

    operations = [
        migrations.CreateModel(
            name="StoredBytes",
            fields=[
                ("slot", models.SmallIntegerField(primary_key=True, serialize=False)),
                ("bytes", models.BigIntegerField()),
            ],
        ),
        migrations.RunSQL(_COUNT, _UNCOUNT),
        # An object's row is written once; that of a deleted one may be written over by a later deletion.
        migrations.RunSQL(_triggers("archive_instance", "object_size", changes=False), migrations.RunSQL.noop),
        migrations.RunSQL(_triggers("archive_deletedobject", "size", changes=True), migrations.RunSQL.noop),
        migrations.RunSQL(_BEGIN, migrations.RunSQL.noop),
    ]
