"""The trail in monthly partitions by ``recorded_at``; the table of before becomes the partition of the past.

Nothing is copied. What takes long (a check that all rows lie in the past, three indexes) is done beforehand while the
trail is written as ever; the exchange itself only renames and takes a moment under a lock. Each step may be repeated,
so a migration that was ended half way is simply run again.
"""

from datetime import datetime
from typing import Any, cast

import django.db.models.functions.datetime
from django.contrib.postgres.indexes import GinIndex
from django.db import migrations, models, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

QUEUE = """
CREATE OR REPLACE FUNCTION audit_await_sealing_together() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_unsealedevent (sequence) SELECT sequence FROM new_events;
    RETURN NULL;
END
$$;
"""
# What a parent can't give its partitions: triggers for statements that name a partition, and a unique sequence.
GUARD = """
CREATE OR REPLACE FUNCTION audit_guard_partition(part regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER access_event_keep_table BEFORE TRUNCATE ON %s
                    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change()', part);
    EXECUTE format('CREATE TRIGGER access_event_await_sealing AFTER INSERT ON %s REFERENCING NEW TABLE AS new_events
                    FOR EACH STATEMENT EXECUTE FUNCTION audit_await_sealing_together()', part);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER access_event_keep_rows', part);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER access_event_keep_table', part);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER access_event_await_sealing', part);
END
$$;
"""
VIEW = r"""
CREATE OR REPLACE VIEW audit_partition AS
SELECT c.oid::regclass AS name, bound = 'DEFAULT' AS is_default,
       CASE WHEN bound LIKE '%FROM (MINVALUE)%' THEN '-infinity'
            ELSE substring(bound FROM 'FROM \(''([^'']*)''\)') END::timestamptz AS low,
       substring(bound FROM 'TO \(''([^'']*)''\)')::timestamptz AS high
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid, pg_get_expr(c.relpartbound, c.oid) AS bound
WHERE i.inhparent = to_regclass('audit_accessevent');
"""
# Attaching, unlike CREATE TABLE ... PARTITION OF, lets others write meanwhile.
MAKE = """
CREATE OR REPLACE FUNCTION audit_make_partition(day date) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    month timestamp := date_trunc('month', day::timestamp);
    begins timestamptz := month AT TIME ZONE 'UTC';
    ends timestamptz := (month + interval '1 month') AT TIME ZONE 'UTC';
    part text := 'audit_accessevent_' || to_char(month, 'YYYY_MM');
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('audit_make_partition'));
    IF EXISTS (SELECT FROM audit_partition p WHERE NOT p.is_default AND p.low <= begins AND ends <= p.high) THEN
        RETURN NULL;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE audit_accessevent INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', part);
    EXECUTE format('CREATE UNIQUE INDEX ON %I (sequence)', part);
    EXECUTE format('ALTER TABLE audit_accessevent ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                   part, begins, ends);
    PERFORM audit_guard_partition(part::regclass);
    RETURN part;
END
$$;
CREATE OR REPLACE FUNCTION audit_make_rest() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    CREATE TABLE audit_accessevent_rest PARTITION OF audit_accessevent DEFAULT;
    CREATE UNIQUE INDEX ON audit_accessevent_rest (sequence);
    PERFORM audit_guard_partition('audit_accessevent_rest');
END
$$;
"""
# Events lie in the partition for the rest when no month was made for them: it becomes theirs, and there is a new rest.
ADOPT = """
CREATE OR REPLACE FUNCTION audit_adopt_rest() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    oldest timestamptz;
    newest timestamptz;
    begins timestamptz;
    ends timestamptz;
    part text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('audit_make_partition'));
    LOCK TABLE audit_accessevent IN ACCESS EXCLUSIVE MODE;
    SELECT min(recorded_at), max(recorded_at) INTO oldest, newest FROM audit_accessevent_rest;
    IF oldest IS NULL THEN
        RETURN NULL;
    END IF;
    begins := date_trunc('month', oldest AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
    ends := (date_trunc('month', newest AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC';
    SELECT coalesce(max(p.high), begins) INTO begins FROM audit_partition p WHERE p.high > begins AND p.high <= oldest;
    SELECT coalesce(min(p.low), ends) INTO ends FROM audit_partition p WHERE p.low < ends AND p.low > newest;
    IF EXISTS (SELECT FROM audit_partition p WHERE NOT p.is_default AND p.low < ends AND p.high > begins) THEN
        RETURN NULL;
    END IF;
    part := format('audit_accessevent_%s_to_%s', to_char(begins AT TIME ZONE 'UTC', 'YYYY_MM'),
                   to_char(newest AT TIME ZONE 'UTC', 'YYYY_MM'));
    ALTER TABLE audit_accessevent DETACH PARTITION audit_accessevent_rest;
    EXECUTE format('ALTER TABLE audit_accessevent_rest RENAME TO %I', part);
    EXECUTE format('ALTER TABLE audit_accessevent ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                   part, begins, ends);
    EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER access_event_keep_rows', part);
    PERFORM audit_make_rest();
    RETURN part;
END
$$;
"""
# From when to when the events of some sequences were recorded, in whole partitions: others needn't be looked at.
SPAN = """
CREATE OR REPLACE FUNCTION audit_span(first bigint, last bigint, OUT low timestamptz, OUT high timestamptz)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    part record;
    found_any boolean;
BEGIN
    FOR part IN SELECT * FROM audit_partition LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE sequence BETWEEN $1 AND $2)', part.name)
            INTO found_any USING first, last;
        IF found_any THEN
            low := least(low, CASE WHEN part.is_default THEN '-infinity' ELSE part.low END);
            high := greatest(high, CASE WHEN part.is_default THEN 'infinity' ELSE part.high END);
        END IF;
    END LOOP;
    low := coalesce(low, '-infinity');
    high := coalesce(high, 'infinity');
END
$$;
"""
# A margin, because the trail is written while the check and the indexes are made.
END_OF_THE_PAST = """
SELECT (date_trunc('month', (greatest(now(), max(recorded_at)) + interval '7 days') AT TIME ZONE 'UTC')
        + interval '1 month') AT TIME ZONE 'UTC' FROM audit_accessevent
"""
INDEXES = {
    "access_event_before_key": "CREATE UNIQUE INDEX CONCURRENTLY {} ON audit_accessevent (recorded_at, sequence)",
    "access_event_before_sequence": "CREATE UNIQUE INDEX CONCURRENTLY {} ON audit_accessevent (sequence)",
    "access_event_patients_before": "CREATE INDEX CONCURRENTLY {} ON audit_accessevent USING gin (patient_ids)",
    "access_event_activity_before": (
        "CREATE INDEX CONCURRENTLY {} ON audit_accessevent (recorded_at) WHERE kind IN ('started', 'stopped')"
    ),
}
DROP_TRIGGERS = """
DROP TRIGGER access_event_keep_rows ON audit_accessevent;
DROP TRIGGER access_event_keep_table ON audit_accessevent;
DROP TRIGGER access_event_await_sealing ON audit_accessevent;
"""
EXCHANGE = """
ALTER TABLE audit_accessevent RENAME TO audit_accessevent_before;
ALTER INDEX access_event_principal RENAME TO access_event_principal_before;
ALTER INDEX access_event_request RENAME TO access_event_request_before;
ALTER INDEX access_event_studies RENAME TO access_event_studies_before;
DROP INDEX access_event_time;
ALTER TABLE audit_accessevent_before DROP CONSTRAINT audit_accessevent_pkey;
ALTER TABLE audit_accessevent_before ALTER COLUMN sequence DROP IDENTITY;
CREATE SEQUENCE audit_accessevent_sequence_seq;
CREATE TABLE audit_accessevent (LIKE audit_accessevent_before INCLUDING DEFAULTS INCLUDING CONSTRAINTS)
    PARTITION BY RANGE (recorded_at);
ALTER TABLE audit_accessevent DROP CONSTRAINT IF EXISTS access_event_past;
ALTER SEQUENCE audit_accessevent_sequence_seq OWNED BY audit_accessevent.sequence;
ALTER TABLE audit_accessevent ALTER COLUMN sequence SET DEFAULT nextval('audit_accessevent_sequence_seq');
ALTER TABLE audit_accessevent_before ALTER COLUMN sequence SET DEFAULT nextval('audit_accessevent_sequence_seq');
ALTER TABLE audit_accessevent ADD CONSTRAINT audit_accessevent_pkey PRIMARY KEY (recorded_at, sequence);
CREATE INDEX access_event_principal ON audit_accessevent (principal_id, sequence DESC);
CREATE INDEX access_event_request ON audit_accessevent (request_id);
CREATE INDEX access_event_studies ON audit_accessevent USING gin (study_uids);
CREATE INDEX access_event_patients ON audit_accessevent USING gin (patient_ids);
CREATE INDEX access_event_activity ON audit_accessevent (recorded_at) WHERE kind IN ('started', 'stopped');
CREATE TRIGGER access_event_keep_rows BEFORE UPDATE OR DELETE ON audit_accessevent
    FOR EACH ROW EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER access_event_keep_table BEFORE TRUNCATE ON audit_accessevent
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER access_event_await_sealing AFTER INSERT ON audit_accessevent REFERENCING NEW TABLE AS new_events
    FOR EACH STATEMENT EXECUTE FUNCTION audit_await_sealing_together();
ALTER TABLE audit_accessevent ENABLE ALWAYS TRIGGER access_event_keep_rows;
ALTER TABLE audit_accessevent ENABLE ALWAYS TRIGGER access_event_keep_table;
ALTER TABLE audit_accessevent ENABLE ALWAYS TRIGGER access_event_await_sealing;
DROP FUNCTION audit_await_sealing();
"""
PAST = """
ALTER TABLE audit_accessevent_before
    ADD CONSTRAINT audit_accessevent_before_pkey PRIMARY KEY USING INDEX access_event_before_key;
ALTER TABLE audit_accessevent ATTACH PARTITION audit_accessevent_before FOR VALUES FROM (MINVALUE) TO (%s);
ALTER TABLE audit_accessevent_before DROP CONSTRAINT access_event_past;
SELECT audit_guard_partition('audit_accessevent_before');
"""
# Whoever could read the table still can; and whoever could write, which took no right to an identity's sequence.
RIGHTS = """
DO $$
DECLARE
    given record;
BEGIN
    FOR given IN
        SELECT a.grantee, a.privilege_type, a.is_grantable FROM pg_class c, aclexplode(c.relacl) a
        WHERE c.oid = 'audit_accessevent_before'::regclass AND a.grantee <> c.relowner
    LOOP
        EXECUTE format('GRANT %s ON audit_accessevent TO %s%s', given.privilege_type,
                       CASE WHEN given.grantee = 0 THEN 'PUBLIC' ELSE given.grantee::regrole::text END,
                       CASE WHEN given.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
        IF given.privilege_type = 'INSERT' THEN
            EXECUTE format('GRANT USAGE ON SEQUENCE audit_accessevent_sequence_seq TO %s',
                           CASE WHEN given.grantee = 0 THEN 'PUBLIC' ELSE given.grantee::regrole::text END);
        END IF;
    END LOOP;
END
$$;
"""


def convert(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Make the trail a partitioned table, with its rows as the partition of the past if it has any."""
    connection = editor.connection
    with connection.cursor() as cursor:
        cursor.execute("SELECT relkind = 'p' FROM pg_class WHERE oid = 'audit_accessevent'::regclass")
        if cursor.fetchone()[0]:
            return
        cursor.execute("SET statement_timeout = 0")
        try:
            cursor.execute("SELECT EXISTS (SELECT FROM audit_accessevent)")
            [kept] = cursor.fetchone()
            past = _prepare(cursor) if kept else None
            with transaction.atomic(using=connection.alias):
                _exchange(cursor, past)
        finally:
            cursor.execute("RESET statement_timeout")


def _prepare(cursor: Any) -> datetime:
    """While others write: a check that needs no further look at the rows, and the indexes that are missing."""
    cursor.execute("ALTER TABLE audit_accessevent DROP CONSTRAINT IF EXISTS access_event_past")
    cursor.execute(END_OF_THE_PAST)
    [past] = cursor.fetchone()
    cursor.execute(
        "ALTER TABLE audit_accessevent ADD CONSTRAINT access_event_past CHECK (recorded_at < %s) NOT VALID", [past]
    )
    cursor.execute("ALTER TABLE audit_accessevent VALIDATE CONSTRAINT access_event_past")
    for name, statement in INDEXES.items():
        cursor.execute(f"DROP INDEX IF EXISTS {name}")
        cursor.execute(statement.format(name))
    return cast(datetime, past)


def _exchange(cursor: Any, past: datetime | None) -> None:
    cursor.execute("LOCK TABLE audit_accessevent IN ACCESS EXCLUSIVE MODE")
    cursor.execute("SELECT last_value, is_called FROM audit_accessevent_sequence_seq")
    last = cursor.fetchone()
    cursor.execute(QUEUE + GUARD)
    cursor.execute(DROP_TRIGGERS + EXCHANGE)
    cursor.execute("SELECT setval('audit_accessevent_sequence_seq', %s, %s)", last)
    cursor.execute(RIGHTS)
    for statement in (VIEW, MAKE, ADOPT, SPAN):
        cursor.execute(statement)
    if past is None:
        cursor.execute("DROP TABLE audit_accessevent_before")
    else:
        for statement in filter(str.strip, PAST.split(";")):
            cursor.execute(statement, [past] if "%s" in statement else None)
    cursor.execute("SELECT audit_make_rest()")
    cursor.execute(
        "SELECT audit_make_partition((now() AT TIME ZONE 'UTC' + make_interval(months => ahead))::date) "
        "FROM generate_series(0, 3) AS ahead"
    )


def make_counts(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Make the table of counted frames, unless a migration that was ended half way has made it."""
    model = apps.get_model("audit", "FrameRead")
    if model._meta.db_table not in editor.connection.introspection.table_names():
        editor.create_model(model)
    # Room in each page for the next version of its rows: counting touches no index then.
    editor.execute("ALTER TABLE audit_frameread SET (fillfactor = 50)")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("audit", "0003_log")]
    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(convert)],
            state_operations=[
                migrations.RemoveIndex("accessevent", "access_event_time"),
                migrations.AddIndex("accessevent", GinIndex(fields=["patient_ids"], name="access_event_patients")),
                migrations.AddIndex(
                    "accessevent",
                    models.Index(
                        condition=models.Q(("kind__in", ("started", "stopped"))),
                        fields=["recorded_at"],
                        name="access_event_activity",
                    ),
                ),
            ],
        ),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.CreateModel(
                    name="FrameRead",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "opened_by",
                                "series_uid",
                                "backend",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("opened_by", models.BigIntegerField()),
                        ("series_uid", models.TextField()),
                        ("backend", models.IntegerField()),
                        ("opened_at", models.DateTimeField()),
                        ("answers", models.BigIntegerField()),
                        ("frames", models.BigIntegerField()),
                        ("bytes", models.BigIntegerField()),
                        ("last_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                    ],
                ),
            ],
        ),
        migrations.RunPython(make_counts),
    ]
