import uuid

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q

NOW = django.db.models.functions.datetime.Now()
CLIENT = settings.OAUTH2_PROVIDER_APPLICATION_MODEL


def _key():
    return models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")


def _person():
    """Somebody who did something: the row stays when they go."""
    return models.ForeignKey(
        blank=True,
        null=True,
        on_delete=django.db.models.deletion.SET_NULL,
        related_name="+",
        to=settings.AUTH_USER_MODEL,
    )


def _account(to):
    return models.ForeignKey(
        blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name="+", to=to
    )


class Migration(migrations.Migration):
    dependencies = [("access", "0004_scopes"), ("archive", "0001_initial")]
    operations = [
        migrations.CreateModel(
            name="EmergencyAccess",
            fields=[
                ("id", _key()),
                ("external_id", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("reason", models.TextField()),
                ("started_at", models.DateTimeField(db_default=NOW)),
                ("expires_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("alerted_at", models.DateTimeField(blank=True, null=True)),
                (
                    "verdict",
                    models.TextField(
                        blank=True,
                        choices=[("justified", "Justified"), ("not_justified", "Not justified")],
                        default="",
                    ),
                ),
                ("reviewed_at", models.DateTimeField(blank=True, null=True)),
                ("comment", models.TextField(blank=True, default="")),
                (
                    "patient",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="archive.patient"
                    ),
                ),
                ("reviewed_by", _person()),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="emergencies_begun",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(condition=Q(("ended_at__isnull", True)), fields=["user"], name="emergency_running"),
                    models.Index(condition=Q(("verdict", "")), fields=["-started_at"], name="emergency_to_review"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(
                            Q(("reviewed_at__isnull", True), ("verdict", "")),
                            Q(Q(("verdict", ""), _negated=True), ("reviewed_at__isnull", False)),
                            _connector="OR",
                        ),
                        name="emergency_review_whole",
                    )
                ],
            },
        ),
        migrations.AddField(
            model_name="grant",
            name="emergency",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="grants",
                to="access.emergencyaccess",
            ),
        ),
        migrations.CreateModel(
            name="Restriction",
            fields=[
                ("id", _key()),
                (
                    "mark",
                    models.TextField(
                        choices=[
                            ("vip", "VIP"),
                            ("restricted", "Restricted"),
                            ("consent_withdrawn", "Consent withdrawn"),
                        ]
                    ),
                ),
                ("study_instance_uid", models.TextField(blank=True, db_collation="C", default="")),
                ("reason", models.TextField()),
                ("set_at", models.DateTimeField(db_default=NOW)),
                ("until", models.DateTimeField(blank=True, null=True)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("ended_by", _person()),
                (
                    "patient",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="restrictions",
                        to="archive.patient",
                    ),
                ),
                ("set_by", _person()),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=Q(("ended_at__isnull", True)), fields=["patient"], name="restriction_of_patient"
                    ),
                    models.Index(
                        condition=Q(("ended_at__isnull", True)),
                        fields=["study_instance_uid"],
                        name="restriction_of_study",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(
                            Q(("patient__isnull", False), ("study_instance_uid", "")),
                            Q(("patient__isnull", True), Q(("study_instance_uid", ""), _negated=True)),
                            _connector="OR",
                        ),
                        name="restriction_one_scope",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ReviewCampaign",
            fields=[
                ("id", _key()),
                ("external_id", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("title", models.TextField()),
                ("due", models.DateField()),
                ("started_at", models.DateTimeField(db_default=NOW)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("started_by", _person()),
            ],
        ),
        migrations.CreateModel(
            name="ReviewRow",
            fields=[
                ("id", _key()),
                (
                    "roles",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(), blank=True, default=list, size=None
                    ),
                ),
                (
                    "decision",
                    models.TextField(
                        blank=True,
                        choices=[("keep", "Keep"), ("revoke", "Take roles away"), ("switch_off", "Switch off")],
                        default="",
                    ),
                ),
                (
                    "revoked",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(), blank=True, default=list, size=None
                    ),
                ),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                (
                    "campaign",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="rows", to="access.reviewcampaign"
                    ),
                ),
                ("client", _account(CLIENT)),
                ("decided_by", _person()),
                ("user", _account(settings.AUTH_USER_MODEL)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("campaign", "user"), name="review_person_once"),
                    models.UniqueConstraint(fields=("campaign", "client"), name="review_client_once"),
                    models.CheckConstraint(
                        condition=Q(
                            Q(("client__isnull", True), ("user__isnull", False)),
                            Q(("client__isnull", False), ("user__isnull", True)),
                            _connector="OR",
                        ),
                        name="review_one_account",
                    ),
                ]
            },
        ),
    ]
