"""What each study takes that was there before 0011: counted study by study, while it is used. It may be repeated."""

from django.db import migrations

_STEP = 500
_NEXT = "SELECT id FROM archive_study WHERE id > %s ORDER BY id LIMIT %s"
_HOLD = "SELECT id FROM archive_study WHERE id = ANY(%s) ORDER BY study_instance_uid FOR UPDATE"
_RECOUNT = """
    INSERT INTO archive_studyusage (study_id, modality, instances, bytes)
    SELECT e.study_id, e.modality, count(*), sum(i.object_size)
    FROM archive_series e JOIN archive_instance i ON i.series_id = e.id
    WHERE e.study_id = ANY(%s) GROUP BY e.study_id, e.modality ORDER BY e.study_id, e.modality
    ON CONFLICT (study_id, modality) DO UPDATE SET instances = EXCLUDED.instances, bytes = EXCLUDED.bytes
"""


def _count_what_is_there(apps, schema_editor):  # type: ignore[no-untyped-def]
    """Whoever stores or deletes has the study locked, so that what is counted here is exact."""
    from django.db import transaction

    last = 0
    while True:
        with transaction.atomic(), schema_editor.connection.cursor() as cursor:
            cursor.execute(_NEXT, [last, _STEP])
            pks = [pk for (pk,) in cursor.fetchall()]
            if not pks:
                return
            cursor.execute(_HOLD, [pks])
            cursor.execute(_RECOUNT, [pks])
            last = pks[-1]


class Migration(migrations.Migration):
    # Each step is a transaction of its own: nobody waits for all of them.
    atomic = False

    dependencies = [("archive", "0014_dropped_object_index")]

    operations = [migrations.RunPython(_count_what_is_there, migrations.RunPython.noop)]
