"""Writing into the trail as functions of the database: planned once a connection, and waiting no longer than told, in
one round trip. Whoever may insert into the trail may call them, and nobody else gets anything out of them.
"""

from typing import ClassVar

from django.db import migrations
from django.db.migrations.operations.base import Operation

# What is set within a function that sets the same is over when the function is.
RECORD = """
CREATE FUNCTION audit_record(events json, longest_wait text)
    RETURNS TABLE (sequence bigint, recorded_at timestamptz)
    LANGUAGE plpgsql SET lock_timeout = '2s' AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('lock_timeout', longest_wait, true);
    RETURN QUERY INSERT INTO audit_accessevent (
        action, auth_method, bytes, decision, instance_count, instance_uid, kind, method, outcome, outcome_description,
        path, patient_ids, principal_id, principal_kind, principal_name, purpose, query, request_id, roles, rule,
        series_uid, source_ip, study_uids, token_id, user_agent)
    SELECT
        action, auth_method, bytes, decision, instance_count, instance_uid, kind, method, outcome, outcome_description,
        path, patient_ids, principal_id, principal_kind, principal_name, purpose, query, request_id, roles, rule,
        series_uid, source_ip, study_uids, token_id, user_agent
    FROM json_populate_recordset(NULL::audit_accessevent, events)
    RETURNING sequence, recorded_at;
END
$$;
"""
# A trail into which nothing may be inserted is not read around: whoever lost that right counts nothing either.
COUNT_FRAMES = """
CREATE FUNCTION audit_count_frames(counts json, longest_wait text) RETURNS bigint
    LANGUAGE plpgsql SET lock_timeout = '2s' AS $$
#variable_conflict use_column
DECLARE
    counted bigint;
BEGIN
    PERFORM set_config('lock_timeout', longest_wait, true);
    INSERT INTO audit_frameread AS r (opened_by, series_uid, backend, opened_at, answers, frames, bytes)
    SELECT opened_by, series_uid, pg_backend_pid(), opened_at, answers, frames, bytes
    FROM json_to_recordset(counts) AS c (opened_by bigint, series_uid text, opened_at timestamptz, answers bigint,
                                         frames bigint, bytes bigint)
    WHERE has_table_privilege('audit_accessevent', 'INSERT')
    ON CONFLICT (opened_by, series_uid, backend) DO UPDATE SET answers = r.answers + excluded.answers,
        frames = r.frames + excluded.frames, bytes = r.bytes + excluded.bytes, last_at = excluded.last_at;
    GET DIAGNOSTICS counted = ROW_COUNT;
    RETURN counted;
END
$$;
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("audit", "0006_outcomes"),
    ]

    operations: ClassVar[list[Operation]] = [
        migrations.RunSQL(RECORD, "DROP FUNCTION audit_record(json, text);"),
        migrations.RunSQL(COUNT_FRAMES, "DROP FUNCTION audit_count_frames(json, text);"),
    ]
