"""What a restored database must be told: that it was away, and that what was signed in then is so no more.

``migrate`` calls this, as part of the restore or, where that was killed, of the next start: until then nobody can use
the database (``unsettled``).

Until ``./pacs rebuild --add-missing`` has read what the object store knows nothing is swept.

A session, a token or a code that was revoked after the backup would be alive again, and nobody can tell which ones
were. So all of them end; people and machines sign in again. API keys, share links and accounts that were ended after
the backup have to be ended once more, by hand: the person who restores is told so.
"""

from __future__ import annotations

from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models.functions import Now
from oauth2_provider.models import get_access_token_model, get_grant_model

from access import app_sessions
from access.models import AppSession, LinkToken
from access.trail import system_event
from archive import outbox
from archive.outbox import Wish
from audit.kinds import RESTORED
from audit.record import record
from custody.backups import unsettled
from custody.backups.models import BackupRun, Outcome
from custody.facts.behind import say_needed
from custody.facts.writing import WALK

_BROKEN_OFF = "what was under way when the backup was made did not come back"


def settle() -> int | None:
    """How many sessions and tokens ended; None where no restore waits for this. In one transaction, with the event of
    the restore. Once it is committed the database may be used."""
    with transaction.atomic():
        note = unsettled.found()
        if note is None:
            return None
        ended = Session.objects.all().delete()[1].get("sessions.Session", 0)
        ended += app_sessions.end(list(AppSession.objects.filter(ended_at=None)))
        for model in (get_access_token_model(), get_grant_model(), LinkToken):
            ended += model.objects.all().delete()[0]
        unfinished = BackupRun.objects.filter(outcome=Outcome.RUNNING)
        unfinished.exclude(name=note.name).update(outcome=Outcome.FAILED, text=_BROKEN_OFF, finished_at=Now())
        # The dump was taken while its own backup was still being made.
        unfinished.filter(name=note.name).update(
            outcome=Outcome.DAMAGED if note.damaged else Outcome.GOOD,
            finished_at=note.made_at,
            complete_until=note.complete_until,
        )
        text = (
            f"backup {note.name} of {note.complete_until:%Y-%m-%dT%H:%M:%SZ} restored from {note.where} by "
            f"{note.person}: {note.objects} objects, {note.left_out} left out; {ended} sessions, tokens ended"
        )
        # The object store may know of more than the backup, and it may have no facts at all.
        say_needed()
        outbox.wish([Wish(WALK, "0")])
        record([system_event(RESTORED, text, instance_count=note.objects, bytes=note.bytes)])
        unsettled.end()
    return int(ended)
