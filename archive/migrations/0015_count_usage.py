"""What each study takes that was there before 0011: counted study by study, while it is used. It may be repeated."""

import time

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


# How often a step is tried whose studies are held by others for longer than a migration waits for a lock.
_ATTEMPTS = 300


def _count_what_is_there(apps, schema_editor):  # type: ignore[no-untyped-def]
    """Whoever stores or deletes has the study locked, so that what is counted here is exact."""
    last = 0
    while last is not None:
        last = _patiently(schema_editor.connection, last)


def _patiently(connection, last):  # type: ignore[no-untyped-def]
    """One step, again where somebody else has one of its studies: what was counted before it is not counted anew."""
    from django.db import OperationalError
    from psycopg.errors import DeadlockDetected, LockNotAvailable

    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _step(connection, last)
        except OperationalError as error:
            if attempt == _ATTEMPTS or not isinstance(error.__cause__, LockNotAvailable | DeadlockDetected):
                raise
        time.sleep(1)


def _step(connection, last):  # type: ignore[no-untyped-def]
    """The primary key of the last study that is counted now; None where there was none any more."""
    from django.db import transaction

    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(_NEXT, [last, _STEP])
        pks = [pk for (pk,) in cursor.fetchall()]
        if not pks:
            return None
        cursor.execute(_HOLD, [pks])
        cursor.execute(_RECOUNT, [pks])
        return pks[-1]


class Migration(migrations.Migration):
    # Each step is a transaction of its own: nobody waits for all of them.
    atomic = False

    dependencies = [("archive", "0014_dropped_object_index")]

    operations = [migrations.RunPython(_count_what_is_there, migrations.RunPython.noop)]
