"""Documents (MDM), attachments, orders that come after their report; and which studies reports are about, as a view."""

import django.db.models.deletion
from django.db import migrations, models

TEXT = {"blank": True, "db_collation": "C", "default": ""}
STATUS = [
    ("REQUESTED", "Requested"),
    ("DRAFT", "Draft"),
    ("PRELIMINARY", "Preliminary"),
    ("FINAL", "Final"),
    ("CORRECTED", "Corrected"),
    ("ADDENDED", "Addended"),
    ("CANCELLED", "Cancelled"),
    ("ENTERED_IN_ERROR", "Entered In Error"),
]
# Each way is written for both directions: the array's index serves what asks from a study, the study's what asks from
# a report. A later way counts only where the earlier ones find nothing.
VIEW = """
CREATE VIEW reports_reportstudy AS
WITH person AS NOT MATERIALIZED (
    SELECT report.*, COALESCE(patient.merged_into_id, patient.id) AS person_id
    FROM reports_report report JOIN archive_patient patient ON patient.id = report.patient_id)
SELECT person.id AS report_id, study.id AS study_id
FROM person JOIN archive_study study ON study.patient_id = person.person_id
    AND study.study_instance_uid = ANY (person.study_instance_uids)
    AND person.study_instance_uids @> ARRAY[study.study_instance_uid]
UNION ALL
SELECT person.id, study.id
FROM person JOIN archive_study study ON study.patient_id = person.person_id
    AND study.accession_number = ANY (person.accession_numbers)
    AND person.accession_numbers @> ARRAY[study.accession_number]
WHERE NOT EXISTS (
    SELECT 1 FROM archive_study named
    WHERE named.patient_id = person.person_id AND named.study_instance_uid = ANY (person.study_instance_uids))
UNION ALL
SELECT DISTINCT person.id, study.id
FROM person JOIN worklist_requestedprocedure procedure ON procedure.order_id = person.order_id
    JOIN worklist_studyorderlink link ON link.procedure_id = procedure.id
    JOIN archive_study study ON study.id = link.study_id AND study.patient_id = person.person_id
WHERE NOT EXISTS (
    SELECT 1 FROM archive_study named
    WHERE named.patient_id = person.person_id AND (
        named.study_instance_uid = ANY (person.study_instance_uids)
        OR named.accession_number = ANY (person.accession_numbers)))
"""


class Migration(migrations.Migration):

    dependencies = [
        ("archive", "0009_patients"),
        ("worklist", "0001_orders"),
        ("reports", "0001_reports"),
    ]

    operations = [
        migrations.AlterField("report", "status", models.TextField(choices=STATUS, default="REQUESTED")),
        migrations.AlterField("report", "issuer", models.TextField(**TEXT)),
        migrations.AlterField("reportversion", "status", models.TextField(choices=STATUS)),
        migrations.AddField(
            "report",
            "numbered_by",
            models.TextField(choices=[("order", "Order"), ("document", "Document")], db_default="order", default="order"),
        ),
        *(
            migrations.AddField(model, name, models.TextField(**TEXT))
            for model, name in (
                ("report", "placer_number"),
                ("report", "placer_issuer"),
                ("report", "filler_number"),
                ("report", "filler_issuer"),
                ("reportversion", "document_number"),
                ("reportversion", "document_issuer"),
            )
        ),
        migrations.RemoveConstraint("report", "report_number"),
        migrations.AddConstraint(
            "report", models.UniqueConstraint(fields=["numbered_by", "number", "issuer"], name="report_identity")
        ),
        migrations.AddIndex("report", models.Index(fields=["-updated_at", "-id"], name="report_newest")),
        *(
            migrations.AddIndex(
                "report",
                models.Index(
                    fields=[f"{kind}_number"], name=f"report_{kind}", condition=models.Q(("order__isnull", True))
                ),
            )
            for kind in ("placer", "filler")
        ),
        migrations.AddIndex(
            "reportversion",
            models.Index(
                fields=["document_number", "document_issuer"],
                name="report_document",
                condition=models.Q(("document_number", ""), _negated=True),
            ),
        ),
        migrations.CreateModel(
            name="ReportAttachment",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("place", models.IntegerField()),
                ("media_type", models.TextField()),
                ("title", models.TextField(blank=True, default="")),
                ("data", models.BinaryField(null=True)),
                ("link", models.TextField(blank=True, default="")),
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="attachments",
                        to="reports.reportversion",
                    ),
                ),
            ],
        ),
        migrations.AddConstraint(
            "reportattachment", models.UniqueConstraint(fields=["version", "place"], name="report_attachment")
        ),
        migrations.CreateModel(
            name="ReportStudy",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "report_id", "study_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "report",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="about",
                        to="reports.report",
                    ),
                ),
                (
                    "study",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="archive.study",
                    ),
                ),
            ],
            options={"db_table": "reports_reportstudy", "managed": False},
        ),
        migrations.RunSQL(VIEW, "DROP VIEW reports_reportstudy"),
    ]
