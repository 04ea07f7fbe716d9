"""Whose an original was that was dropped, found by its key: made while the table is written to."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # Alone, so that a kill leaves nothing that could not be done again.
    atomic = False

    dependencies = [("archive", "0013_tiers")]

    operations = [
        AddIndexConcurrently(
            model_name="droppedoriginal",
            index=models.Index(fields=["object_key"], name="dropped_object"),
        ),
    ]
