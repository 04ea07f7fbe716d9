"""What an adversary found in transcoding, extended query tags, content coding and time zones, kept from coming back."""

from __future__ import annotations

import io
from collections.abc import Callable

import imagecodecs
import numpy as np
import orjson
import pydicom
import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pydicom.dataset import Dataset
from pydicom.uid import JPEGLSLossless, generate_uid

from access.models import Grant, User
from archive.extended_models import ExtendedTag, ExtendedTagError
from archive.models import Study
from dicom import transfer_syntaxes as ts
from tests.dicomweb.conftest import Door, body_of
from tests.dicomweb.objects import make_data_set, to_bytes
from tests.dicomweb.pixels import encapsulated
from tests.dicomweb.reading import problem_of

DICOM = "application/dicom"
XML = 'multipart/related; type="application/dicom+xml"'
OCTETS = "application/octet-stream"


def as_(syntax: ts.TransferSyntax, media_type: str = DICOM) -> str:
    return f'multipart/related; type="{media_type}"; transfer-syntax={syntax.uid}'


@pytest.fixture
def damaged_behind(technologist: Door) -> str:
    """The path of a small instance with two frames, the second of which no decoder takes."""
    whole = bytes(imagecodecs.jpegls_encode(np.arange(64 * 64).astype("u1").reshape(64, 64)))
    whole += b"\0" * (len(whole) % 2)
    torn = whole[: len(whole) // 6 * 2]
    data, ds = encapsulated(
        [[whole], [torn]], JPEGLSLossless, Rows=64, Columns=64, BitsAllocated=8, BitsStored=8, HighBit=7
    )
    assert technologist.store([data]).status_code in (200, 202)
    return f"studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"


@pytest.mark.parametrize("target", [ts.EXPLICIT_VR_LITTLE_ENDIAN, ts.RLE_LOSSLESS, ts.HTJ2K_LOSSLESS])
def test_damage_behind_the_first_frame_is_told_as_long_as_nothing_left(
    technologist: Door, damaged_behind: str, target: ts.TransferSyntax
) -> None:
    """10.4.3: 406 with the reason; it was a 500 by the web server, with no problem details of ours."""
    problem_of(technologist.get(damaged_behind, accept=as_(target)), 406)
    problem_of(technologist.get(f"{damaged_behind}/pixeldata", accept=as_(ts.EXPLICIT_VR_LITTLE_ENDIAN, OCTETS)), 406)


@pytest.mark.parametrize("coding", ["", "gzip", "zstd"])
def test_head_has_the_fields_of_get(technologist: Door, coding: str) -> None:
    """RFC 9110 9.3.2: it said Content-Length 0 of XML that was coded, and of bodies of unknown length."""
    study, series = generate_uid(), generate_uid()
    several = [make_data_set(StudyInstanceUID=study, SeriesInstanceUID=series) for _ in range(4)]
    assert technologist.store([to_bytes(ds) for ds in several]).status_code == 200
    single = f"studies/{study}/series/{series}/instances/{several[0].SOPInstanceUID}"
    for path, accept in (
        (f"studies/{study}/metadata", XML),
        (f"studies/{study}/instances", XML),
        (single, as_(ts.RLE_LOSSLESS)),
        (single, f"{DICOM}; transfer-syntax={ts.RLE_LOSSLESS.uid}"),
        (f"studies/{study}/bulkdata", None),
    ):
        headers = {"accept-encoding": coding} | ({} if accept is None else {"accept": accept})
        got = technologist.http.get(f"/dicom-web/{path}", headers=headers)
        head = technologist.http.head(f"/dicom-web/{path}", headers=headers)
        assert (got.status_code, head.status_code) == (200, 200), path
        for name in ("Content-Encoding", "Vary", "ETag"):
            assert head.headers.get(name) == got.headers.get(name), (path, name)
        # A packed text differs in a few bytes by its boundary; no other length may.
        assert ("Content-Length" in head.headers) == ("Content-Length" in got.headers), path
        assert head.headers.get("Content-Length") != "0", path
        assert "Accept" in [each.strip() for each in got.headers["Vary"].split(",")], path


def test_counts_of_the_whole_archive_are_not_for_who_was_granted_a_part(
    door_for: Callable[..., Door], technologist: Door
) -> None:
    """The numbers of instances and of errors in studies that somebody may not find."""
    mine, other = make_data_set(), make_data_set()
    assert technologist.store([to_bytes(mine), to_bytes(other)]).status_code == 200
    admin = door_for("administrator")
    declared = admin.http.post(
        "/dicom-web/extendedquerytags",
        data=orjson.dumps([{"path": "PatientComments", "level": "Study"}]),
        content_type="application/json",
        headers={"origin": "http://testserver"},
    ).json()
    tag = admin.get("extendedquerytags/PatientComments").json()
    assert tag["progress"]["total"] == 2
    _add_an_error(other)
    limited = door_for("referring_physician")
    Grant.objects.create(
        study=Study.objects.get(study_instance_uid=mine.StudyInstanceUID), user=User.objects.latest("pk")
    )
    for answer in (
        limited.get("extendedquerytags/PatientComments").json(),
        limited.get("extendedquerytags").json()[0],
        limited.get(f"operations/{declared['id']}").json(),
    ):
        assert answer.keys().isdisjoint({"progress", "errors"})
    warned = limited.http.get("/dicom-web/studies", {"PatientComments": "x"})["Warning"]
    assert "is being indexed" in warned
    assert "some instances" in warned
    assert not any(character.isdigit() for character in warned.replace("299", "").replace("00104000", ""))


def _add_an_error(ds: Dataset) -> None:
    ExtendedTagError.objects.create(
        tag=ExtendedTag.objects.get(),
        study_instance_uid=ds.StudyInstanceUID,
        series_instance_uid=ds.SeriesInstanceUID,
        sop_instance_uid=ds.SOPInstanceUID,
        reason="a value of it is no number",
    )


@pytest.mark.parametrize(
    "date", ["00010101", "-00010101", "00010101-00010101", "99991231", "99991231-", "99991231-99991231"]
)
@pytest.mark.parametrize("time", ["", "235960"])
@pytest.mark.parametrize("zone", ["-1200", "+0000", "+1400"])
def test_single_days_at_the_ends_of_the_calendar(technologist: Door, date: str, time: str, zone: str) -> None:
    """Sentinels of other systems; they ended in an overflow."""
    sentinel = date.strip("-")[:8]
    assert technologist.store([to_bytes(make_data_set(StudyDate=sentinel, StudyTime="120000"))]).status_code == 200
    query = {"StudyDate": date, "TimezoneOffsetFromUTC": zone} | ({"StudyTime": time} if time else {})
    found = technologist.search("studies", **query)
    assert len(found) == 1 or time


@pytest.mark.parametrize("colour", [False, True])
def test_a_single_pixel_becomes_rle(technologist: Door, colour: bool) -> None:
    """The encoder refused the strides that numpy gives one pixel of several bytes or samples."""
    ds = make_data_set(Rows=1, Columns=1, PixelData=b"\x01\x02")
    if colour:
        ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelData = 8, 8, 7, b"\x01\x02\x03\0"
    assert technologist.store([to_bytes(ds)]).status_code == 200
    path = f"studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
    answer = technologist.get(path, accept=f"{DICOM}; transfer-syntax={ts.RLE_LOSSLESS.uid}")
    assert answer.status_code == 200, body_of(answer)
    pixels = pydicom.dcmread(io.BytesIO(body_of(answer))).pixel_array
    assert pixels.tolist() == ([[[1, 2, 3]]] if colour else [[0x0201]])


def test_declared_tags_are_looked_up_within_the_time_of_a_search(technologist: Door) -> None:
    """The look-up waited for as long as any statement may, where the search itself gives up after seconds."""
    with CaptureQueriesContext(connection) as queries:
        technologist.search("studies", FlipAngle="12")
    (about_tags,) = [query["sql"] for query in queries if 'FROM "archive_extendedtag"' in query["sql"]]
    assert about_tags.startswith(f"SET LOCAL statement_timeout = {settings.PACS.limits.search_seconds * 1000}")
