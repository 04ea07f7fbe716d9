"""WADO-RS bulk data (PS3.18 10.4.1.1.5)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)

from tests.dicomweb.conftest import Door, body_of
from tests.dicomweb.objects import make_data_set, to_bytes
from tests.dicomweb.pixels import native_frames
from tests.dicomweb.reading import parts_of, problem_of

OCTETS = "application/octet-stream"
PDF = b"%PDF-1.7\n" + b"x" * 5000 + b"\n"
_NO_PIXELS = dict.fromkeys(("PixelData", "Rows", "Columns", "BitsAllocated", "WindowCenter", "WindowWidth"))


def stored(door: Door, data: bytes) -> str:
    response = door.store([data])
    assert response.status_code in (200, 202), response.content
    reference = response.json()["00081199"]["Value"][0]
    return str(reference["00081190"]["Value"][0].partition("/dicom-web/")[2])


def document(mime: str = "application/pdf") -> bytes:
    ds = make_data_set(SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1", Modality="DOC", **_NO_PIXELS)
    ds.EncapsulatedDocument = PDF
    ds.MIMETypeOfEncapsulatedDocument = mime
    return to_bytes(ds)


@pytest.mark.parametrize("accept", [None, "*/*", f'multipart/related; type="{OCTETS}"', "multipart/related", OCTETS])
def test_a_document_as_octets(technologist: Door, accept: str | None) -> None:
    """Trap 14: multipart unless a single part is asked for."""
    path = f"{stored(technologist, document())}/bulkdata/00420011"
    response = technologist.get(path, accept=accept)
    if accept == OCTETS:
        assert (response["Content-Type"], body_of(response)) == (OCTETS, PDF)
        return
    [(headers, payload)] = parts_of(response)
    assert payload == PDF
    assert headers == {"content-type": OCTETS, "content-location": f"http://testserver/dicom-web/{path}"}


@pytest.mark.parametrize("accept", ["application/pdf", 'multipart/related; type="application/pdf"'])
def test_a_document_in_its_own_media_type(technologist: Door, accept: str) -> None:
    path = f"{stored(technologist, document())}/bulkdata/00420011"
    response = technologist.get(path, accept=accept)
    if accept == "application/pdf":
        assert (response["Content-Type"], body_of(response)) == ("application/pdf", PDF)
        assert response["X-Content-Type-Options"] == "nosniff"
    else:
        [(headers, payload)] = parts_of(response)
        assert (headers["content-type"], payload) == ("application/pdf", PDF)
    problem_of(technologist.get(path, accept="image/png"), 406)


@pytest.mark.parametrize("mime", ["text/html\r\nSet-Cookie: x", "nonsense", ""])
def test_a_media_type_that_is_none_is_not_given_out(technologist: Door, mime: str) -> None:
    path = f"{stored(technologist, document(mime))}/bulkdata/00420011"
    problem_of(technologist.get(path, accept="application/pdf"), 406)
    [(_, payload)] = parts_of(technologist.get(path))
    assert payload == PDF


@pytest.mark.parametrize(
    "transfer_syntax",
    [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian],
)
def test_values_leave_little_endian(technologist: Door, transfer_syntax: str) -> None:
    numbers = np.arange(4000, dtype="<u2")
    floats = np.linspace(0, 1, 3000).astype("<f4")
    big = transfer_syntax == ExplicitVRBigEndian
    item = Dataset()
    item.add_new(0x54001010, "OW", (numbers.byteswap() if big else numbers).tobytes())
    ds = make_data_set()
    ds["PixelData"].VR = "OW"
    pixels = ds.PixelData
    if big:
        ds.PixelData = np.frombuffer(pixels, "<u2").byteswap().tobytes()
    ds.WaveformSequence = Sequence([item])
    ds.add_new(0x00660016, "OF", (floats.byteswap() if big else floats).tobytes())
    path = f"{stored(technologist, to_bytes(ds, transfer_syntax))}/bulkdata"  # type: ignore[arg-type]
    for tag, expected in (
        ("54000100/1/54001010", numbers.tobytes()),
        ("00660016", floats.tobytes()),
        ("7FE00010", pixels),
    ):
        [(_, payload)] = parts_of(technologist.get(f"{path}/{tag}"))
        assert payload == expected, tag


@pytest.mark.parametrize(
    "transfer_syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_native_pixel_data_is_one_value(technologist: Door, transfer_syntax: UID) -> None:
    ds, frames = native_frames(3)
    path = f"{stored(technologist, to_bytes(ds, transfer_syntax))}/bulkdata/7FE00010"
    [(_, payload)] = parts_of(technologist.get(path))
    expected = b"".join(frames)
    if transfer_syntax == ExplicitVRBigEndian:
        expected = np.frombuffer(expected, ">u2").astype("<u2").tobytes()
    assert payload == expected
    assert body_of(technologist.get(path, accept=OCTETS)) == expected


def test_encapsulated_pixel_data_comes_as_its_frames(technologist: Door, settings: Any) -> None:
    codestreams = [b"\xff\xd8one.", b"\xff\xd8three"]
    ds = make_data_set(NumberOfFrames=2, PixelData=encapsulate(codestreams))
    path = f"{stored(technologist, to_bytes(ds, JPEGBaseline8Bit))}/bulkdata/7FE00010"
    got = [payload.rstrip(b"\0") for _, payload in parts_of(technologist.get(path))]
    assert got == codestreams
    limits = settings.PACS.limits.model_copy(update={"frames_per_request": 1})
    settings.PACS = settings.PACS.model_copy(update={"limits": limits})
    problem_of(technologist.get(path), 400)


@pytest.mark.parametrize("mime", ["text/html", "text/javascript", "image/svg+xml", "application/xml", "text/XML"])
def test_no_document_becomes_a_page_or_a_script_of_ours(technologist: Door, mime: str) -> None:
    """A stored script, fetched with ?accept=, would run with the rights of whoever opens it."""
    path = f"{stored(technologist, document(mime))}/bulkdata/00420011"
    problem_of(technologist.get(f"{path}?accept={mime}", accept=mime), 406)
    octets = technologist.get(f"{path}?accept={OCTETS}")
    assert octets["Content-Type"] == OCTETS
    assert octets["Content-Disposition"] == "attachment"
    assert octets["X-Content-Type-Options"] == "nosniff"
    assert octets["Content-Security-Policy"] == "sandbox; default-src 'none'"


@pytest.mark.parametrize(
    "path",
    ["00100010", "7FE00008", "7FE00010/1", "../../metadata", "%2e%2e/x", "54000100/0/54001010", "x%00", "", "a" * 5000],
)
def test_what_is_no_bulk_value_is_404(technologist: Door, path: str) -> None:
    instance = stored(technologist, to_bytes(make_data_set()))
    problem_of(technologist.get(f"{instance}/bulkdata/{path}"), 404)


def test_pixel_data_of_another_kind_is_not_mistaken(technologist: Door) -> None:
    ds = make_data_set(PixelData=None, BitsAllocated=32, BitsStored=None, HighBit=None, PixelRepresentation=None)
    ds.FloatPixelData = np.arange(12 * 16, dtype="<f4").tobytes()
    instance = stored(technologist, to_bytes(ds))
    [(_, payload)] = parts_of(technologist.get(f"{instance}/bulkdata/7FE00008"))
    assert payload == ds.FloatPixelData
    [(_, frame)] = parts_of(technologist.get(f"{instance}/frames/1"))
    assert frame == ds.FloatPixelData
    problem_of(technologist.get(f"{instance}/bulkdata/7FE00010"), 404)
