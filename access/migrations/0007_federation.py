import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q
from django.db.models.functions import Now


class Migration(migrations.Migration):
    dependencies = [("access", "0006_second_factor")]
    operations = [
        migrations.CreateModel(
            name="FederatedIdentity",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("issuer", models.TextField()),
                ("subject", models.TextField()),
                ("created_at", models.DateTimeField(db_default=Now())),
                (
                    "client",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="identities",
                        to=settings.OAUTH2_PROVIDER_APPLICATION_MODEL,
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="identities",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "federated identities",
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(("client__isnull", False), ("user__isnull", True))
                        | Q(("client__isnull", True), ("user__isnull", False)),
                        name="identity_one_holder",
                    ),
                    models.UniqueConstraint(
                        condition=Q(("client__isnull", True)), fields=("issuer", "subject"), name="identity_one_person"
                    ),
                    models.UniqueConstraint(
                        condition=Q(("user__isnull", True)), fields=("issuer", "subject"), name="identity_one_client"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ClientKeys",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("jwks", models.JSONField(blank=True, null=True)),
                ("jwks_uri", models.TextField(blank=True, default="")),
                (
                    "client",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="keys",
                        to=settings.OAUTH2_PROVIDER_APPLICATION_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "client keys",
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(("jwks__isnull", True), ("jwks_uri", ""), _connector="XOR"),
                        name="client_keys_in_one_place",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="UsedAssertion",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("digest", models.TextField()),
                ("expires_at", models.DateTimeField(db_index=True)),
                (
                    "client",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.OAUTH2_PROVIDER_APPLICATION_MODEL,
                    ),
                ),
            ],
            options={"constraints": [models.UniqueConstraint(fields=("client", "digest"), name="assertion_used_once")]},
        ),
    ]
