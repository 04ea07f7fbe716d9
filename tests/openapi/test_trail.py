"""The OpenAPI document describes every route of the trail that programs ask, and nothing that isn't routed."""

from __future__ import annotations

import re

import pytest

from tests.openapi.test_schema import document, operations
from trail import fhir_urls, urls
from trail.fhir_search import PARAMETERS

FOR_PROGRAMS = {"events.csv", "events.xml", "disclosures.csv", "mine.json"}


def test_every_route_for_programs() -> None:
    fhir = {"/fhir/" + re.sub(r"<\w+:(\w+)>", r"{\1}", str(entry.pattern)) for entry in fhir_urls.urlpatterns}
    files = {f"/trail/{entry.pattern}" for entry in urls.urlpatterns if str(entry.pattern) in FOR_PROGRAMS}
    assert len(files) == len(FOR_PROGRAMS)
    described = {path for path, _, _ in operations() if path.startswith(("/fhir/", "/trail/"))}
    assert described == fhir | files


@pytest.mark.parametrize("path", ["/fhir/AuditEvent", "/fhir/AuditEvent/_search"])
def test_what_is_searched_by(path: str) -> None:
    [(_, item)] = document()["paths"][path].items()
    if path.endswith("_search"):
        [form] = item["requestBody"]["content"].values()
        assert set(form["schema"]["properties"]) == set(PARAMETERS)
    else:
        assert {each["name"] for each in item["parameters"]} == set(PARAMETERS)
