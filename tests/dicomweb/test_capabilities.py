"""The capabilities document says what routes and answers: no more, no less (PS3.18 8.9, Annex H)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest
from django.test import Client as HttpClient

from audit.models import AccessEvent
from dicom.attributes import ATTRIBUTES
from dicomweb.urls import urlpatterns
from tests.dicomweb.conftest import Door
from tests.dicomweb.objects import make_object

pytestmark = pytest.mark.django_db
W = "{http://wadl.dev.java.net/2009/02}"
WADL = "application/vnd.sun.wadl+xml"


def ask(door: Door, accept: str = WADL, path: str = "", **headers: str) -> Any:
    return door.http.options(f"/dicom-web/{path}", headers={"accept": accept, **headers})


def wadl(door: Door) -> ElementTree.Element:
    response = ask(door)
    assert (response.status_code, response["Content-Type"]) == (200, WADL)
    return ElementTree.fromstring(response.content)  # noqa: S314 - our own


def methods(element: ElementTree.Element, path: str = "") -> dict[tuple[str, str], ElementTree.Element]:
    found = {(path, each.attrib["name"]): each for each in element.findall(f"{W}method")}
    for child in element.findall(f"{W}resource"):
        found |= methods(child, f"{path}/{child.attrib['path']}")
    return found


def routed() -> set[tuple[str, str]]:
    """Path and method of every route, from the URL patterns and the views alone."""
    return {
        ("/" + re.sub(r"<\w+:(\w+)>", r"{\1}", str(entry.pattern)), method.upper())
        for entry in urlpatterns
        for method in ("get", "post", "put", "patch", "delete")
        if str(entry.pattern) and hasattr(entry.callback.view_class, method)  # type: ignore[attr-defined]
    }


def names(method: ElementTree.Element, style: str) -> set[str]:
    return {each.attrib["name"] for each in method.findall(f"{W}request/{W}param") if each.attrib["style"] == style}


def test_every_route_with_its_methods_and_nothing_else(technologist: Door) -> None:
    root = wadl(technologist)
    (resources,) = root
    assert (root.tag, resources.tag) == (f"{W}application", f"{W}resources")
    assert resources.attrib["base"].endswith("/dicom-web")
    found = methods(resources)
    assert set(found) == routed()
    assert len(found) >= 30
    ids = [method.attrib["id"] for method in found.values()]
    assert len(set(ids)) == len(ids)
    for path, _ in found:
        # Every variable of a path is declared where it stands.
        assert path.count("{") == len(re.findall(r"/\{\w+\}", path)), path


def test_variables_of_paths_are_declared(technologist: Door) -> None:
    variables = [e for e in wadl(technologist).iter(f"{W}resource") if e.attrib["path"].startswith("{")]
    assert variables
    for element in variables:
        (param,) = element.findall(f"{W}param")
        assert (param.attrib["style"], f"{{{param.attrib['name']}}}") == ("template", element.attrib["path"])


def test_search_parameters_are_those_that_are_matched(technologist: Door) -> None:
    found = methods(wadl(technologist)[0])
    at_level = {"/studies": ("patient", "study"), "/instances": ("patient", "study", "series", "instance")}
    for path, levels in at_level.items():
        query = names(found[path, "GET"], "query")
        assert {"limit", "offset", "includefield", "fuzzymatching"} <= query
        assert query >= {a.keyword for a in ATTRIBUTES if a.level in levels and a.matching != "none"}
        assert not query & {a.keyword for a in ATTRIBUTES if a.level not in levels}
        # None of them is answered with a warning that it is not supported.
        attributes = query & {name for a in ATTRIBUTES for name in (a.keyword, a.tag)}
        response = technologist.http.get(f"/dicom-web{path}", {name: "" for name in attributes if name.isalpha()})
        assert (response.status_code, response.get("Warning")) == (200, None)


def test_every_media_type_of_a_picture_or_document_is_answered(technologist: Door) -> None:
    uids = {"study": "1.2.3", "series": "1.2.3.4", "instance": "1.2.3.4.5", "numbers": "1", "path": "7FE00010"}
    keywords = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    named = dict(zip(keywords, list(uids.values())[:3], strict=True))
    assert technologist.store([make_object(**named)]).status_code == 200
    asked = 0
    for (path, method), element in methods(wadl(technologist)[0]).items():
        if method != "GET" or not path.startswith(("/studies", "/series", "/instances")):
            continue
        types = [each.attrib["mediaType"] for each in element.findall(f"{W}response/{W}representation")]
        assert types, path
        for media_type in types:
            response = technologist.get(path.format(**uids)[1:], accept=media_type)
            if path.endswith("{instance}/rendered") and not media_type.startswith("image/"):
                # what reports, documents and videos are rendered as
                assert response.status_code == 406, (path, media_type)
                continue
            assert response.status_code == 200, (path, media_type)
            assert response["Content-Type"].startswith(media_type.partition(";")[0]), (path, media_type)
            asked += 1
    assert asked > 30


def test_json_is_the_same_tree(technologist: Door) -> None:
    response = ask(technologist, "application/json")
    assert response["Content-Type"] == "application/json"

    def walk(node: dict[str, Any], path: str = "") -> set[tuple[str, str]]:
        found = {(path, each["name"]) for each in node.get("method", [])}
        return found.union(*(walk(child, f"{path}/{child['path']}") for child in node.get("resource", [])))

    (resources,) = response.json()["application"]["resources"]
    assert walk(resources) == routed()


def test_get_is_the_same_for_who_cannot_send_options(technologist: Door) -> None:
    assert technologist.get("", accept=WADL).content == ask(technologist).content
    assert ask(technologist)["Allow"] == "GET, HEAD, OPTIONS"


def test_what_cannot_be_answered_is_406(technologist: Door) -> None:
    assert ask(technologist, "image/png").status_code == 406


def test_any_principal_may_ask_and_nothing_is_written_down(door_for: Callable[..., Door]) -> None:
    auditor = door_for("auditor")
    before = AccessEvent.objects.count()
    assert ask(auditor).status_code == 200
    assert AccessEvent.objects.count() == before
    stranger = HttpClient().options("/dicom-web/", headers={"accept": WADL})
    assert stranger.status_code == 401
    assert b"resource" not in stranger.content


def test_from_another_site_nothing_is_asked_but_refused(technologist: Door) -> None:
    """There is no right that this resource asks for; the refusal is told and written down all the same."""
    answer = technologist.http.put("/dicom-web/", headers={"origin": "https://elsewhere.example"})
    assert answer.status_code == 403
    assert AccessEvent.objects.latest("sequence").rule == "right:none"
