"""CRCs of the blocks of objects, those of thumbnails, and which objects lie in a second store.

No row is rewritten: what came before has no CRCs until a scrub has counted them.
"""

import django.db.models.functions.datetime
from django.db import migrations, models

# Out of line and as they are where they are long: checksums can't be compressed.
_STORAGE = """
ALTER TABLE archive_instance ALTER COLUMN block_crcs SET STORAGE EXTERNAL;
ALTER TABLE archive_representation ALTER COLUMN block_crcs SET STORAGE EXTERNAL;
"""


class Migration(migrations.Migration):

    dependencies = [
        ("archive", "0011_study_usage"),
    ]

    operations = [
        migrations.AddField("instance", "block_crcs", models.BinaryField(null=True)),
        migrations.AddField("representation", "block_crcs", models.BinaryField(null=True)),
        migrations.AddField("thumbnailpack", "crcs", models.BinaryField(null=True)),
        migrations.RunSQL(_STORAGE, migrations.RunSQL.noop),
        migrations.CreateModel(
            name="SecondCopy",
            fields=[
                ("instance", models.BigIntegerField(primary_key=True, serialize=False)),
                ("object_key", models.TextField()),
                ("made_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={"verbose_name_plural": "second copies"},
        ),
    ]
