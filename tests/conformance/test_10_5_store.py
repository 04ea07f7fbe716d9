"""PS3.18 10.5 and Annex I: the Store transaction."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pydicom
import pytest
import requests
from PIL import Image
from pydicom.uid import EncapsulatedPDFStorage, SecondaryCaptureImageStorage, generate_uid

from tests.conformance.marks import clause
from tests.conformance.site import JSON, NO_PIXELS, Corpus, Site, data_set_of
from tests.conformance.trap_server import BOUNDARY, STORE_TYPE, multipart, problem_of, value
from tests.dicomweb.objects import make_data_set, make_object, to_bytes

FAILED, REFERENCED, OTHER, URL = "00081198", "00081199", "0008119A", "00081190"
FAILURE_REASON, WARNING_REASON = "00081197", "00081196"
DICOM_XML = "application/dicom+xml"
Part = tuple[str, str, bytes]


def send(site: Site, root: str, parts: list[Part], accept: str = JSON) -> requests.Response:
    """Metadata and bulk data: Content-Type, Content-Location and payload of each part."""
    body = b"".join(
        f"--{BOUNDARY}\r\nContent-Type: {kind}\r\nContent-Location: {location}\r\n\r\n".encode() + payload + b"\r\n"
        for kind, location, payload in parts
    )
    headers = {"Content-Type": f'multipart/related; type="{root}"; boundary={BOUNDARY}', "Accept": accept}
    return site.send("POST", "studies", data=body + f"--{BOUNDARY}--\r\n".encode(), headers=headers)


def metadata(**values: Any) -> dict[str, Any]:
    """A slice as DICOM JSON whose pixel data are at ``bulk/1``."""
    found: dict[str, Any] = make_data_set(SpecificCharacterSet="ISO_IR 192", **values).to_json_dict()
    if "7FE00010" in found:
        found["7FE00010"] = {"vr": "OW", "BulkDataURI": "bulk/1"}
    return found


def got(site: Site, answer: requests.Response) -> pydicom.Dataset:
    """The instance that was stored, as pydicom reads it."""
    assert answer.status_code in (200, 202), answer.text
    [reference] = answer.json()[REFERENCED]["Value"]
    return data_set_of(site.get(value(reference, URL), "application/dicom; transfer-syntax=*").content)


def native(found: dict[str, Any]) -> str:
    """DICOM JSON as the Native DICOM Model (PS3.19 A.1), for what a slice has: plain values, names, bulk data."""
    root = ElementTree.Element("NativeDicomModel", {"xml:space": "preserve"})
    for tag, attribute in found.items():
        keyword = pydicom.datadict.keyword_for_tag(tag)
        element = ElementTree.SubElement(
            root, "DicomAttribute", {"tag": tag, "vr": attribute["vr"], "keyword": keyword}
        )
        if "BulkDataURI" in attribute:
            ElementTree.SubElement(element, "BulkData", uri=attribute["BulkDataURI"])
        for number, each in enumerate(attribute.get("Value", []), 1):
            if attribute["vr"] == "PN":
                name = ElementTree.SubElement(element, "PersonName", number=str(number))
                group = ElementTree.SubElement(name, "Alphabetic")
                ElementTree.SubElement(group, "FamilyName").text = each["Alphabetic"].partition("^")[0]
                ElementTree.SubElement(group, "GivenName").text = each["Alphabetic"].partition("^")[2]
            else:
                ElementTree.SubElement(element, "Value", number=str(number)).text = str(each)
    return ElementTree.tostring(root, "unicode")


@clause("10.5.1.1.1-studies", "10.5.3.1-200", "10.5.3.3")
def test_10_5_1_1_1_studies_takes_instances_of_several(site: Site) -> None:
    objects = [make_object(), make_object()]
    answer = site.post(objects)
    assert answer.status_code == 200
    module = answer.json()
    assert len(module[REFERENCED]["Value"]) == 2
    assert FAILED not in module


@clause("10.5.1.1.1-study")
def test_10_5_1_1_1_study_takes_its_own_instances_only(site: Site) -> None:
    study = generate_uid()
    answer = site.post([make_object(StudyInstanceUID=study), make_object()], f"studies/{study}")
    assert answer.status_code == 202
    [kept], [refused] = (answer.json()[tag]["Value"] for tag in (REFERENCED, FAILED))
    assert f"/studies/{study}/" in value(kept, URL)
    assert refused[FAILURE_REASON]["Value"] == [0xA900]
    assert value(answer.json(), URL) == f"{site.root}/studies/{study}"


@clause("10.5.1.3")
def test_10_5_1_3_with_content_length_and_chunked_on_the_wire(site: Site) -> None:
    def pieces(body: bytes) -> Iterator[bytes]:
        for at in range(0, len(body), 700):
            piece = body[at : at + 700]
            yield f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
        yield b"0\r\n\r\n"

    fields = [f"Authorization: {site.bearer}", f"Content-Type: {STORE_TYPE}", f"Accept: {JSON}"]
    for chunked in (False, True):
        body = multipart([make_object()])
        framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
        sent = b"".join(pieces(body)) if chunked else body
        answer = site.raw("POST", "/dicom-web/studies", [*fields, framing], sent)
        assert answer.status == 200, answer.body
        assert len(json.loads(answer.body)[REFERENCED]["Value"]) == 1


@clause("10.5.1.3-encoding")
def test_10_5_1_3_encoding_is_refused(site: Site) -> None:
    headers = {"Content-Type": STORE_TYPE, "Content-Encoding": "gzip"}
    answer = site.send("POST", "studies", data=gzip.compress(multipart([make_object()])), headers=headers)
    assert "Content-Encoding" in problem_of(answer, 415)["detail"]


@clause("10.5.1.4")
def test_10_5_1_4_instances_by_the_foreign_client(site: Site) -> None:
    ds = make_data_set()
    sent = data_set_of(to_bytes(ds))
    answer = site.client.store_instances([sent])
    assert "ReferencedSOPSequence" in answer
    assert "FailedSOPSequence" not in answer
    assert site.client.retrieve_instance(ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID) == sent


@clause("10.5.1.4-json")
def test_10_5_1_4_json_metadata_with_bulk_data(site: Site) -> None:
    pixels = np.arange(192, dtype="<u2").tobytes()
    text = json.dumps([metadata(PatientID="CONF-J")]).encode()
    answer = send(site, JSON, [(JSON, "", text), ("application/octet-stream", "bulk/1", pixels)])
    ds = got(site, answer)
    assert (ds.PatientID, ds.Rows, bytes(ds.PixelData)) == ("CONF-J", 12, pixels)


@clause("10.5.1.4-xml")
def test_10_5_1_4_xml_metadata_with_bulk_data(site: Site) -> None:
    pixels = np.arange(192, dtype="<u2").tobytes()
    text = native(metadata(PatientID="CONF-X")).encode()
    answer = send(site, DICOM_XML, [(DICOM_XML, "", text), ("application/octet-stream", "bulk/1", pixels)])
    ds = got(site, answer)
    assert (ds.PatientID, str(ds.PatientName), bytes(ds.PixelData)) == ("CONF-X", "Doe^Jane", pixels)


@clause("10.5.1.4-document")
def test_10_5_1_4_document_in_its_own_media_type(site: Site) -> None:
    pdf = b"%PDF-1.4 " + bytes(range(33, 123))
    found = metadata(SOPClassUID=EncapsulatedPDFStorage, Modality="DOC", **NO_PIXELS)
    found["00420011"] = {"vr": "OB", "BulkDataURI": "bulk/1"}
    found["00420012"] = {"vr": "LO", "Value": ["application/pdf"]}
    text = json.dumps([dict(sorted(found.items()))]).encode()
    ds = got(site, send(site, JSON, [(JSON, "", text), ("application/pdf", "bulk/1", pdf)]))
    assert bytes(ds.EncapsulatedDocument).rstrip(b"\0") == pdf


@clause("10.5.2", "10.5.2-coercion")
def test_10_5_2_compressed_pixels_are_kept_and_described(site: Site) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.arange(192, dtype="u1").reshape(12, 16)).save(buffer, "JPEG")
    left_out = dict.fromkeys(("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "SamplesPerPixel"))
    found = metadata(SOPClassUID=SecondaryCaptureImageStorage, **left_out)
    parts = [(JSON, "", json.dumps([found]).encode()), ("image/jpeg", "bulk/1", buffer.getvalue())]
    answer = send(site, JSON, parts)
    ds = got(site, answer)
    assert ds.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.50"
    [frame] = pydicom.encaps.generate_frames(ds.PixelData, number_of_frames=1)
    assert frame.rstrip(b"\0") == buffer.getvalue().rstrip(b"\0")
    assert (ds.Rows, ds.Columns, ds.BitsAllocated, ds.SamplesPerPixel) == (12, 16, 8, 1)
    [reference] = answer.json()[REFERENCED]["Value"]
    assert reference[WARNING_REASON]["Value"] == [0xB000]
    [item] = reference["04000561"]["Value"]
    assert {"04000550", "04000562", "04000563", "04000565"} <= set(item)
    assert "00280010" in item["04000550"]["Value"][0]


@clause("10.5.2-transform")
@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_10_5_2_transform_of_consumer_pictures_is_refused(site: Site, kind: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((12, 16), "u1")).save(buffer, kind)
    text = json.dumps([metadata(SOPClassUID=SecondaryCaptureImageStorage)]).encode()
    answer = send(site, JSON, [(JSON, "", text), (f"image/{kind.lower()}", "bulk/1", buffer.getvalue())])
    assert answer.status_code == 409
    assert value(answer.json()[FAILED]["Value"][0], FAILURE_REASON)


@clause("10.5.3.1-202", "I.1-other")
def test_10_5_3_1_202_for_some_and_what_has_no_uid(site: Site) -> None:
    answer = site.post([make_object(), b"\0" * 500])
    assert answer.status_code == 202
    module = answer.json()
    assert len(module[REFERENCED]["Value"]) == len(module[OTHER]["Value"]) == 1
    assert module[OTHER]["Value"][0][FAILURE_REASON]["Value"] == [0xC000]


@clause("10.5.3.1-400")
def test_10_5_3_1_400_for_bad_syntax(site: Site) -> None:
    for body in (b"", b"no delimiter", f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\nbroken".encode()):
        problem_of(site.send("POST", "studies", data=body, headers={"Content-Type": STORE_TYPE}), 400)
    no_boundary = {"Content-Type": 'multipart/related; type="application/dicom"'}
    problem_of(site.send("POST", "studies", data=b"x", headers=no_boundary), 400)


@clause("10.5.3.2")
def test_10_5_3_2_urls_are_in_the_payload(site: Site) -> None:
    answer = site.post([make_object()])
    assert not {"Location", "Content-Location"} & set(answer.headers)
    url = value(answer.json()[REFERENCED]["Value"][0], URL)
    assert site.get(f"{url}/metadata", JSON).status_code == 200


@clause("10.5.4")
def test_10_5_4_the_answer_in_json_and_xml(site: Site) -> None:
    body = multipart([make_object()])
    for accept in (JSON, "application/json", "*/*"):
        answer = site.send("POST", "studies", data=body, headers={"Content-Type": STORE_TYPE, "Accept": accept})
        assert (answer.headers["Content-Type"], REFERENCED in answer.json()) == (JSON, True)
    answer = site.send("POST", "studies", data=body, headers={"Content-Type": STORE_TYPE, "Accept": DICOM_XML})
    assert answer.headers["Content-Type"] == DICOM_XML
    tags = [each.get("tag") for each in ElementTree.fromstring(answer.content)]  # noqa: S314
    assert REFERENCED in tags


@clause("I.1")
def test_I_1_retrieve_url_referenced_and_failed_instances(site: Site, stored: Corpus) -> None:
    good = make_data_set()
    clash = make_data_set(SOPInstanceUID=stored.other.ds.SOPInstanceUID)
    module = site.post([to_bytes(good), to_bytes(clash)]).json()
    assert value(module, URL) == f"{site.root}/studies/{good.StudyInstanceUID}"
    [kept], [refused] = (module[tag]["Value"] for tag in (REFERENCED, FAILED))
    assert (value(kept, "00081150"), value(kept, "00081155")) == (good.SOPClassUID, good.SOPInstanceUID)
    assert value(kept, URL).endswith(f"/instances/{good.SOPInstanceUID}")
    assert value(refused, "00081155") == clash.SOPInstanceUID
    several = site.post([make_object(), make_object()]).json()
    assert several[URL] == {"vr": "UR"}, "of type 2: there, but empty"


@clause("I.2.1")
def test_I_2_1_warning_reasons(site: Site, stored: Corpus) -> None:
    coerced = make_object(StudyInstanceUID=stored.other.ds.StudyInstanceUID, PatientID="CONF-ANOTHER")
    odd = make_object(PatientID=None)
    for data, reason in ((coerced, 0xB000), (odd, 0xB007)):
        answer = site.post([data])
        assert answer.status_code == 202
        assert answer.json()[REFERENCED]["Value"][0][WARNING_REASON]["Value"] == [reason]


@clause("I.2.2")
def test_I_2_2_failure_reasons(site: Site) -> None:
    objects = {
        0xA900: make_object(StudyInstanceUID="1.2.x"),
        0xC122: _of_unknown_transfer_syntax(),
        0xC000: make_object()[:400],
        0x0122: make_object(SOPClassUID="1.2.840.10008.1.3.10"),
    }
    for reason, data in objects.items():
        answer = site.post([data])
        assert answer.status_code == 409
        [item] = [item for tag in (FAILED, OTHER) for item in answer.json().get(tag, {}).get("Value", [])]
        assert item[FAILURE_REASON]["Value"] == [reason]
        assert value(item["00741048"]["Value"][0], "00000902"), "and in words"


def _of_unknown_transfer_syntax() -> bytes:
    """Its UID has the length of the one it stands for."""
    return make_object().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.9.9.9\0", 1)
