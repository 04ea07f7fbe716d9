import threading, time, tracemalloc
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hl7.models import Destination, OutboundMessage
from hl7.outbound_queue import deliveries, queues
from hl7.delivery import next_due
from django.conf import settings
from tests.hl7.test_delivery import *
from tests.hl7.test_delivery import to, queued, sender

def test_many(sink):
    ris = to(sink)
    raw=b"MSH|^~\\&|LIGHTBOX||RIS|H|20250110||ORU^R01|m|P|2.5.1\r"+b"x"*20000
    for patients in (1, 10000):
        OutboundMessage.objects.all().delete()
        OutboundMessage.objects.bulk_create([OutboundMessage(destination=ris, patient=n%patients, type="ORU^R01", about="", control_id=f"m{n}", raw=raw, sha256=b"") for n in range(10000)])
        with connection.cursor() as c: c.execute("ANALYZE hl7_outboundmessage")
        if patients==1:
            first=OutboundMessage.objects.order_by("pk").first(); first.state="retry"; first.next_at=datetime.now(UTC)+timedelta(hours=1); first.save()
        t=time.time()
        with CaptureQueriesContext(connection) as q:
            print("due", next_due(ris, settings.PACS.hl7_out))
        print(patients, time.time()-t)
        sql=[x["sql"] for x in q if "FOR UPDATE" in x["sql"]][0]
        with connection.cursor() as c:
            c.execute("EXPLAIN ANALYZE "+sql); print("\n".join(r[0] for r in c.fetchall()))
        t=time.time(); list(deliveries()[:51]); print("list", time.time()-t)
        t=time.time(); queues(); print("queues", time.time()-t)
    OutboundMessage.objects.filter(pk__gt=OutboundMessage.objects.order_by("pk")[200].pk).delete()
    w=sender(ris)
    with CaptureQueriesContext(connection) as q: w.work()
    print("statements", len(q), OutboundMessage.objects.filter(state="acked").count())
