from django.db import migrations, models


class Migration(migrations.Migration):
    """Further kinds; no statement."""

    dependencies = [("integrity", "0001_initial")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    model_name="finding",
                    name="kind",
                    field=models.TextField(
                        choices=[
                            ("missing", "the object is missing"),
                            ("truncated", "the object is shorter than it was received"),
                            ("altered", "the object is not what was received"),
                            ("unreadable", "the object is there and can't be read"),
                            ("copy_missing", "the second copy is missing"),
                            ("copy_truncated", "the second copy is too short"),
                            ("copy_altered", "the second copy is not what was received"),
                            ("copy_unreadable", "the second copy is there and can't be read"),
                            ("unremovable", "the object was deleted and can't be removed"),
                            ("disagrees", "the index says other than the object"),
                        ]
                    ),
                ),
            ]
        )
    ]
