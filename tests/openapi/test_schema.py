"""The OpenAPI document says what is routed and what can be answered: no more, no less."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client as HttpClient
from drf_spectacular.generators import SchemaGenerator

from administration import api_urls
from dicom.attributes import ATTRIBUTES
from dicomweb.errors import PROBLEMS
from dicomweb.urls import urlpatterns
from dicomweb.view import DicomwebView
from hl7 import api_urls as hl7_urls
from pacs_project.refusals import REFUSALS
from tests.dicomweb.conftest import Door, door_for  # noqa: F401 - a fixture

METHODS = ("get", "head", "post", "put", "patch", "delete", "options")


@cache
def document() -> dict[str, Any]:
    found: dict[str, Any] = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]
    return found


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document()["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    """What a reference points to."""
    if "$ref" not in part:
        return part
    _, kind, name = part["$ref"].removeprefix("#/").split("/")
    found: dict[str, Any] = document()["components"][kind][name]
    return found


def test_it_is_valid_and_nothing_is_guessed() -> None:
    out = io.StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=out)
    assert "openapi: 3.0" in out.getvalue()


def test_every_route_with_its_methods() -> None:
    routed = {
        ("/dicom-web/" + re.sub(r"<\w+:(\w+)>", r"{\1}", str(entry.pattern)), method)
        for entry in urlpatterns
        for method in ("get", "post", "put", "patch", "delete")
        if hasattr(entry.callback.view_class, method)  # type: ignore[attr-defined]
    }
    routed |= {(path, "head") for path, method in routed if method == "get"} | {("/dicom-web/", "options")}
    assert {(path, method) for path, method, _ in operations() if path.startswith("/dicom-web/")} == routed
    others = {path for path in document()["paths"] if not path.startswith("/dicom-web/")}
    administration = {"/api/" + re.sub(r"<\w+:(\w+)>", r"{\1}", str(entry.pattern)) for entry in api_urls.urlpatterns}
    hl7 = {"/api/hl7/" + re.sub(r"<\w+:(\w+)>", r"{\1}", str(entry.pattern)) for entry in hl7_urls.urlpatterns}
    assert others == administration | hl7 | {
        "/oauth/token/",
        "/oauth/revoke/",
        "/oauth/introspect/",
        "/api/whoami",
        "/api/emergency-access",
        "/api/emergency-access/{access}",
        "/api/quality/findings",
        "/api/reports",
        "/api/reports/{report}",
        "/api/reports/{report}/versions/{version}",
        "/api/reports/{report}/versions/{version}/attachments/{place}",
        "/api/reports/{report}/versions/{version}/document",
        "/api/studies/{study}/recall",
        "/api/studies/{study}/reports",
        "/api/worklist/reconciliation",
        "/api/worklist/reconciliation/{study}",
        "/api/worklist/reconciliation/{study}/decision",
        "/hl7/v2",
        "/livez",
        "/metrics",
        "/readyz",
        "/status",
        *(path for path in document()["paths"] if path.startswith(("/fhir/", "/trail/"))),
    }


def test_operations_have_names_of_their_own() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(names) == len(set(names))
    assert all(operation["summary"] and operation["tags"] for _, _, operation in operations())


def test_variables_of_paths_are_parameters_with_a_pattern() -> None:
    for path, method, operation in operations():
        found = [resolved(each) for each in operation.get("parameters", ())]
        variables = {each["name"] for each in found if each["in"] == "path"}
        assert variables == set(re.findall(r"{(\w+)}", path)), (path, method)
        assert [
            (path, each["name"]) for each in found if each["in"] == "path" and "pattern" not in each["schema"]
        ] == []


def test_refusals_are_those_of_the_table() -> None:
    known = {problem.status for problem in PROBLEMS.values()} | set(REFUSALS)
    codes: dict[int, set[str]] = {}
    for problem in PROBLEMS.values():
        codes.setdefault(problem.status, set()).add(problem.code)
    for name, response in document()["components"]["responses"].items():
        status = int(name.removeprefix("Problem"))
        schema = response["content"]["application/problem+json"]["schema"]
        expected = codes.get(status) or {REFUSALS[status].code}
        assert set(schema["properties"]["code"]["enum"]) == expected
    for path, method, operation in operations():
        for status, response in operation["responses"].items():
            if path.startswith("/dicom-web/") and int(status) >= 400:
                assert int(status) in known, (path, method, status)
            if "$ref" in response:
                assert response["$ref"].endswith(f"/Problem{status}")
            assert resolved(response)["description"]


def test_what_the_server_refuses_by_itself_has_the_codes_of_the_table() -> None:
    """The doors' table and the web server's speak of the same things by the same code."""
    for status, refusal in REFUSALS.items():
        codes = {problem.code for problem in PROBLEMS.values() if problem.status == status} - {"object-damaged"}
        assert not codes or refusal.code in codes, status


def test_who_may_ask_is_said_everywhere() -> None:
    schemes = document()["components"]["securitySchemes"]
    assert schemes["token"]["flows"]["clientCredentials"]["tokenUrl"] == "/oauth/token/"
    assert schemes["session"]["in"] == "cookie"
    for path, method, operation in operations():
        if path in ("/livez", "/readyz"):
            assert operation["security"] == []
        elif path == "/status":
            assert operation["security"] == [{}, {"token": []}, {"session": []}]
            assert "401" not in operation["responses"]
        elif path.startswith("/oauth/"):
            assert {"client": []} in operation["security"]
        else:
            assert operation["security"] == [{"token": []}, {"session": []}], (path, method)
            assert "401" in operation["responses"]


def test_a_search_names_what_it_is_searched_by() -> None:
    item = document()["paths"]["/dicom-web/studies"]["get"]
    names = {resolved(each)["name"] for each in item["parameters"]}
    assert {a.keyword for a in ATTRIBUTES if a.level in ("patient", "study")} <= names
    assert not {a.keyword for a in ATTRIBUTES if a.level == "instance"} & names
    assert {"limit", "offset", "includefield", "after", "count", "accept"} <= names


def test_parameters_that_views_declare_are_documented() -> None:
    """The capabilities document reads the views' own declarations, this one a table."""
    from dicomweb.capabilities import declared, described

    for _entry, template, method, owner in described(urlpatterns):
        view: type[DicomwebView] = _entry.callback.view_class  # type: ignore[attr-defined]
        told = declared(view, owner, method)
        operation = document()["paths"][f"/dicom-web/{template}"][method]
        names = {resolved(each)["name"] for each in operation["parameters"]}
        assert {parameter.name for parameter in told.get_override_parameters()} <= names, (template, method)


@pytest.mark.django_db
def test_it_is_given_to_who_is_signed_in(door_for: Any) -> None:  # noqa: F811
    door: Door = door_for("auditor")
    response = door.http.get("/api/schema", {"format": "json"})
    assert response.status_code == 200
    assert response.json()["paths"].keys() == document()["paths"].keys()
    assert HttpClient().get("/api/schema").status_code == 401


def test_a_form_in_chunks_is_described_as_refused() -> None:
    """Found by schemathesis: only what goes to DICOMweb may come without a length."""
    refusing = {
        path
        for path, item in document()["paths"].items()
        for operation in item.values()
        if "411" in operation["responses"]
    }
    assert not any(path.startswith("/dicom-web/") for path in refusing)
    assert {"/oauth/token/", "/oauth/revoke/"} <= refusing
