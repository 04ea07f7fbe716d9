"""Traps 19 to 21 and 29: bodies of the Store transaction as clients send them, honest and hostile (PS3.18 10.5)."""

from __future__ import annotations

import os
import time
import zlib
from typing import Any

import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom.uid import DeflatedExplicitVRLittleEndian, generate_uid

from tests.conformance.trap_server import (
    BOUNDARY,
    STORE_TYPE,
    RawAnswer,
    TrapPacs,
    fresh,
    multipart,
    problem_of,
    value,
    written,
)
from tests.dicomweb.objects import make_data_set, make_object, to_bytes
from tests.dicomweb.pixels import packaged

DICOM = "application/dicom; transfer-syntax=*"
PART = b"Content-Type: application/dicom\r\n\r\n"
MARK = b"--" + BOUNDARY.encode()


def posted(site: TrapPacs, body: bytes, *fields: str, content_type: str = STORE_TYPE) -> RawAnswer:
    """A Store whose head and body leave letter by letter."""
    sent = [f"Authorization: {site.bearer}", f"Content-Type: {content_type}", "Accept: application/dicom+json", *fields]
    if not fields:
        sent.append(f"Content-Length: {len(body)}")
    return site.raw("POST", "/dicom-web/studies", sent, body)


def kept_as_sent(site: TrapPacs, answer: RawAnswer, *objects: bytes) -> None:
    """Whether the answer says 200 and each of ``objects`` comes back byte for byte."""
    assert answer.status == 200, answer.body[:500]
    assert "00081198" not in answer.json()
    urls = [str(value(item, "00081190")) for item in answer.json()["00081199"]["Value"]]
    assert sorted(site.get(url, DICOM).content for url in urls) == sorted(objects)


@pytest.mark.parametrize("size", [1, 7, 4096, 1 << 20])
def test_trap_19_a_chunked_store_is_stored(site: TrapPacs, size: int) -> None:
    """RFC 9112 7.1: in chunks of any size, with extension and trailer; the length in the head is nobody's to see."""
    objects = [make_object(), make_object(PixelData=os.urandom(384))]
    body = multipart(objects)
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    chunks = b"".join(b"%x;name=value\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    kept_as_sent(site, posted(site, chunks + b"0\r\nX-Trailer: yes\r\n\r\n", "Transfer-Encoding: chunked"), *objects)
    nothing = posted(site, b"0\r\n\r\n", "Transfer-Encoding: chunked")
    assert nothing.status == 400, "an empty body is no success"


def test_trap_19_the_python_client_stores_in_chunks(site: TrapPacs) -> None:
    """dicomweb-client from 0.50 on: no Content-Length; several instances in one request."""
    client = DICOMwebClient(url=site.root, session=site.session)
    data_sets = [fresh(name) for name in ("CT_small.dcm", "examples_jpeg2k.dcm", "reportsi.dcm")]
    answer = client.store_instances(data_sets)
    assert len(answer.ReferencedSOPSequence) == 3
    assert "FailedSOPSequence" not in answer
    for ds in data_sets:
        uids = (str(ds.StudyInstanceUID), str(ds.SeriesInstanceUID), str(ds.SOPInstanceUID))
        assert client.retrieve_instance(*uids) == ds
        assert len(client.search_for_instances(uids[0])) == 1


def test_trap_20_bodies_of_every_client(site: TrapPacs) -> None:
    """RFC 2046 5.1.1, RFC 2387: what is left out, added and quoted by one client or another."""
    forms: dict[str, tuple[str, bytes, bytes]] = {
        "JS dicomweb-client: CRLF first, none last": (STORE_TYPE, b"\r\n%b\r\n" % MARK + PART, b"\r\n%b--" % MARK),
        "preamble and epilogue": (STORE_TYPE, b"hello\r\n%b\r\n" % MARK + PART, b"\r\n%b--\r\nbye\r\n" % MARK),
        "padding": (STORE_TYPE, b"%b  \t\r\n" % MARK + PART, b"\r\n%b--  \r\n" % MARK),
        "no part header": (STORE_TYPE, b"%b\r\n\r\n" % MARK, b"\r\n%b--\r\n" % MARK),
        "transfer-syntax in the part": (
            STORE_TYPE,
            b"%b\r\nContent-Type: application/dicom; transfer-syntax=1.2.840.10008.1.2.1\r\n\r\n" % MARK,
            b"\r\n%b--\r\n" % MARK,
        ),
        "more headers, other case, folded": (
            STORE_TYPE,
            b"%b\r\ncontent-ID: <1@x>\r\nMIME-Version: 1.0\r\ncontent-type:application/dicom;\r\n a=b\r\n\r\n" % MARK,
            b"\r\n%b--\r\n" % MARK,
        ),
        "type unquoted": (
            f"multipart/related; type=application/dicom; boundary={BOUNDARY}",
            b"%b\r\n" % MARK + PART,
            b"\r\n%b--\r\n" % MARK,
        ),
        "all quoted, other order and case": (
            f'Multipart/Related;boundary="{BOUNDARY}";TYPE="application/dicom"',
            b"%b\r\n" % MARK + PART,
            b"\r\n%b--\r\n" % MARK,
        ),
        "no type": (f"multipart/related; boundary={BOUNDARY}", b"%b\r\n" % MARK + PART, b"\r\n%b--\r\n" % MARK),
        "boundary that must be quoted": (
            'multipart/related; type="application/dicom"; boundary="a (b)=c?: d"',
            b"--a (b)=c?: d\r\n" + PART,
            b"\r\n--a (b)=c?: d--\r\n",
        ),
    }
    for name, (content_type, before, after) in forms.items():
        data = make_object(StudyDescription=name[:64])
        kept_as_sent(site, posted(site, before + data + after, content_type=content_type), data)


def test_trap_20_payloads_stay_untouched(site: TrapPacs) -> None:
    """No stripping, and no boundary without its CRLF or in the middle of a line is one."""
    endings = (b"\r\n", b"\r\n\r\n", b"  \t\n", b"\n\n", b"\0\0", b"--", b"\r\n--")
    traps = (MARK, b"\n" + MARK + b"\r\n", MARK + b"--\r\n", b"\r\n" + MARK + b"x\r\n", b"\r\n--" + b"trap-boundar\r\n")
    objects = []
    for ending in (*endings, *traps):
        pixels = (b"\0" * 384 + ending)[-384:]
        data = make_object(PixelData=traps[3] + pixels[len(traps[3]) :])
        assert data.endswith(ending)
        objects.append(data)
    kept_as_sent(site, posted(site, multipart(objects)), *objects)


def failed(answer: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """By SOP Instance UID: the failure reason as the standard prints it, and the text."""
    return {
        value(item, "00081155"): (f"{value(item, '00081197'):04X}", value(value(item, "00741048"), "00000902"))
        for item in answer.get("00081198", {}).get("Value", [])
    }


def test_trap_21_status_reasons_and_idempotence(site: TrapPacs) -> None:
    """PS3.18 10.5.3, Annex I: 200 all, 202 some, 409 none; 400 and 415 for an envelope that can't be read."""
    good, other = make_data_set(), make_data_set()
    first = site.post([to_bytes(good)])
    assert first.status_code == 200
    assert not {"00081198", "0008119A"} & first.json().keys(), "an empty sequence is read as a failure"
    again = site.post([to_bytes(good)])
    assert (again.status_code, again.json()) == (200, first.json()), "the same bytes again are a success"
    changed = make_data_set(**{k: good[k].value for k in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")})
    changed.PatientComments = "changed since"
    some = site.post([to_bytes(changed), to_bytes(other)])
    assert some.status_code == 202
    [(uid, (reason, text))] = failed(some.json()).items()
    assert (uid, reason) == (str(good.SOPInstanceUID), "0111")
    assert text
    [kept] = some.json()["00081199"]["Value"]
    assert value(kept, "00081155") == str(other.SOPInstanceUID)
    none = site.post([to_bytes(changed)])
    assert none.status_code == 409
    assert "00081199" not in none.json()
    assert failed(none.json())[str(good.SOPInstanceUID)][0] == "0111"
    uids = (good.StudyInstanceUID, good.SeriesInstanceUID, good.SOPInstanceUID)
    path = "studies/{}/series/{}/instances/{}".format(*uids)
    assert site.get(path, DICOM).content == to_bytes(good), "nothing is overwritten"
    elsewhere = site.post([make_object()], f"studies/{generate_uid()}")
    assert elsewhere.status_code == 409
    [(reason, text)] = failed(elsewhere.json()).values()
    assert reason == "A900"
    assert "StudyInstanceUID" in text.replace(" ", "")
    unreadable = site.post([b"this is no DICOM object"])
    assert unreadable.status_code == 409
    [nameless] = unreadable.json()["0008119A"]["Value"]
    assert value(nameless, "00081197") == 0xC000
    assert value(value(nameless, "00741048"), "00000902")
    warned = site.post([make_object(PatientID=None)])
    assert warned.status_code == 202
    [item] = warned.json()["00081199"]["Value"]
    assert f"{value(item, '00081196'):04X}" == "B007"
    one = multipart([make_object()])
    for body, content_type, status in (
        (one, "multipart/related; type=application/dicom", 400),
        (one[:-8], STORE_TYPE, 400),
        (b"", STORE_TYPE, 400),
        (b"{}", "application/json", 415),
        (one, STORE_TYPE.replace("application/dicom", "text/plain"), 415),
        (one, "multipart/form-data; boundary=x", 415),
    ):
        answer = posted(site, body, content_type=content_type)
        assert (answer.status, answer.header("Content-Type")) == (status, "application/problem+json"), content_type


def test_trap_29_a_preamble_that_pretends_is_refused(site: TrapPacs) -> None:
    """PS3.10 7.1: what could run, render or unpack isn't taken, so it is never served; a TIFF's or a zeroed one is."""
    data = make_object()
    programs = (b"MZ\x90\0", b"\x7fELF", b"#!/bin/sh\n", b"\xca\xfe\xba\xbe")
    for preamble in (*programs, b"%PDF-1.7", b"<html><script>", b"PK\x03\x04"):
        answer = site.post([preamble.ljust(128, b"\0") + data[128:]])
        assert answer.status_code == 409, preamble
        items = [item for tag in ("00081198", "0008119A") for item in answer.json().get(tag, {}).get("Value", [])]
        assert [value(item, "00081197") for item in items] == [0xC000]
        assert "preamble" in value(value(items[0], "00741048"), "00000902")
    tiff = b"II*\0\x08\0\0\0".ljust(128, b"\0") + make_object()[128:]
    assert site.get(site.store(tiff), DICOM).content == tiff


def test_trap_29_a_deflate_bomb_is_refused_quickly(site: TrapPacs) -> None:
    """PS3.5 A.5: what would inflate to hundreds of megabytes costs neither their time nor their memory."""
    ds = make_data_set()
    whole = to_bytes(ds, DeflatedExplicitVRLittleEndian)
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    start = whole.index(DeflatedExplicitVRLittleEndian.encode()) + len(DeflatedExplicitVRLittleEndian)
    start += start % 2
    zeros = b"\0" * (1 << 20)
    bomb = whole[:start] + b"".join(packer.compress(zeros) for _ in range(512)) + packer.flush()
    assert len(bomb) < 1 << 20
    before, began = site.live.resident_bytes(), time.monotonic()
    answers = [site.post([bomb]) for _ in range(3)]
    assert time.monotonic() - began < 90
    assert site.live.resident_bytes() - before < 256 << 20
    assert [answer.status_code for answer in answers] == [409] * 3
    [item] = answers[0].json()["0008119A"]["Value"]
    assert value(value(item, "00741048"), "00000902")
    assert site.get("studies?limit=1").status_code == 200


def test_trap_29_lengths_that_lie_are_capped_before_decoding(site: TrapPacs) -> None:
    """A header of a few bytes promises 4 gigapixels: stored perhaps, never allocated; the answer is quick and clean."""
    for name in ("JPEG2000.dcm", "MR_small_RLE.dcm", "SC_rgb_jpeg_dcmtk.dcm"):
        huge = written(fresh(name, Rows=65535, Columns=65535))
        answer = site.post([huge])
        assert answer.status_code in (200, 202, 409), name
        if answer.status_code == 409:
            continue
        path = str(value(answer.json()["00081199"]["Value"][0], "00081190"))
        before, began = site.live.resident_bytes(), time.monotonic()
        plain = "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"
        problem_of(site.get(f"{path}/frames/1", plain), 406)
        problem_of(site.get(f"{path}/rendered", "image/jpeg"), 406)
        problem_of(site.get(f"{path}/thumbnail", "image/jpeg"), 406)
        assert time.monotonic() - began < 60
        assert site.live.resident_bytes() - before < 256 << 20
    cut = packaged("CT_small.dcm")[:-2000]
    answer = site.post([cut])
    assert answer.status_code in (202, 409)
    assert site.get("studies?limit=1").status_code == 200
