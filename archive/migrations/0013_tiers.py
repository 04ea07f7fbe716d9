"""What lies in another tier than the hot one is found without reading all rows."""

from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.migrations.operations.base import Operation


class Migration(migrations.Migration):
    atomic = False

    dependencies: ClassVar = [("archive", "0012_block_crcs")]

    operations: ClassVar[list[Operation]] = [
        AddIndexConcurrently(
            model_name="instance",
            index=models.Index(
                fields=["series"],
                name="instance_tiered",
                condition=models.Q(object_key__regex=r"\.(warm|cold)\."),
                include=["object_size"],
            ),
        ),
    ]
