"""Events of workitems over real sockets (PS3.18 8.10.4, 8.10.5, 11.10 to 11.12): order, replay, access, bad clients."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import requests
from pydicom.uid import generate_uid

from standalone.programs import Web
from tests.live.event_channels import Refused, Subscriber, about, numbers
from tests.live.server import LivePacs, free_port
from tests.workitems.watchers import data_set

JSON = {"Content-Type": "application/dicom+json", "Accept": "application/dicom+json"}
GLOBAL, FILTERED = "1.2.840.10008.5.1.4.34.5", "1.2.840.10008.5.1.4.34.5.1"
STATE, CANCEL, PROGRESS, STATUS, ASSIGNED = 1, 2, 3, 4, 5


class House:
    """The installation with a second web server, and a machine that makes workitems."""

    def __init__(self, live: LivePacs) -> None:
        self.live = live
        self.maker = live.machine("technologist")
        port = free_port()
        self.second = f"http://127.0.0.1:{port}"
        web = Web("127.0.0.1", port, log=live.home / "web2.log", environment=live.environment)
        live.services.append(web)
        web.start()

    def make(self, **texts: str) -> str:
        """A workitem; its UID."""
        uid = str(generate_uid())
        url = f"{self.live.url}/dicom-web/workitems?workitem={uid}"
        answer = self.maker.post(url, json=[data_set(**texts)], headers=JSON, timeout=60)
        assert answer.status_code == 201, answer.text
        return uid

    def claim(self, uid: str, root: str = "") -> str:
        """The Transaction UID."""
        transaction = str(generate_uid())
        body = {
            "00081195": {"vr": "UI", "Value": [transaction]},
            "00741000": {"vr": "CS", "Value": ["IN PROGRESS"]},
        }
        url = f"{root or self.live.url}/dicom-web/workitems/{uid}/state"
        answer = self.maker.put(url, json=[body], headers=JSON, timeout=60)
        assert answer.status_code == 200, answer.text
        return transaction

    def watcher(self) -> Watcher:
        """A title of its own; the machine is one for all."""
        return Watcher(self, self.maker)

    def stranger(self, role: str = "technologist") -> Watcher:
        """A machine of its own as well."""
        return Watcher(self, self.live.machine(role))


class Watcher:
    """A machine with an AE title of its own."""

    def __init__(self, house: House, session: requests.Session) -> None:
        self.house, self.session = house, session
        self.title = f"W{uuid4().hex[:10]}".upper()
        self.token = str(session.headers["Authorization"])

    def ask(self, method: str, of: str, more: str = "") -> requests.Response:
        url = f"{self.house.live.url}/dicom-web/workitems/{of}/subscribers/{self.title}{more}"
        return self.session.request(method, url, timeout=60)

    def subscribe(self, of: str, more: str = "") -> str:
        """The URL of the channel."""
        answer = self.ask("POST", of, more)
        assert answer.status_code == 201, answer.text
        assert not answer.content
        return answer.headers["Content-Location"]

    def channel(self, more: str = "", root: str = "", **options: Any) -> Subscriber:
        url = f"{root or self.house.live.url}/dicom-web/subscribers/{self.title}{more}"
        return Subscriber(url, self.token, **options)


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    live = LivePacs()
    live.environment["PACS_WORKITEMS__CHANNELS_EACH"] = "6"
    try:
        yield House(live.start(worker=False))
    finally:
        live.stop()


def test_in_order_and_again_after_a_break(house: House) -> None:
    """8.10.4.2: who reconnects goes on where it was; what it never confirmed is sent again."""
    watcher = house.watcher()
    item = house.make()
    location = watcher.subscribe(item)
    assert location == f"{house.live.url.replace('http', 'ws')}/dicom-web/subscribers/{watcher.title}"
    channel = Subscriber(location, watcher.token)
    house.claim(item)
    assert [about(event) for event in channel.events(2)] == [(item, STATE, "SCHEDULED"), (item, STATE, "IN PROGRESS")]
    channel.confirm()
    channel.close()
    other = house.make()
    watcher.subscribe(other)
    deaf = watcher.channel(answers_pings=False)
    assert [about(event) for event in deaf.events(1)] == [(other, STATE, "SCHEDULED")]
    deaf.close()
    again = watcher.channel()
    assert numbers(again.events(1)) == [3]
    again.close()
    for after, expected in ((0, [1, 2, 3]), (2, [3])):
        late = watcher.channel(f"?after={after}")
        assert numbers(late.events(len(expected))) == expected
        late.close()


def test_every_kind_of_event(house: House) -> None:
    """PS3.4 table CC.2.4-1, over the other web server: an event made there comes here."""
    watcher = house.watcher()
    watcher.subscribe(FILTERED, f"?filter=WorklistLabel={watcher.title}")
    channel = watcher.channel(root=house.second)
    item = house.make(WorklistLabel=watcher.title)
    house.make(WorklistLabel="another")
    transaction = house.claim(item)
    url = f"{house.live.url}/dicom-web/workitems/{item}"
    progress: dict[str, Any] = {"00741002": {"vr": "SQ", "Value": [{"00741004": {"vr": "DS", "Value": [50]}}]}}
    asked = house.maker.post(f"{url}?transaction-uid={transaction}", json=[progress], headers=JSON, timeout=60)
    assert asked.status_code == 200, asked.text
    station: dict[str, Any] = {
        "00404025": {
            "vr": "SQ",
            "Value": [
                {
                    "00080100": {"vr": "SH", "Value": ["S1"]},
                    "00080102": {"vr": "SH", "Value": ["99X"]},
                    "00080104": {"vr": "LO", "Value": ["Station"]},
                }
            ],
        }
    }
    asked = house.maker.post(f"{url}?transaction-uid={transaction}", json=[station], headers=JSON, timeout=60)
    assert asked.status_code == 200, asked.text
    assert house.maker.post(f"{url}/cancelrequest", timeout=60).status_code == 202
    events = channel.events(5)
    assert [about(event)[1] for event in events] == [STATE, STATE, PROGRESS, ASSIGNED, CANCEL]
    assert {about(event)[0] for event in events} == {item}
    assert events[2]["00741002"]["Value"][0]["00741004"]["Value"] == [50]
    assert numbers(events) == [1, 2, 3, 4, 5]
    channel.close()


def test_a_burst_keeps_its_order(house: House) -> None:
    """More than one batch, with the channel open and events coming while it reads."""
    watcher = house.watcher()
    label = f"{watcher.title}B"
    watcher.subscribe(FILTERED, f"?filter=WorklistLabel={label}")
    channel = watcher.channel()
    items = [house.make(WorklistLabel=label) for _ in range(30)]
    for item in items:
        house.claim(item, house.second)
    events = channel.events(60)
    assert numbers(events) == list(range(1, 61))
    assert [about(event)[0] for event in events] == items * 2


def test_suspended_and_unsubscribed(house: House) -> None:
    watcher = house.watcher()
    watcher.subscribe(GLOBAL)
    first = house.make()
    assert watcher.ask("POST", GLOBAL, "/suspend").status_code == 200
    house.make()
    house.claim(first)
    channel = watcher.channel()
    assert [about(event) for event in channel.events(2)] == [(first, STATE, "SCHEDULED"), (first, STATE, "IN PROGRESS")]
    assert watcher.ask("POST", GLOBAL, "/suspend").status_code == 404
    assert watcher.ask("DELETE", GLOBAL).status_code == 200
    assert watcher.ask("DELETE", GLOBAL).status_code == 404
    assert watcher.ask("DELETE", first).status_code == 404


@pytest.mark.parametrize(
    ("of", "more", "status"),
    [
        (FILTERED, "", 400),
        (FILTERED, "?filter=nonsense", 400),
        (FILTERED, "?filter=NoSuchKeyword=1", 400),
        (FILTERED, "?filter=TransactionUID=1.2.3", 400),
        (GLOBAL, "?deletionlock=maybe", 400),
        ("1.2.3.4.5", "", 404),
    ],
)
def test_subscriptions_that_are_refused(house: House, of: str, more: str, status: int) -> None:
    answer = house.watcher().ask("POST", of, more)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")


def test_a_title_is_of_one(house: House) -> None:
    """Nobody listens to another's events: neither by subscribing nor by opening its channel."""
    watcher, other = house.watcher(), house.stranger()
    watcher.subscribe(house.make())
    other.title = watcher.title
    assert other.ask("POST", GLOBAL).status_code == 403
    assert other.ask("DELETE", GLOBAL).status_code == 403
    with pytest.raises(Refused, match="403"):
        other.channel()
    other.title = "A\\B"
    assert other.ask("POST", GLOBAL).status_code in (400, 404)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Upgrade": "h2c"}, 426),
        ({"Sec-WebSocket-Version": "8"}, 426),
        ({"Sec-WebSocket-Key": "short"}, 400),
        ({"Authorization": "Bearer nonsense"}, 401),
    ],
)
def test_openings_that_are_refused(house: House, headers: dict[str, str], status: int) -> None:
    with pytest.raises(Refused, match=str(status)):
        house.watcher().channel(headers=headers)
    with pytest.raises(Refused, match="400"):
        house.watcher().channel("?after=1")


def test_too_many_channels_of_one(house: House) -> None:
    watcher = house.stranger()
    watcher.subscribe(house.make())
    # Each of two processes of the server has places for six.
    there, refused = [], 0
    for _ in range(20):
        try:
            there.append(watcher.channel())
        except Refused:
            refused += 1
    assert refused >= 8
    for channel in there:
        channel.close()


def test_a_token_that_ended_ends_the_channel(house: House) -> None:
    """The next event finds nobody: the channel ends with 1008, and a new one can't be opened."""
    watcher = house.stranger()
    item = house.make()
    watcher.subscribe(item)
    channel = watcher.channel()
    assert len(channel.events(1)) == 1
    checksum = hashlib.sha256(watcher.token.split()[1].encode()).hexdigest()
    ended = "UPDATE oauth2_provider_accesstoken SET expires = now() WHERE token_checksum = %s RETURNING 1"
    assert house.live.query(ended, checksum) == [(1,)]
    house.claim(item)
    assert channel.until_closed() == 1008
    with pytest.raises(Refused, match="401"):
        watcher.channel()


def test_access_withdrawn_counts_for_the_next_event(house: House) -> None:
    """A vendor works on one worklist, and then no more: of its workitems it hears nothing from then on."""
    watcher = house.stranger("ai_vendor")
    label = f"{watcher.title}V"
    member = (
        "INSERT INTO workitems_worklistmember (worklist_label, holder, made_by) "
        "SELECT %s, external_id, '' FROM access_client WHERE name LIKE 'ai_vendor-%%' "
        "ORDER BY id DESC LIMIT 1 RETURNING id"
    )
    [(key,)] = house.live.query(member, label)
    watcher.subscribe(FILTERED, f"?filter=WorklistLabel={label}")
    channel = watcher.channel()
    first = house.make(WorklistLabel=label, PatientID="U2-1")
    assert [about(event)[0] for event in channel.events(1)] == [first]
    house.live.query("DELETE FROM workitems_worklistmember WHERE id = %s RETURNING 1", key)
    hidden = house.make(WorklistLabel=label, PatientID="U2-1")
    house.claim(first)
    open_to_all = house.make(WorklistLabel=label)
    [event] = channel.events(1)
    assert (about(event)[0], numbers([event])) == (open_to_all, [4])
    assert watcher.ask("POST", hidden).status_code == 404
    channel.close()


def test_a_bad_client_ends_its_own_channel(house: House) -> None:
    """More in ``tests/dicomweb/test_websocket.py``; others don't notice."""
    watcher = house.watcher()
    item = house.make()
    watcher.subscribe(item)
    bad, good = watcher.channel(), watcher.channel()
    good.raw(good.frame("what a client says is left unread"))
    bad.raw(b"\x81\x02hi")
    assert bad.until_closed() == 1002
    house.claim(item)
    assert len(good.events(2)) == 2
    good.close()


def test_a_browser_with_its_cookie(house: House) -> None:
    """The cookie counts for pages of our own, which a browser tells of every page (RFC 6455 10.2)."""
    url = house.live.url
    browser = requests.Session()
    browser.get(f"{url}/accounts/login/", timeout=60)
    token = browser.cookies["lightbox_csrf"] or ""
    form = {"username": house.live.username, "password": house.live.password}
    form["csrfmiddlewaretoken"] = token
    browser.post(f"{url}/accounts/login/", data=form, timeout=60)
    cookie = {"Cookie": "; ".join(f"{each.name}={each.value}" for each in browser.cookies)}
    address = f"{url}/dicom-web/subscribers/BROWSER"
    for origin in ({}, {"Origin": "https://elsewhere.example"}, {"Origin": "null"}):
        with pytest.raises(Refused, match="403"):
            Subscriber(address, headers=cookie | origin)
    own = {"Origin": url, "X-CSRFToken": browser.cookies["lightbox_csrf"] or ""}
    item = house.make()
    subscribed = browser.post(f"{url}/dicom-web/workitems/{item}/subscribers/BROWSER", headers=own, timeout=60)
    assert subscribed.status_code == 201, subscribed.text
    channel = Subscriber(address, headers=cookie | own)
    assert [about(event)[0] for event in channel.events(1)] == [item]
    browser.post(f"{url}/accounts/logout/", data={"csrfmiddlewaretoken": own["X-CSRFToken"]}, headers=own, timeout=60)
    house.claim(item)
    assert channel.until_closed() == 1008


def test_a_restart_closes_and_is_told(house: House) -> None:
    """1001, and then SCP Status Change (CC.2.4.3): nothing that happened meanwhile is lost."""
    watcher = house.watcher()
    label = f"{watcher.title}R"
    watcher.subscribe(FILTERED, f"?filter=WorklistLabel={label}")
    channel = watcher.channel()
    item = house.make(WorklistLabel=label)
    assert len(channel.events(1)) == 1
    channel.confirm()
    web = next(service for service in house.live.services if service.name == "web")
    web.stop()
    assert channel.until_closed() == 1001
    web.start()
    house.claim(item)
    told = [about(event)[:2] for event in watcher.channel().events(2)]
    assert told == [(GLOBAL, STATUS), (item, STATE)]
