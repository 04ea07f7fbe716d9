"""Interfaces of partners, and their messages."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='Hl7Interface',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.TextField(unique=True)),
                ('active', models.BooleanField(default=True)),
                ('sending_application', models.TextField(blank=True, default='')),
                ('sending_facility', models.TextField(blank=True, default='')),
                ('certificate_sha256', models.TextField(blank=True, default='')),
                ('profile', models.JSONField(blank=True, default=dict)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'constraints': [models.UniqueConstraint(condition=models.Q(('active', True)), fields=('sending_application', 'sending_facility', 'certificate_sha256'), name='hl7_interface_match')],
            },
        ),
        migrations.CreateModel(
            name='Hl7Message',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('received_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('finished_at', models.DateTimeField(null=True)),
                ('transport', models.TextField()),
                ('peer', models.TextField()),
                ('certificate_sha256', models.TextField(blank=True, default='')),
                ('raw', models.BinaryField()),
                ('sha256', models.BinaryField()),
                ('body_sha256', models.BinaryField()),
                ('sending_application', models.TextField(blank=True, default='')),
                ('sending_facility', models.TextField(blank=True, default='')),
                ('control_id', models.TextField(blank=True, default='')),
                ('type', models.TextField(blank=True, default='')),
                ('state', models.TextField(choices=[('received', 'Received'), ('applied', 'Applied'), ('repeated', 'Repeated'), ('refused', 'Refused'), ('parked', 'Parked'), ('failed', 'Failed'), ('superseded', 'Superseded'), ('replayed', 'Replayed'), ('dismissed', 'Dismissed')], default='received')),
                ('answer', models.BinaryField(null=True)),
                ('later', models.BinaryField(null=True)),
                ('condition', models.SmallIntegerField(null=True)),
                ('place', models.TextField(blank=True, default='')),
                ('error', models.TextField(blank=True, default='')),
                ('effect', models.TextField(blank=True, default='')),
                ('patient', models.BigIntegerField(null=True)),
                ('order', models.BigIntegerField(null=True)),
                ('interface', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='messages', to='hl7.hl7interface')),
            ],
            options={
                'indexes': [models.Index(fields=['control_id', 'sending_application', 'sending_facility', '-id'], name='hl7_key'), models.Index(condition=models.Q(('state__in', ['received', 'parked', 'failed'])), fields=['state', 'id'], name='hl7_open'), models.Index(fields=['interface', '-id'], name='hl7_of_interface'), models.Index(condition=models.Q(('patient__isnull', False)), fields=['patient', '-id'], name='hl7_of_patient'), models.Index(condition=models.Q(('order__isnull', False)), fields=['order', '-id'], name='hl7_of_order')],
            },
        ),
    ]
