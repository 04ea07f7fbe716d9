"""A written AccessEvent stays as it is: triggers refuse UPDATE, DELETE and TRUNCATE, in every replication role."""

from django.db import migrations

REFUSE = """
CREATE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the access trail is append-only: % refused on %', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER access_event_keep_rows BEFORE UPDATE OR DELETE ON audit_accessevent
    FOR EACH ROW EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER access_event_keep_table BEFORE TRUNCATE ON audit_accessevent
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();
ALTER TABLE audit_accessevent ENABLE ALWAYS TRIGGER access_event_keep_rows;
ALTER TABLE audit_accessevent ENABLE ALWAYS TRIGGER access_event_keep_table;
"""
ALLOW = """
DROP TRIGGER access_event_keep_table ON audit_accessevent;
DROP TRIGGER access_event_keep_rows ON audit_accessevent;
DROP FUNCTION audit_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]
    operations = [migrations.RunSQL(REFUSE, ALLOW)]
