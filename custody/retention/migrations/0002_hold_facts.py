"""A hold that is placed or released is told to the object store."""

from django.db import migrations

from custody.facts.triggers import PATIENT_FACTS, STUDY_FACTS, Wisher, create, drop

WISHERS = (
    Wisher(
        "archive_legalhold",
        STUDY_FACTS,
        "SELECT study_instance_uid FROM changed WHERE patient_id IS NULL",
        ("INSERT", "UPDATE"),
    ),
    Wisher(
        "archive_legalhold",
        PATIENT_FACTS,
        "SELECT patient_id::text FROM changed WHERE patient_id IS NOT NULL",
        ("INSERT", "UPDATE"),
    ),
)


class Migration(migrations.Migration):
    dependencies = [("retention", "0001_initial"), ("archive", "0010_legal_holds")]

    operations = [migrations.RunSQL("".join(map(create, WISHERS)), "".join(map(drop, WISHERS)))]
