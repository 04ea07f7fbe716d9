"""Where the trail is sent, alerts, and saved reviews."""

import django.db.models.functions.datetime
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('audit', '0004_partitions'),
    ]

    operations = [
        migrations.CreateModel(
            name='OutputCursor',
            fields=[
                ('name', models.TextField(primary_key=True, serialize=False)),
                ('position', models.BigIntegerField(default=0)),
                ('sent', models.BigIntegerField(default=0)),
                ('error', models.TextField(blank=True, default='')),
                ('changed_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.CreateModel(
            name='Alert',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('rule', models.TextField()),
                ('principal_kind', models.TextField(blank=True, default='')),
                ('principal_id', models.TextField(blank=True, default='')),
                ('principal_name', models.TextField(blank=True, default='')),
                ('source_ip', models.GenericIPAddressField(blank=True, null=True)),
                ('since', models.DateTimeField()),
                ('until', models.DateTimeField()),
                ('found_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('count', models.BigIntegerField(default=0)),
                ('description', models.TextField(blank=True, default='')),
                ('study_uids', models.JSONField(default=list)),
                ('seen_at', models.DateTimeField(blank=True, null=True)),
                ('seen_by', models.TextField(blank=True, default='')),
                ('seen_by_id', models.TextField(blank=True, default='')),
                ('comment', models.TextField(blank=True, default='')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('seen_at__isnull', True)), fields=['-id'], name='alert_open'), models.Index(fields=['rule', 'principal_id', '-until'], name='alert_of_principal')],
            },
        ),
        migrations.CreateModel(
            name='SavedReview',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('external_id', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('name', models.TextField(unique=True)),
                ('asked', models.JSONField(default=dict)),
                ('made_by', models.TextField(blank=True, default='')),
                ('made_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('reviewed_to', models.BigIntegerField(default=0)),
                ('reviewed_at', models.DateTimeField(blank=True, null=True)),
                ('reviewed_by', models.TextField(blank=True, default='')),
                ('comment', models.TextField(blank=True, default='')),
            ],
        ),
    ]

