"""Every error by one table, as problem details (RFC 9457); no input whatever gives a 500."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from django.db import OperationalError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archive.errors import ArchiveDamaged, ArchiveError, ArchiveFull, ArchiveUnavailable, NotFound
from dicomweb.errors import PROBLEMS, error_response
from tests.dicomweb.conftest import Door, body_of
from tests.dicomweb.objects import make_data_set, to_bytes
from tests.dicomweb.reading import problem_of

FUZZ = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)


@pytest.mark.parametrize("kind", PROBLEMS)
def test_every_row_of_the_table_answers(kind: type[Exception]) -> None:
    response = error_response(kind("what happened"))
    assert response is not None
    assert 400 <= response.status_code < 600
    # The one thing that is the archive's fault and that waiting does not mend.
    assert (response.status_code == 500) == (kind is ArchiveDamaged)
    assert response["Content-Type"] == "application/problem+json"
    assert ("Retry-After" in response) == (response.status_code in (503, 507))
    told = b"what happened" in response.content
    assert told == PROBLEMS[kind].told


def test_every_error_of_the_archive_for_readers_has_a_row() -> None:
    unmapped = {kind for kind in ArchiveError.__subclasses__() if PROBLEMS.keys().isdisjoint(kind.__mro__)}
    # by archive.store, by the one view that declares, by hl7.refusals, by those of workitems (two), by commands
    caught = {
        "UnreadableObject",
        "InvalidDeclaration",
        "PatientRefused",
        "WorkItemRefused",
        "NotPermitted",
        "Standstill",
    }
    assert {kind.__name__ for kind in unmapped} <= caught


def test_nearest_base_decides_and_a_defect_is_ours() -> None:
    class Deeper(NotFound):
        pass

    deeper = error_response(Deeper("x"))
    assert deeper is not None
    assert deeper.status_code == 404
    assert error_response(KeyError("x")) is None
    for kind, status in ((ArchiveFull, 507), (ArchiveUnavailable, 503), (OperationalError, 503)):
        response = error_response(kind("password=secret"))
        assert response is not None
        assert response.status_code == status
        assert (b"secret" in response.content) is issubclass(kind, ArchiveError), "what a driver says stays inside"


@pytest.mark.parametrize(
    "path",
    [
        "studies/",
        "studies/abc",
        f"studies/{'1' * 65}",
        "studies/1.2/series/x",
        "patients",
        "studies/1.2/metadata/x",
        "studies/..%2f..",
        "studies/1.2%00",
        "studies/1.2/series/1/instances/1/frames",
    ],
)
def test_what_is_no_resource_is_404(technologist: Door, path: str) -> None:
    problem_of(technologist.get(path), 404)


def test_a_forged_host_is_400(technologist: Door) -> None:
    assert technologist.http.get("/dicom-web/studies", headers={"host": "evil.example"}).status_code == 400


@pytest.fixture
def instance(technologist: Door) -> str:
    ds = make_data_set()
    assert technologist.store([to_bytes(ds)]).status_code == 200
    return f"studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"


NAMES = st.sampled_from(
    [
        "PatientName",
        "PatientID",
        "StudyDate",
        "StudyTime",
        "StudyInstanceUID",
        "ModalitiesInStudy",
        "SeriesNumber",
        "0020000D",
        "includefield",
        "limit",
        "offset",
        "fuzzymatching",
        "accept",
        "Rows",
        "window",
        "viewport",
        "quality",
    ]
)
PIECES = st.one_of(
    st.text(max_size=20),
    st.text("*?%_\\-.,^=0123456789'\"()[]{}|+$#\x00\r\n", max_size=30),
    st.sampled_from(["20240101", "-", "1.2.3", "CT", "true", "all", "*", "", "9" * 40, "２０２４", "²"]),
)
QUERIES = st.lists(
    st.tuples(st.one_of(NAMES, st.text(max_size=8)), st.lists(PIECES, max_size=3).map("".join)), max_size=4
)


def encoded(pairs: list[tuple[str, str]]) -> str:
    return "&".join(f"{quote(n, errors='replace')}={quote(v, errors='replace')}" for n, v in pairs)


def answered(door: Door, url: str, **headers: str) -> Any:
    """The client raises whatever a view lets through, so an answer at all means that it was handled."""
    response = door.get(url, **headers)
    body = body_of(response)
    assert response.status_code < 500, (url, body[:300])
    if response.status_code >= 400:
        assert response["Content-Type"] == "application/problem+json", url
        assert b"Traceback" not in body
    return response


@FUZZ
@given(path=st.sampled_from(["studies", "series", "instances"]), pairs=QUERIES)
def test_no_search_fails(technologist: Door, instance: str, path: str, pairs: list[tuple[str, str]]) -> None:
    assert answered(technologist, f"{path}?{encoded(pairs)}").status_code in (200, 400, 406)


@FUZZ
@given(raw=st.binary(max_size=60))
def test_no_raw_query_string_fails(technologist: Door, raw: bytes) -> None:
    response = technologist.http.generic("GET", "/dicom-web/studies", QUERY_STRING=raw.decode("latin-1"))
    assert response.status_code in (200, 400, 406)


@FUZZ
@given(
    resource=st.sampled_from(["rendered", "thumbnail", "frames/{}", "frames/{}/rendered", "bulkdata/{}", "metadata"]),
    text=st.one_of(st.text(max_size=15), st.text("0123456789,.-", max_size=8)),
    pairs=QUERIES,
)
def test_no_retrieval_fails(
    technologist: Door, instance: str, resource: str, text: str, pairs: list[tuple[str, str]]
) -> None:
    answered(technologist, f"{instance}/{resource.format(quote(text, errors='replace'))}?{encoded(pairs)}")


HEADER = st.one_of(
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60),
    st.lists(
        st.sampled_from(
            [
                "multipart/related",
                ";",
                "type=",
                '"',
                "application/octet-stream",
                ",",
                "transfer-syntax=",
                "*",
                "*/*",
                "q=",
                "0",
                "1.2.840.10008.1.2.1",
                "image/jpeg",
                " ",
                "application/dicom",
                "=",
                "/",
            ]
        ),
        max_size=12,
    ).map("".join),
)


@FUZZ
@given(
    resource=st.sampled_from(["", "/metadata", "/frames/1", "/bulkdata/7FE00010", "/rendered", "/thumbnail"]),
    accept=HEADER,
    other=HEADER,
)
def test_no_header_fails(technologist: Door, instance: str, resource: str, accept: str, other: str) -> None:
    headers = {"accept": accept, "accept-encoding": other, "if-none-match": other, "range": other}
    answered(technologist, f"{instance}{resource}", **headers)


@FUZZ
@given(path=st.text(max_size=40))
def test_no_path_fails(technologist: Door, path: str) -> None:
    answered(technologist, quote(path, safe="/.", errors="replace"))


def test_a_database_that_is_away_is_503(technologist: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise OperationalError("connection to server at 10.0.0.1 refused")

    monkeypatch.setattr("dicomweb.qido.search", away)
    response = technologist.get("studies")
    problem = problem_of(response, 503)
    assert "10.0.0.1" not in str(problem)
    assert response["Retry-After"]
