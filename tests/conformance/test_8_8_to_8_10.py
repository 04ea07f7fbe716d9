"""PS3.18 8.8 to 8.10 and Annex H: character sets, capabilities, notifications."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from tests.conformance.marks import clause
from tests.conformance.site import JSON, Corpus, Site
from tests.conformance.trap_server import problem_of
from tests.live.event_channels import Subscriber

WADL = "application/vnd.sun.wadl+xml"
NAMESPACE = "{http://wadl.dev.java.net/2009/02}"


@clause("8.8.1")
def test_8_8_1_text_is_utf_8(site: Site, stored: Corpus) -> None:
    """The object has Latin-1."""
    for path in (
        f"{stored.slices[0].path}/metadata",
        f"studies?StudyInstanceUID={stored.slices[0].ds.StudyInstanceUID}",
    ):
        [found] = site.get(path, f"{JSON}; charset=klingon").json()
        assert found["00100010"]["Value"] == [{"Alphabetic": "Müller^Jürgen"}]
        assert found["00080005"]["Value"] == ["ISO_IR 192"]


@clause("8.8.4")
def test_8_8_4_accept_charset(site: Site, stored: Corpus) -> None:
    path = f"{stored.slices[0].path}/metadata"
    for asked in ("utf-8", "iso-8859-1, utf-8;q=0.5", "*", "klingon"):
        answer = site.get(path, JSON, Accept_Charset=asked)
        assert "Müller^Jürgen" in answer.content.decode("utf-8"), asked


@clause("8.9.1", "8.9.3", "8.9.4")
def test_8_9_1_capabilities_by_options_of_the_base_uri(site: Site) -> None:
    for accept, given in ((WADL, WADL), ("application/json", "application/json"), ("*/*", WADL)):
        answer = site.send("OPTIONS", "", headers={"Accept": accept})
        assert (answer.status_code, answer.headers["Content-Type"].partition(";")[0]) == (200, given)
        assert int(answer.headers["Content-Length"]) > 1_000
    problem_of(site.send("OPTIONS", "", headers={"Accept": "image/png"}), 406)


@clause("8.10")
def test_8_10_a_websocket_is_opened(site: Site) -> None:
    """With the handshake of RFC 6455 (8.10.4); what is none of it gets an answer of HTTP."""
    channel = Subscriber(f"{site.root}/subscribers/CONFORMANCE8", site.bearer)
    assert b"upgrade: websocket" in channel.answer.lower()
    channel.close()
    problem_of(site.get("subscribers/CONFORMANCE8"), 426)


@clause("H")
def test_H_wadl_with_one_application_its_base_and_every_resource(site: Site) -> None:
    root = ElementTree.fromstring(site.send("OPTIONS", "", headers={"Accept": WADL}).content)  # noqa: S314
    assert root.tag == f"{NAMESPACE}application"
    [resources] = root.findall(f"{NAMESPACE}resources")
    assert resources.get("base") == site.root
    described = set(_methods(resources, ""))
    instance = "/studies/{study}/series/{series}/instances/{instance}"
    assert {
        ("GET", "/studies"),
        ("POST", "/studies"),
        ("GET", "/studies/{study}"),
        ("POST", "/studies/{study}"),
        ("GET", "/studies/{study}/series"),
        ("GET", "/studies/{study}/instances"),
        ("GET", "/series"),
        ("GET", "/instances"),
        ("GET", f"{instance}/metadata"),
        ("GET", f"{instance}/rendered"),
        ("GET", f"{instance}/thumbnail"),
        ("GET", f"{instance}/pixeldata"),
        ("GET", f"{instance}/frames/{{numbers}}"),
        ("GET", f"{instance}/frames/{{numbers}}/rendered"),
    } <= described
    found = site.send("OPTIONS", "", headers={"Accept": "application/json"}).json()
    assert found["application"]["resources"][0]["base"] == site.root


def _methods(node: ElementTree.Element, path: str) -> list[tuple[Any, str]]:
    own = [(method.get("name"), path) for method in node.findall(f"{NAMESPACE}method")]
    children = node.findall(f"{NAMESPACE}resource")
    return own + [pair for each in children for pair in _methods(each, f"{path}/{each.get('path')}")]
