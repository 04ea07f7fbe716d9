"""The query string of a search: any bytes, from the address to the SQL that PostgreSQL gets.

Input: a byte that says at which level and below which parents, then the query string as it comes over the wire.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pacs_project.settings")
django.setup()

from archive import ordering, search  # noqa: E402
from archive.errors import InvalidQuery  # noqa: E402
from archive.models import Study  # noqa: E402
from archive.search import SearchQuery  # noqa: E402
from dicom.attributes import ATTRIBUTES, Level  # noqa: E402
from dicomweb.errors import BadRequest  # noqa: E402
from dicomweb.query import Parsed, parse_query  # noqa: E402
from dicomweb.query_string import pairs_of  # noqa: E402
from tests.fuzz.target import Target  # noqa: E402

MOST = 1000
# level, study, series
PLACES: tuple[tuple[Level, str | None, str | None], ...] = (
    ("study", None, None),
    ("series", None, None),
    ("series", "1.2", None),
    ("instance", None, None),
    ("instance", "1.2", None),
    ("instance", "1.2", "1.3"),
)


def parsed(data: bytes) -> Parsed | None:
    """The query of an input; None if it is refused, as it may be."""
    level, study, series = PLACES[data[0] % len(PLACES) if data else 0]
    try:
        return parse_query(
            # WSGI hands the bytes over as Latin-1
            pairs_of(data[1:].decode("latin-1")),
            level,
            study_instance_uid=study,
            series_instance_uid=series,
            default_limit=100,
            most=MOST,
        )
    except (InvalidQuery, BadRequest) as error:
        str(error).encode()
        return None


def statement(query: SearchQuery) -> tuple[str, tuple[Any, ...]] | None:
    """The SQL of a search and its parameters; None if it is refused, as it may be, or if nothing can match."""
    try:
        # The one question that is put to the database first: the fuzzer has none.
        with patch("archive.matching.modalities_like", return_value=["CT", "MR"]):
            asked = search._asked(query, ("pk",), Study.objects.all(), None)
    except InvalidQuery as error:
        str(error).encode()
        return None
    written = asked._written(counted=False)
    return None if written is None else written.filled(asked.values, asked.pieces)


def check(data: bytes) -> None:
    """Refused, or a statement that PostgreSQL can take: bounded, without NUL, lone surrogates and giant numbers."""
    found = parsed(data)
    if found is None:
        return
    query = found.query
    assert 0 <= query.limit <= MOST
    assert 0 <= query.offset < 1_000_000_000
    for name in found.unsupported:
        name.encode()
    for tag in (*(query.include or ()), *(found.stored or ())):
        assert int(tag, 16) < 1 << 32
    made = statement(query)
    if made is None:
        return
    sql, parameters = made
    assert len(sql) < 20_000 + 200 * len(data)
    assert sql.count("%s") == len(parameters)
    open_ = list(parameters)
    while open_:
        value = open_.pop()
        if isinstance(value, list | tuple):
            open_ += value
        elif isinstance(value, str):
            assert "\0" not in value
            value.encode()
        elif isinstance(value, int):
            assert -(2**63) <= value < 2**63


def seeds() -> Iterator[bytes]:
    """Each attribute with each kind of value, and each other parameter, at each level."""
    values = ("A*", "a?b", "1", "20200101-20201231", "-1200", "1.2,1.3", "", '""', "%C3%A9^x")
    for number, attribute in enumerate(ATTRIBUTES):
        yield bytes([number % 6]) + f"{attribute.keyword}={values[number % len(values)]}".encode()
        yield bytes([3]) + f"{attribute.tag}={values[(number + 4) % len(values)]}".encode()
    for place in range(len(PLACES)):
        for text in (
            "ModalitiesInStudy=CT\\MR,U*&emptyvaluematching=true&multiplevaluematching=true",
            "StudyDate=2020-&StudyTime=1000-1100&StudyDate=x",
            "StudyDate=20200101-20200102&StudyTime=10-11&TimezoneOffsetFromUTC=%2B0100",
            "RequestAttributesSequence.AccessionNumber=A*&00400275.00400009=",
            "includefield=all&includefield=00091010,PatientName,NumberOfFrames&fuzzymatching=true",
            "orderby=-StudyDate,PatientName&limit=7&offset=3&count=true",
            "PatientName=a%20b*c=d=e&fuzzymatching=true",
            "limit=0&accept=x&charset=utf-8&nothing=1&emptyvaluematching=true&PatientID=%22%22",
        ):
            yield bytes([place]) + text.encode()
    for place, level in ((0, "study"), (1, "series"), (3, "instance")):
        values_after = ("20200101", "1200", 5) if level == "study" else (1, None, 5)
        token = ordering.token(level, values_after)  # type: ignore[arg-type]
        yield bytes([place]) + f"after={token}&limit=2".encode()


TARGET = Target(
    name="query",
    check=check,
    seeds=seeds,
    words=(
        *(f"{attribute.keyword}=".encode() for attribute in ATTRIBUTES),
        b"ModalitiesInStudy=",
        b"RequestAttributesSequence.AccessionNumber=",
        b"includefield=",
        b"orderby=",
        b"after=",
        b"limit=",
        b"fuzzymatching=true",
        b"emptyvaluematching=true",
        b"multiplevaluematching=true",
        b"%00",
        b"%ED%A0%80",
        b"%22%22",
        b"&",
        b"\\",
    ),
    longest=2048,
)
