"""Read-only mode: changes are refused in words, everything else goes on, and it ends as it began."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client as Browser
from pydicom.data import get_testdata_file

from access.models import Client, User
from archive.import_sources import Source
from archive.importing import import_all, record_import
from archive.models import Instance
from archive.standstill import Standstill
from audit.models import AccessEvent
from custody.modes import disk as disks
from custody.modes import read_only
from custody.modes.models import ReadOnlyPeriod
from hl7.interfaces import Peer
from hl7.receive import receive
from tests.access.conftest import make_client, make_person, make_token
from tests.hl7.messages import REGISTER, wire

__all__ = ["make_client", "make_person", "make_token"]
pytestmark = pytest.mark.django_db(transaction=True)
REASON = "the object store moves to another house"


@pytest.fixture(autouse=True)
def nothing_believed() -> Iterator[None]:
    read_only._belief.forget()
    yield
    read_only._belief.forget()


@pytest.fixture
def sender(make_client: Callable[..., Client], make_token: Callable[..., str]) -> Browser:
    return Browser(HTTP_AUTHORIZATION=f"Bearer {make_token(make_client('technologist'))}", HTTP_HOST="127.0.0.1")


def command(*words: str) -> str:
    out = StringIO()
    call_command("read_only", *words, stdout=out)
    return out.getvalue()


def test_changes_are_refused_and_reads_are_not(sender: Browser) -> None:
    assert "from now on" in command("on", "--reason", REASON)
    for ask in (sender.post, sender.put, sender.delete, sender.patch):
        refused: Any = ask("/dicom-web/studies")
        assert refused.status_code == 503, refused.content
        assert int(refused["Retry-After"]) > 0
        assert REASON in refused.json()["detail"]
    assert sender.get("/dicom-web/studies").status_code in (200, 204)
    answer = receive(wire(REGISTER), Peer("mllp", "127.0.0.1"))
    assert b"|AR|" in (answer.now or b"")
    assert b"207^" in (answer.now or b"")
    assert "taken again" in command("off")
    assert sender.post("/dicom-web/studies").status_code == 415


def test_signing_in_goes_on(browser: Browser, make_person: Callable[..., User]) -> None:
    person = make_person("radiologist")
    person.set_password("a long enough password")
    person.save()
    command("on", "--reason", REASON)
    page = browser.get("/accounts/login/")
    token = page.cookies["lightbox_csrf"].value if "lightbox_csrf" in page.cookies else ""
    asked = {"username": person.username, "password": "a long enough password", "csrfmiddlewaretoken": token}
    assert browser.post("/accounts/login/", asked).status_code == 302
    assert browser.get("/").status_code == 200


@pytest.fixture
def browser() -> Browser:
    return Browser(HTTP_ACCEPT="text/html,*/*;q=0.8", HTTP_HOST="127.0.0.1")


def test_begun_once_ended_once_and_in_the_trail() -> None:
    with pytest.raises(CommandError):
        command("on")
    command("on", "--reason", REASON)
    assert "already" in command("on", "--reason", "another")
    assert REASON in command("show")
    command("off")
    assert "was not" in command("off")
    assert ReadOnlyPeriod.objects.filter(ended_at__isnull=False).count() == 1
    told = AccessEvent.objects.filter(kind="configuration").order_by("sequence")
    assert [REASON in told[0].outcome_description, "ended" in told[1].outcome_description] == [True, True]


@pytest.mark.parametrize(
    "words",
    [
        ["import_dicom", get_testdata_file("CT_small.dcm")],
        ["load_samples", "--small"],
        ["transcode", "--all"],
        ["undelete", "1.2.3"],
        ["reseal"],
        ["move_objects"],
    ],
    ids=lambda words: words[0],
)
def test_commands_that_store_are_refused(words: list[str], settings: Any) -> None:
    tiers = settings.PACS.tiers.model_copy(update={"rows": ["* >=0d * * -> hot"]})
    settings.PACS = settings.PACS.model_copy(update={"tiers": tiers})
    command("on", "--reason", REASON)
    before = AccessEvent.objects.count()
    with pytest.raises(CommandError, match=f"this archive is read-only for now: {REASON}"):
        call_command(*words, stdout=StringIO())
    assert not Instance.objects.exists()
    assert AccessEvent.objects.count() == before, "nothing was done"


def test_an_import_stops_where_it_is(settings: Any) -> None:
    limits = settings.PACS.limits.model_copy(update={"store_batch_instances": 1})
    settings.PACS = settings.PACS.model_copy(update={"limits": limits})
    first, second = (Path(str(get_testdata_file(f"{name}_small.dcm"))).read_bytes() for name in ("CT", "MR"))

    def meanwhile() -> Iterator[Source]:
        yield Source("first", lambda: BytesIO(first))
        command("on", "--reason", REASON)
        yield Source("second", lambda: BytesIO(second))

    done = import_all(meanwhile(), record_import)
    assert next(done).stored.failure_reason is None
    with pytest.raises(Standstill, match=REASON):
        next(done)
    assert Instance.objects.count() == 1
    command("off")


def test_too_little_room(sender: Browser, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    free = {"bytes": 50}
    monkeypatch.setattr(disks, "free_bytes", lambda folder: free["bytes"])
    monkeypatch.setattr(disks, "LOOK_SECONDS", 0.0)
    settings.PACS = settings.PACS.model_copy(update={"read_only_below_bytes": 100})
    assert sender.post("/dicom-web/studies").status_code == 503
    assert sender.delete("/dicom-web/studies/1.2.3").status_code == 403, "what makes room is judged as ever"
    free["bytes"] = 150
    assert sender.post("/dicom-web/studies").status_code == 503, "not on and off with each object"
    free["bytes"] = 200
    assert sender.post("/dicom-web/studies").status_code == 415
