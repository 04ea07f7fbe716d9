"""Destinations, messages on their way to them, and messages by the time at which they came."""

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('hl7', '0001_messages'),
    ]

    operations = [
        migrations.CreateModel(
            name='Destination',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.TextField(unique=True)),
                ('enabled', models.BooleanField(default=True)),
                ('host', models.TextField()),
                ('port', models.IntegerField()),
                ('tls', models.BooleanField(default=False)),
                ('ca', models.TextField(blank=True, default='')),
                ('echo', models.BooleanField(default=False)),
                ('order_message', models.TextField(blank=True, choices=[('', 'no status of orders'), ('ORM^O01', 'ORM^O01 (general order, up to HL7 2.5)'), ('OMG^O19', 'OMG^O19 (general clinical order)'), ('OMI^O23', 'OMI^O23 (imaging order)')], default='')),
                ('order_statuses', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(choices=[('IP', 'the first images are here'), ('CM', 'completed'), ('DC', 'discontinued')]), blank=True, default=list, size=None)),
                ('report_statuses', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(choices=[('P', 'preliminary'), ('F', 'final'), ('C', 'corrected'), ('X', 'cancelled')]), blank=True, default=list, size=None)),
                ('pdf', models.BooleanField(default=True)),
                ('answers', models.BooleanField(default=False)),
                ('version', models.TextField(default='2.5.1')),
                ('charset', models.TextField(default='UNICODE UTF-8')),
                ('sending_application', models.TextField(blank=True, default='LIGHTBOX')),
                ('sending_facility', models.TextField(blank=True, default='')),
                ('receiving_application', models.TextField(blank=True, default='')),
                ('receiving_facility', models.TextField(blank=True, default='')),
                ('processing_id', models.TextField(default='P')),
                ('time_zone', models.TextField(blank=True, default='')),
                ('failures', models.IntegerField(default=0)),
                ('not_before', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('error', models.TextField(blank=True, default='')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.CreateModel(
            name='OutboundMessage',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('patient', models.BigIntegerField(default=0)),
                ('order', models.BigIntegerField(null=True)),
                ('report', models.BigIntegerField(null=True)),
                ('type', models.TextField()),
                ('about', models.TextField()),
                ('control_id', models.TextField()),
                ('raw', models.BinaryField()),
                ('sha256', models.BinaryField()),
                ('state', models.TextField(choices=[('queued', 'waits'), ('sent', 'sent, not answered yet'), ('retry', 'to be sent again'), ('acked', 'delivered'), ('dead', 'refused, or given up')], default='queued')),
                ('attempts', models.IntegerField(default=0)),
                ('made_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('next_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('sent_at', models.DateTimeField(null=True)),
                ('finished_at', models.DateTimeField(null=True)),
                ('answer', models.BinaryField(null=True)),
                ('error', models.TextField(blank=True, default='')),
            ],
        ),
        migrations.AddIndex(
            model_name='hl7message',
            index=django.contrib.postgres.indexes.BrinIndex(fields=['received_at'], name='hl7_received', pages_per_range=32),
        ),
        migrations.AddField(
            model_name='destination',
            name='interface',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='destinations', to='hl7.hl7interface'),
        ),
        migrations.AddField(
            model_name='outboundmessage',
            name='destination',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='messages', to='hl7.destination'),
        ),
        migrations.AddIndex(
            model_name='outboundmessage',
            index=models.Index(condition=models.Q(('state__in', ('queued', 'sent', 'retry'))), fields=['destination', 'id'], name='hl7_out_queue'),
        ),
        migrations.AddIndex(
            model_name='outboundmessage',
            index=models.Index(condition=models.Q(('state__in', ('queued', 'sent', 'retry'))), fields=['destination', 'patient', 'id'], name='hl7_out_open'),
        ),
        migrations.AddIndex(
            model_name='outboundmessage',
            index=models.Index(condition=models.Q(('state', 'dead')), fields=['id'], name='hl7_out_dead'),
        ),
        migrations.AddIndex(
            model_name='outboundmessage',
            index=models.Index(fields=['destination', '-id'], name='hl7_out_of_destination'),
        ),
        migrations.AddIndex(
            model_name='outboundmessage',
            index=models.Index(fields=['control_id'], name='hl7_out_control'),
        ),
    ]
