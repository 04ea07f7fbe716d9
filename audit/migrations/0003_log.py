"""The log that seals the trail: what waits, what is sealed, the tree; written rows stay as they are."""

import django.db.models.functions.datetime
from django.db import migrations, models

KEPT = ("audit_sealedevent", "audit_treenode")
KEEP = """
CREATE TRIGGER {table}_keep_rows BEFORE UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER {table}_keep_table BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();
ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_keep_rows;
ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_keep_table;
"""
LET_GO = """
DROP TRIGGER {table}_keep_table ON {table};
DROP TRIGGER {table}_keep_rows ON {table};
"""
QUEUE = """
CREATE FUNCTION audit_await_sealing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_unsealedevent (sequence) VALUES (NEW.sequence);
    RETURN NULL;
END
$$;
LOCK TABLE audit_accessevent IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO audit_unsealedevent (sequence) SELECT sequence FROM audit_accessevent;
CREATE TRIGGER access_event_await_sealing AFTER INSERT ON audit_accessevent
    FOR EACH ROW EXECUTE FUNCTION audit_await_sealing();
ALTER TABLE audit_accessevent ENABLE ALWAYS TRIGGER access_event_await_sealing;
"""
UNQUEUE = """
DROP TRIGGER access_event_await_sealing ON audit_accessevent;
DROP FUNCTION audit_await_sealing();
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_append_only")]
    operations = [
        migrations.CreateModel(
            name="UnsealedEvent",
            fields=[("sequence", models.BigIntegerField(primary_key=True, serialize=False))],
        ),
        migrations.CreateModel(
            name="SealedEvent",
            fields=[
                ("position", models.BigIntegerField(primary_key=True, serialize=False)),
                ("sequence", models.BigIntegerField(unique=True)),
                ("leaf_hash", models.BinaryField()),
                ("sealed_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.CreateModel(
            name="TreeNode",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey("level", "index", blank=True, editable=False, primary_key=True, serialize=False),
                ),
                ("level", models.SmallIntegerField()),
                ("index", models.BigIntegerField()),
                ("hash", models.BinaryField()),
            ],
        ),
        *[migrations.RunSQL(KEEP.format(table=table), LET_GO.format(table=table)) for table in KEPT],
        migrations.RunSQL(QUEUE, UNQUEUE),
    ]
