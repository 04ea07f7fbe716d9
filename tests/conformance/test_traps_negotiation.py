"""Traps 1 to 4, 10, 14, 15 and 24: what clients say they accept, and how bodies are wrapped (PS3.18 8.6, 8.7)."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from typing import Any

import pytest
from pydicom.encaps import generate_frames
from pydicom.uid import EncapsulatedPDFStorage, VideoEndoscopicImageStorage

from dicom.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    HTJ2K_LOSSLESS,
    JPEG_2000_LOSSLESS,
    JPEG_BASELINE,
    MPEG4_HIGH_41,
)
from tests.conformance.trap_server import OCTETS, TrapPacs, fresh, parts_of, problem_of, written
from tests.dicomweb.objects import make_data_set, make_object, to_bytes
from tests.dicomweb.pixels import encapsulated, native_frames

ELE = EXPLICIT_VR_LITTLE_ENDIAN.uid
CORNERSTONE = "multipart/related; type=application/octet-stream; transfer-syntax=*"
# Taken off the wire: Cornerstone's loader, OHIF before 3.7, JS and Python dicomweb-client, curl, a browser.
ACCEPTS = (
    CORNERSTONE,
    'multipart/related; type="application/octet-stream"; transfer-syntax=*',
    'multipart/related; type="application/octet-stream"; transfer-syntax="*"',
    "multipart/related;type=application/octet-stream;transfer-syntax=*",
    "multipart/related; type=image/gif, multipart/related; type=application/octet-stream; transfer-syntax=*; q=0.5",
    "multipart/related; type=image/jphc; transfer-syntax=1.2.840.10008.1.2.4.96, */*; q=0.1",
    'multipart/related; type="*/*"',
    'multipart/related; type="*/*"; transfer-syntax=*',
    "multipart/related",
    "multipart/*",
    "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "*/*",
)


@dataclass(frozen=True)
class Stored:
    """A frame as it lies in the object, and where to ask for it."""

    path: str
    codestream: bytes
    transfer_syntax_uid: str


@pytest.fixture(scope="module")
def frames(site: TrapPacs) -> list[Stored]:
    """A frame in each of four encodings; the HTJ2K one can't be decoded."""
    found = []
    for name in ("MR_small_jp2klossless.dcm", "SC_rgb_jpeg_dcmtk.dcm"):
        ds = fresh(name)
        codestream = next(generate_frames(ds.PixelData, number_of_frames=1))
        found.append(Stored(site.store(written(ds)), codestream, str(ds.file_meta.TransferSyntaxUID)))
    ds, native = native_frames(1)
    found.append(Stored(site.store(to_bytes(ds)), native[0], ELE))
    stream = b"\xff\x4f\xff\x51" + bytes(200)
    found.append(Stored(site.store(encapsulated([[stream]], HTJ2K_LOSSLESS.uid)[0]), stream, HTJ2K_LOSSLESS.uid))
    assert [stored.transfer_syntax_uid for stored in found[:2]] == [JPEG_2000_LOSSLESS.uid, JPEG_BASELINE.uid]
    return found


@pytest.mark.parametrize("accept", [*ACCEPTS, None])
def test_trap_01_accept_in_every_spelling(site: TrapPacs, frames: list[Stored], accept: str | None) -> None:
    """PS3.18 8.7.5: letter by letter on the socket; multipart, as stored, and named as what it is."""
    for stored in frames:
        answer = site.ask(f"{stored.path}/frames/1", *([f"Accept: {accept}"] if accept else []))
        assert answer.status == 200, (accept, answer.body[:300])
        [(headers, payload)] = parts_of(answer)
        assert payload == stored.codestream
        assert headers["content-type"] == f"{OCTETS}; transfer-syntax={stored.transfer_syntax_uid}"


def test_trap_02_every_part_names_its_transfer_syntax(site: TrapPacs, frames: list[Stored]) -> None:
    """PS3.18 8.7.9: the loader takes a part without the parameter for Implicit VR Little Endian."""
    own = {JPEG_2000_LOSSLESS.uid: "image/jp2", JPEG_BASELINE.uid: "image/jpeg", HTJ2K_LOSSLESS.uid: "image/jphc"}
    for stored in frames:
        uid = stored.transfer_syntax_uid
        for accept in (CORNERSTONE, None, f'multipart/related; type="{OCTETS}"; transfer-syntax={uid}'):
            [(headers, payload)] = parts_of(site.get(f"{stored.path}/frames/1", accept))
            assert (headers["content-type"], payload) == (f"{OCTETS}; transfer-syntax={uid}", stored.codestream)
        if uid in own:
            for parameter in ("", "; transfer-syntax=*", f"; transfer-syntax={uid}"):
                accept = f'multipart/related; type="{own[uid]}"{parameter}'
                [(headers, payload)] = parts_of(site.get(f"{stored.path}/frames/1", accept))
                assert (headers["content-type"], payload) == (f"{own[uid]}; transfer-syntax={uid}", stored.codestream)
            alone = site.get(f"{stored.path}/frames/1", f"{own[uid]}; transfer-syntax=*")
            assert (alone.headers["Content-Type"], alone.content) == (
                f"{own[uid]}; transfer-syntax={uid}",
                stored.codestream,
            )
        [(headers, _)] = parts_of(site.get(f"{stored.path}/pixeldata", CORNERSTONE))
        assert headers["content-type"] == f"{OCTETS}; transfer-syntax={uid}"
        [(headers, _)] = parts_of(site.get(stored.path, 'multipart/related; type="application/dicom"'))
        assert headers["content-type"] == f"application/dicom; transfer-syntax={uid}"
    # Without the parameter octets are Explicit VR Little Endian (PS3.18 table 8.7.3-2).
    for parameter in (f"; transfer-syntax={ELE}", ""):
        for stored in frames[:3]:
            accept = f'multipart/related; type="{OCTETS}"{parameter}'
            [(headers, payload)] = parts_of(site.get(f"{stored.path}/frames/1", accept))
            assert headers["content-type"] == f"{OCTETS}; transfer-syntax={ELE}"
            assert (payload == stored.codestream) == (stored.transfer_syntax_uid == ELE)


def first_part_as_cornerstone_reads_it(body: bytes) -> tuple[str, bytes]:
    """Content type and payload by the loader's own rules: no header of the answer is looked at, one part is read."""
    end_of_head = body.find(b"\r\n\r\n")
    assert 0 < end_of_head < 1000, "the JS client looks for the head in the first 1000 bytes"
    lines = body[:end_of_head].decode("ascii").split("\r\n")
    boundary = next(line for line in lines if line.startswith("--"))
    content_type = next(line for line in lines if line.startswith("Content-Type:"))
    begin = end_of_head + 4
    end = body.find(boundary.encode(), begin)
    return content_type.removeprefix("Content-Type:").strip(), body[begin : end - 2]


def test_trap_03_the_loader_finds_header_payload_and_boundary(site: TrapPacs, frames: list[Stored]) -> None:
    """RFC 2046 5.1.1 as strictly as its most careless reader wants it."""
    hostile = b"\xff\x4f\xff\x51\r\n\r\n--\r\nContent-Type: text/html\r\n\r\n--lightbox\r\n--boundary--\r\n\r\n\r\n"
    data, _ = encapsulated([[hostile + bytes(len(hostile) % 2)]], JPEG_2000_LOSSLESS.uid)
    tricky = Stored(site.store(data), hostile + bytes(len(hostile) % 2), JPEG_2000_LOSSLESS.uid)
    boundaries = set()
    for stored in (*frames, tricky):
        answer = site.ask(f"{stored.path}/frames/1", f"Accept: {CORNERSTONE}")
        content_type, payload = first_part_as_cornerstone_reads_it(answer.body)
        assert content_type == f"{OCTETS}; transfer-syntax={stored.transfer_syntax_uid}"
        assert payload == stored.codestream
        boundary = answer.header("Content-Type").partition("boundary=")[2].encode()
        assert answer.body.startswith(b"--" + boundary + b"\r\nContent-Type: ")
        assert answer.body.endswith(b"\r\n--" + boundary + b"--\r\n")
        assert answer.body.count(boundary) == 2
        assert len(boundary) >= 40
        head = answer.body.partition(b"\r\n\r\n")[0]
        assert head.count(b"\n") == head.count(b"\r\n")
        boundaries.add(boundary)
    assert len(boundaries) == len(frames) + 1


def test_trap_04_the_whole_body_is_named(site: TrapPacs, frames: list[Stored]) -> None:
    """PS3.18 8.6.1.2.1, RFC 2387 3: media type, type and boundary; a single part only to who asks for it."""
    stored = frames[0]
    resources = {
        "/frames/1": OCTETS,
        "/bulkdata/7FE00010": OCTETS,
        "/pixeldata": OCTETS,
        "": "application/dicom",
    }
    for resource, media_type in resources.items():
        for accept in (None, "*/*", f"multipart/related; type={media_type}; transfer-syntax=*"):
            answer = site.get(f"{stored.path}{resource}", accept)
            kind, related, boundary = answer.headers["Content-Type"].split("; ")
            assert (kind, related) == ("multipart/related", f'type="{media_type}"'), (resource, accept)
            assert answer.content.startswith(b"--" + boundary.removeprefix("boundary=").encode() + b"\r\n")
    for resource, accept in (("/frames/1", f"{OCTETS}; transfer-syntax=*"), ("", "application/dicom")):
        assert not site.get(f"{stored.path}{resource}", accept).headers["Content-Type"].startswith("multipart")


def test_trap_10_metadata_asked_for_in_two_forms(site: TrapPacs) -> None:
    """PS3.18 8.7.8.1: what OHIF sends with metadata; the JSON of both is picked."""
    path = site.store(make_object())
    study, series = path.partition("/series/")[0], path.partition("/instances/")[0]
    plain = site.get(f"{path}/metadata", "application/dicom+json").json()
    for accept in (
        "application/dicom+json, multipart/related; type=application/octet-stream",
        'application/dicom+json, multipart/related; type="application/octet-stream"; transfer-syntax=*',
        'multipart/related; type="application/dicom+xml"; q=0.5, application/dicom+json',
        "application/json",
        "application/json, text/plain, */*",
        "*/*",
        None,
    ):
        for level in (study, series, path):
            answer = site.get(f"{level}/metadata", accept)
            assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/dicom+json"), accept
            assert answer.json() == plain
    found = site.get(f"studies?StudyInstanceUID={study.removeprefix('studies/')}", "application/json")
    assert found.headers["Content-Type"] == "application/dicom+json"


def pdf_and_video(site: TrapPacs) -> list[tuple[str, str, str, bytes]]:
    """Where a document and a video lie, what they are, and their bytes."""
    document = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\n%%EOF" + bytes(range(256)) * 4
    pdf: dict[str, Any] = dict.fromkeys(("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation"))
    pdf |= dict.fromkeys(("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelData"))
    pdf |= dict.fromkeys(("WindowCenter", "WindowWidth"))
    pdf |= {"SOPClassUID": EncapsulatedPDFStorage, "Modality": "DOC", "EncapsulatedDocument": document}
    pdf |= {"MIMETypeOfEncapsulatedDocument": "application/pdf", "EncapsulatedDocumentLength": len(document)}
    stream = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 8
    video, _ = encapsulated(
        [[stream[:1000], stream[1000:]]],
        MPEG4_HIGH_41.uid,
        offsets=False,
        NumberOfFrames=25,
        SOPClassUID=VideoEndoscopicImageStorage,
        Modality="ES",
    )
    pdf_path, video_path = site.store(to_bytes(make_data_set(**pdf))), site.store(video)
    named = f"video/mp4; transfer-syntax={MPEG4_HIGH_41.uid}"
    return [
        (f"{pdf_path}/bulkdata/00420011", "application/pdf", "application/pdf", document),
        (f"{video_path}/bulkdata/7FE00010", "video/mp4", named, stream),
        (f"{video_path}/frames/1", "video/mp4", named, stream),
    ]


def test_trap_14_pdf_and_video_in_parts_or_alone(site: TrapPacs) -> None:
    """PS3.18 10.4.4, RFC 9110 14: in each media type, with and without Range."""
    for path, media_type, named, whole in pdf_and_video(site):
        for accept in (None, "*/*", "multipart/related", f'multipart/related; type="{OCTETS}"; transfer-syntax=*'):
            [(headers, payload)] = parts_of(site.get(path, accept))
            assert (payload, headers["content-type"].partition(";")[0]) == (whole, OCTETS), (path, accept)
        [(headers, payload)] = parts_of(site.get(path, f"multipart/related; type={media_type}"))
        assert (payload, headers["content-type"]) == (whole, named)
        for accept in (media_type, f"{OCTETS}; transfer-syntax=*", OCTETS):
            alone = site.get(path, accept)
            assert (alone.status_code, alone.content) == (200, whole), (path, accept)
            assert alone.headers["Content-Type"].partition(";")[0] == accept.partition(";")[0]
            assert (alone.headers["Accept-Ranges"], alone.headers["Content-Length"]) == ("bytes", str(len(whole)))
            part = site.get(path, accept, Range="bytes=990-1009")
            assert (part.status_code, part.content) == (206, whole[990:1010])
            assert part.headers["Content-Range"] == f"bytes 990-1009/{len(whole)}"
            assert site.get(path, accept, Range="bytes=-7").content == whole[-7:]
            beyond = site.get(path, accept, Range=f"bytes={len(whole)}-")
            problem_of(beyond, 416)
            assert beyond.headers["Content-Range"] == f"bytes */{len(whole)}"
        if media_type == "video/mp4":
            # A <video> element: anything, from the first byte on.
            for accept in ("*/*", None):
                part = site.get(path, accept, Range="bytes=0-")
                assert (part.status_code, part.headers["Content-Type"], part.content) == (206, named, whole)
                assert part.headers["Content-Range"] == f"bytes 0-{len(whole) - 1}/{len(whole)}"


def test_trap_15_instances_come_as_parts_unless_asked_otherwise(site: TrapPacs) -> None:
    """PS3.18 10.4.1.1.1, 10.4.4: the bytes that were stored either way."""
    data = make_object()
    path = site.store(data)
    study, series = path.partition("/series/")[0], path.partition("/instances/")[0]
    for accept in (
        None,
        "*/*",
        'multipart/related; type="application/dicom"',
        "multipart/related; type=application/dicom",
    ):
        for level in (study, series, path):
            answer = site.get(level, accept)
            assert answer.headers["Content-Type"].startswith('multipart/related; type="application/dicom"; boundary=')
            [(headers, payload)] = parts_of(answer)
            assert (headers["content-type"], payload) == (f"application/dicom; transfer-syntax={ELE}", data)
    for accept in ("application/dicom", "application/dicom; transfer-syntax=*"):
        alone = site.get(path, accept)
        assert (alone.headers["Content-Type"], alone.content) == (f"application/dicom; transfer-syntax={ELE}", data)


def test_trap_24_text_is_compressed_and_encapsulated_frames_never(site: TrapPacs, frames: list[Stored]) -> None:
    """RFC 9110 8.4: a second compression of codestreams is confused with their transfer syntax, and gains nothing."""
    every = "Accept-Encoding: gzip, deflate, br, zstd"
    for stored in frames:
        if stored.transfer_syntax_uid == ELE:
            continue
        for accept in (CORNERSTONE, f"{OCTETS}; transfer-syntax=*"):
            answer = site.ask(f"{stored.path}/frames/1", f"Accept: {accept}", every)
            assert answer.header("Content-Encoding") == ""
            assert stored.codestream in answer.body
        for resource in ("/pixeldata", "/bulkdata/7FE00010", ""):
            answer = site.ask(stored.path + resource, every)
            assert (answer.status, answer.header("Content-Encoding")) == (200, "")
            assert stored.codestream in answer.body
    metadata = f"{frames[0].path}/metadata"
    plain = site.ask(metadata, "Accept: application/dicom+json")
    assert plain.header("Content-Encoding") == ""
    packed = site.ask(metadata, "Accept: application/dicom+json", "Accept-Encoding: gzip")
    assert packed.header("Content-Encoding") == "gzip"
    assert "Accept-Encoding" in packed.header("Vary")
    assert json.loads(gzip.decompress(packed.body)) == json.loads(plain.body)
    refused = site.ask(metadata, "Accept: application/dicom+json", "Accept-Encoding: gzip;q=0, identity")
    assert (refused.header("Content-Encoding"), refused.body) == ("", plain.body)
