"""Who is told of an emergency access, and what of it is said where."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import OperationalError, connection
from django.utils import timezone

from access import alerts, emergency_watch
from access.acting import Acting
from access.emergency import begin
from access.emergency_models import EmergencyAccess
from archive.models import Study
from audit.models import AccessEvent
from tests.access.test_emergency import REASON, of

Make = Callable[..., Any]
pytestmark = pytest.mark.django_db


class TestMail:
    """A mail to those who should know, without the patient in it."""

    @pytest.fixture
    def post_office(self, settings: Any) -> Iterator[list[str]]:
        """A mail server on this machine, and what it was given."""
        received: list[str] = []

        class Clerk(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(b"220 here\r\n")
                while line := self.rfile.readline():
                    word = line.split()[0].upper() if line.split() else b""
                    if word == b"DATA":
                        self.wfile.write(b"354 go on\r\n")
                        letter = []
                        while (text := self.rfile.readline()) not in (b".\r\n", b""):
                            letter.append(text.decode())
                        received.append("".join(letter))
                    self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 yes\r\n")
                    if word == b"QUIT":
                        return

        with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Clerk) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            address = f"smtp://127.0.0.1:{server.server_address[1]}"
            settings.PACS = settings.PACS.model_copy(
                update={
                    "alert_email": ["privacy@hospital.example", "chief@hospital.example"],
                    "email_url": type(settings.PACS.email_url)(address),
                }
            )
            yield received
            server.shutdown()

    def test_once_and_without_the_patient(self, post_office: list[str], make_person: Make, make_study: Make) -> None:
        user = make_person("radiologist", username="rita")
        study = make_study(name="MARKER^PAT", patient_id="MARKERID")
        begin(study.patient, f"{REASON} SECRETREASON", 30, Acting(None, of(user)))
        call_command("emergencies")
        call_command("emergencies")
        assert len(post_office) == 1
        [letter] = post_office
        assert "rita" in letter
        assert "privacy@hospital.example, chief@hospital.example" in letter
        assert "/administration/emergencies/" in letter
        for hidden in ("MARKER", "SECRETREASON", study.study_instance_uid):
            assert hidden not in letter

    def test_a_server_that_is_away_is_asked_again(
        self, post_office: list[str], make_person: Make, make_study: Make, settings: Any
    ) -> None:
        begin(make_study().patient, REASON, 30, Acting(None, of(make_person("radiologist"))))
        right = settings.PACS
        secret = type(right.email_url)
        settings.PACS = right.model_copy(update={"email_url": secret("smtp://127.0.0.1:1")})
        assert alerts.tell_of_emergencies() == 0
        settings.PACS = right
        assert alerts.tell_of_emergencies() == 1
        assert len(post_office) == 1
        assert EmergencyAccess.objects.get().alerted_at is not None


def test_the_log_has_no_patient(make_person: Make, make_study: Make, caplog: pytest.LogCaptureFixture) -> None:
    study: Study = make_study(name="MARKER^PAT", patient_id="MARKERID")
    begun = begin(study.patient, REASON, 30, Acting(None, of(make_person("radiologist"))))
    assert str(begun.external_id) in caplog.text
    assert "MARKER" not in caplog.text
    assert REASON not in caplog.text


def test_the_relay_writes_the_end_down_and_lives_through_an_outage(
    make_person: Make, make_study: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = begin(make_study().patient, REASON, 30, Acting(None, of(make_person("radiologist"))))
    watch = emergency_watch.EmergencyWatch(threading.Event())
    watch.turn()
    assert not AccessEvent.objects.filter(kind="emergency_ended").exists()
    EmergencyAccess.objects.update(expires_at=timezone.now())
    with monkeypatch.context() as patched:
        patched.setattr(emergency_watch, "write_down_expired", away)
        patched.setattr(connection, "close", lambda: None)
        watch.turn()
    watch.turn()
    watch.turn()
    event = AccessEvent.objects.get(kind="emergency_ended")
    assert (event.principal_kind, event.rule) == ("system", f"emergency:{begun.external_id}")
    assert "access.emergency_watch.EmergencyWatch" in settings.RELAY_THREADS


def away() -> int:
    raise OperationalError("the database is away")
