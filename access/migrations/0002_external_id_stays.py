"""The identity of a person or a machine in the trail never changes."""

from django.db import migrations

KEEP = """
CREATE FUNCTION access_refuse_new_identity() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'external_id of % never changes', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER user_identity BEFORE UPDATE ON access_user FOR EACH ROW
    WHEN (OLD.external_id IS DISTINCT FROM NEW.external_id) EXECUTE FUNCTION access_refuse_new_identity();
CREATE TRIGGER client_identity BEFORE UPDATE ON access_client FOR EACH ROW
    WHEN (OLD.external_id IS DISTINCT FROM NEW.external_id) EXECUTE FUNCTION access_refuse_new_identity();
"""
FREE = """
DROP TRIGGER client_identity ON access_client;
DROP TRIGGER user_identity ON access_user;
DROP FUNCTION access_refuse_new_identity();
"""


class Migration(migrations.Migration):
    dependencies = [("access", "0001_initial")]
    operations = [migrations.RunSQL(KEEP, FREE)]
