"""STOW-RS of metadata with bulk data beside it, and its answer in XML (PS3.18 10.5.1, 10.5.3)."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest
from imagecodecs import jpeg2k_encode
from pydicom.uid import generate_uid

from dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, JPEG_2000_LOSSLESS
from dicom.xml import from_xml, to_xml
from tests.dicomweb.conftest import Door, body_of
from tests.dicomweb.objects import make_data_set
from tests.dicomweb.reading import parts_of, problem_of

BOUNDARY = "mixed"
JSON = "application/dicom+json"
XML = "application/dicom+xml"
Part = tuple[dict[str, str], bytes]


def post(door: Door, root: str, parts: list[Part], accept: str = JSON) -> Any:
    body = b"".join(
        b"--%s\r\n" % BOUNDARY.encode()
        + b"".join(f"{name}: {value}\r\n".encode() for name, value in headers.items())
        + b"\r\n"
        + payload
        + b"\r\n"
        for headers, payload in parts
    )
    return door.http.post(
        "/dicom-web/studies",
        data=body + b"--%s--\r\n" % BOUNDARY.encode(),
        content_type=f'multipart/related; type="{root}"; boundary={BOUNDARY}',
        headers={"accept": accept, "origin": "http://testserver"},
    )


def metadata(uri: str | None = "bulk/1", **values: Any) -> dict[str, Any]:
    """The DICOM JSON object of a small CT slice whose pixel data are elsewhere."""
    attributes: dict[str, Any] = make_data_set(SpecificCharacterSet="ISO_IR 192", **values).to_json_dict()
    attributes.pop("7FE00010", None)
    if uri is not None:
        attributes["7FE00010"] = {"vr": "OW", "BulkDataURI": uri}
    return attributes


def located(uri: str, media_type: str) -> dict[str, str]:
    return {"Content-Type": media_type, "Content-Location": uri}


def uid(attributes: dict[str, Any]) -> str:
    return str(attributes["00080018"]["Value"][0])


def path_of(response: Any) -> str:
    assert response.status_code in (200, 202), response.content
    reference = response.json()["00081199"]["Value"][0]
    return str(reference["00081190"]["Value"][0].partition("/dicom-web/")[2])


@pytest.mark.parametrize("root", [JSON, XML])
def test_native_pixels_beside_metadata(technologist: Door, root: str) -> None:
    attributes = metadata()
    text = orjson.dumps([attributes]) if root == JSON else to_xml(orjson.dumps(attributes))
    pixels = np.arange(12 * 16, dtype="<u2").tobytes()
    response = post(
        technologist, root, [({"Content-Type": root}, text), (located("bulk/1", "application/octet-stream"), pixels)]
    )
    path = path_of(response)
    frame = technologist.get(f"{path}/frames/1", accept="application/octet-stream")
    assert body_of(frame) == pixels
    [stored] = technologist.get(f"{path}/metadata").json()
    assert stored["00083002"]["Value"] == [EXPLICIT_VR_LITTLE_ENDIAN.uid]
    assert stored["00100010"] == attributes["00100010"]


def test_compressed_frames_one_a_part(technologist: Door) -> None:
    frames = [np.arange(12 * 16, dtype="u2").reshape(12, 16) + number for number in range(3)]
    codestreams = [bytes(jpeg2k_encode(frame, level=0, reversible=True, codecformat="j2k")) for frame in frames]
    attributes = metadata("http://sender.example/pixels", NumberOfFrames=3, BitsStored=16, HighBit=15)
    media_type = f"image/jp2; transfer-syntax={JPEG_2000_LOSSLESS.uid}"
    parts: list[Part] = [({"Content-Type": JSON}, orjson.dumps([attributes]))]
    for number, codestream in enumerate(codestreams, 1):
        parts.append((located(f"http://sender.example/pixels/frames/{number}", media_type), codestream))
    path = path_of(post(technologist, JSON, parts))
    got = parts_of(technologist.get(f"{path}/frames/1,2,3", accept='multipart/related; type="image/jp2"'))
    assert [payload.rstrip(b"\0") for _, payload in got] == [each.rstrip(b"\0") for each in codestreams]
    native = technologist.get(f"{path}/frames/2", accept="application/octet-stream")
    assert body_of(native) == frames[1].astype("<u2").tobytes()


def test_what_was_filled_in_is_told(technologist: Door) -> None:
    """PS3.18 10.5.3: a coercion is a warning, with what was there before."""
    attributes = metadata()
    del attributes["00280010"], attributes["00280011"]
    codestream = bytes(jpeg2k_encode(np.zeros((12, 16), "u2"), level=0, reversible=True, codecformat="j2k"))
    response = post(
        technologist,
        JSON,
        [({"Content-Type": JSON}, orjson.dumps([attributes])), (located("bulk/1", "image/jp2"), codestream)],
    )
    assert response.status_code == 202
    [reference] = response.json()["00081199"]["Value"]
    assert reference["00081196"]["Value"] == [0xB000]
    changed = reference["04000561"]["Value"][0]["04000550"]["Value"][0]
    assert {"00280010", "00280011"} <= set(changed)


def test_one_bad_object_leaves_the_others(technologist: Door) -> None:
    good, lost = metadata("a"), metadata("nowhere")
    nameless = metadata("a")
    del nameless["00080018"]
    pixels = bytes(12 * 16 * 2)
    response = post(
        technologist,
        JSON,
        [
            ({"Content-Type": JSON}, orjson.dumps([good, lost, nameless])),
            (located("a", "application/octet-stream"), pixels),
        ],
    )
    assert response.status_code == 202
    answer = response.json()
    assert [item["00081155"]["Value"] for item in answer["00081199"]["Value"]] == [[uid(good)]]
    assert [item["00081155"]["Value"] for item in answer["00081198"]["Value"]] == [[uid(lost)]]
    assert len(answer["0008119A"]["Value"]) == 1


def test_a_document(technologist: Door) -> None:
    pdf = b"%PDF-1.7\n" + b"x" * 3001
    gone = dict.fromkeys(("PixelData", "Rows", "Columns", "BitsAllocated", "WindowCenter", "WindowWidth"))
    attributes = metadata(None, SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1", SOPInstanceUID=generate_uid(), **gone)
    for tag in ("00280002", "00280004", "00280101", "00280102", "00280103"):
        attributes.pop(tag, None)
    attributes["00420011"] = {"vr": "OB", "BulkDataURI": "the.pdf"}
    response = post(
        technologist,
        JSON,
        [({"Content-Type": JSON}, orjson.dumps([attributes])), (located("the.pdf", "application/pdf"), pdf)],
    )
    path = path_of(response)
    got = technologist.get(f"{path}/bulkdata/00420011", accept="application/pdf")
    assert body_of(got).rstrip(b"\0") == pdf


@pytest.mark.parametrize(
    ("root", "text"),
    [(JSON, b"{"), (JSON, b"[1]"), (JSON, b"[]"), (XML, b"<a"), (XML, b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>')],
)
def test_metadata_that_are_none_are_400(technologist: Door, root: str, text: bytes) -> None:
    problem_of(post(technologist, root, [({"Content-Type": root}, text)]), 400)
    assert technologist.search("studies") == []


def test_the_answer_in_xml(technologist: Door) -> None:
    text, pixels = orjson.dumps([metadata()]), bytes(12 * 16 * 2)
    parts: list[Part] = [({"Content-Type": JSON}, text), (located("bulk/1", "application/octet-stream"), pixels)]
    response = post(technologist, JSON, parts, accept=XML)
    assert (response.status_code, response["Content-Type"]) == (200, XML)
    assert "00081199" in from_xml(response.content)


def test_metadata_are_bounded_as_a_whole(technologist: Door, settings: Any) -> None:
    """However many parts they come in."""
    one = ({"Content-Type": JSON}, orjson.dumps([metadata(None)]))
    limits = settings.PACS.limits.model_copy(update={"store_metadata_bytes": len(one[1]) + 100})
    settings.PACS = settings.PACS.model_copy(update={"limits": limits})
    assert post(technologist, JSON, [one]).status_code in (200, 202)
    other = ({"Content-Type": JSON}, orjson.dumps([metadata(None, SOPInstanceUID=generate_uid())]))
    problem = problem_of(post(technologist, JSON, [one, other]), 400)
    assert str(limits.store_metadata_bytes) in problem["detail"]
