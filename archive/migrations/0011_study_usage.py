"""What each study takes, counted by triggers; 0015 counts what is there already."""

from django.db import migrations, models

_COUNT = """
CREATE FUNCTION archive_count_usage() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM archive_studyusage;
        RETURN NULL;
    END IF;
    IF TG_OP = 'INSERT' THEN
        INSERT INTO archive_studyusage (study_id, modality, instances, bytes)
        SELECT e.study_id, e.modality, count(*), sum(i.object_size)
        FROM came i JOIN archive_series e ON e.id = i.series_id
        GROUP BY e.study_id, e.modality ORDER BY e.study_id, e.modality
        ON CONFLICT (study_id, modality) DO UPDATE
            SET instances = archive_studyusage.instances + EXCLUDED.instances,
                bytes = archive_studyusage.bytes + EXCLUDED.bytes;
    ELSIF TG_OP = 'DELETE' THEN
        UPDATE archive_studyusage u SET instances = u.instances - k.n, bytes = u.bytes - k.size FROM (
            SELECT e.study_id, e.modality, count(*) AS n, sum(i.object_size)::bigint AS size
            FROM went i JOIN archive_series e ON e.id = i.series_id GROUP BY e.study_id, e.modality
        ) AS k WHERE u.study_id = k.study_id AND u.modality = k.modality;
        DELETE FROM archive_studyusage u USING went i JOIN archive_series e ON e.id = i.series_id
        WHERE u.study_id = e.study_id AND u.modality = e.modality AND u.instances <= 0;
    ELSE
        -- An instance keeps its series. Another tier, another seal or new checksums change no size: those who move,
        -- who hold no study, lock nothing here then.
        UPDATE archive_studyusage u SET bytes = u.bytes + k.size FROM (
            -- No join of the two: its plan is made at the first change in a session, which is small, and then serves
            -- large ones, row by row.
            SELECT e.study_id, e.modality, sum(d.size)::bigint AS size FROM (
                SELECT series_id, sum(object_size) AS size FROM (
                    SELECT series_id, object_size FROM came UNION ALL SELECT series_id, -object_size FROM went
                ) AS each GROUP BY series_id HAVING sum(object_size) <> 0
            ) AS d JOIN archive_series e ON e.id = d.series_id GROUP BY e.study_id, e.modality
        ) AS k WHERE u.study_id = k.study_id AND u.modality = k.modality;
    END IF;
    RETURN NULL;
END $$;
"""
_UNCOUNT = "DROP FUNCTION archive_count_usage() CASCADE;"
_EVENTS = {
    "INSERT": "REFERENCING NEW TABLE AS came",
    "UPDATE": "REFERENCING OLD TABLE AS went NEW TABLE AS came",
    "DELETE": "REFERENCING OLD TABLE AS went",
    "TRUNCATE": "",
}
# By their names they come before those of facts (`custody.facts.triggers`): whoever changes an instance locks what is
# counted first, then the outbox, as a Store does.
_TRIGGERS = "".join(
    f"CREATE TRIGGER count_usage_{event.lower()} AFTER {event} ON archive_instance {rows} "
    "FOR EACH STATEMENT EXECUTE FUNCTION archive_count_usage();\n"
    for event, rows in _EVENTS.items()
)


class Migration(migrations.Migration):
    dependencies = [("archive", "0010_legal_holds")]

    operations = [
        migrations.CreateModel(
            name="StudyUsage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("study_id", models.BigIntegerField()),
                ("modality", models.TextField(blank=True, db_collation="C")),
                ("instances", models.BigIntegerField()),
                ("bytes", models.BigIntegerField()),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("study_id", "modality"), name="usage_of_study")],
            },
        ),
        migrations.RunSQL(_COUNT, _UNCOUNT),
        migrations.RunSQL(_TRIGGERS, migrations.RunSQL.noop),
    ]
