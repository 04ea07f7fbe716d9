"""Traps 12, 13 and 16 to 18: DICOM JSON, the addresses in it, and what browsers ask for first (PS3.18 F, 8.2)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EncapsulatedPDFStorage, EnhancedCTImageStorage, ImplicitVRLittleEndian, generate_uid

from dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from tests.conformance.site import NO_PIXELS
from tests.conformance.trap_server import OCTETS, VIEWER, TrapPacs, fresh, parts_of, problem_of, written
from tests.dicomweb.objects import make_data_set, make_object, to_bytes

JSON = "application/dicom+json"
OVERLAY = bytes(range(256)) * 128  # 512 x 512 bits
PRIVATE = bytes(range(256)) * 512
ICON = bytes(range(256)) * 256  # 256 x 256


def metadata_of(site: TrapPacs, path: str) -> dict[str, Any]:
    """The metadata of one instance, from strictly valid JSON."""
    answer = site.get(f"{path}/metadata", JSON)
    assert answer.status_code == 200, answer.text
    [found] = json.loads(answer.content.decode("utf-8"), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert isinstance(found, dict)
    return found


def bulk_data(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Tag and URI of every bulk value, nested ones too."""
    for tag, element in found.items():
        if "BulkDataURI" in element:
            yield tag, element["BulkDataURI"]
        if element["vr"] == "SQ":
            for item in element.get("Value", []):
                yield from bulk_data(item)


def laden() -> tuple[Dataset, dict[str, bytes]]:
    """An object with bulk of every kind, and each value by its tag."""
    ds = make_data_set()
    ds.add_new(0x60000010, "US", 512)
    ds.add_new(0x60000011, "US", 512)
    ds.add_new(0x60000040, "CS", "G")
    ds.add_new(0x60000050, "SS", [1, 1])
    ds.add_new(0x60000100, "US", 1)
    ds.add_new(0x60000102, "US", 0)
    ds.add_new(0x60003000, "OW", OVERLAY)
    ds.private_block(0x0029, "LIGHTBOX TEST", create=True).add_new(0x10, "OB", PRIVATE)
    icon = Dataset()
    icon.Rows = icon.Columns = 256
    icon.SamplesPerPixel, icon.PhotometricInterpretation = 1, "MONOCHROME2"
    icon.BitsAllocated, icon.BitsStored, icon.HighBit, icon.PixelRepresentation = 8, 8, 7, 0
    icon.PixelData = ICON
    icon["PixelData"].VR = "OB"
    ds.IconImageSequence = Sequence([icon])
    outer = Dataset()
    inner = Dataset()
    inner.private_block(0x0031, "LIGHTBOX TEST", create=True).add_new(0x10, "UN", PRIVATE[::-1])
    outer.ReferencedImageSequence = Sequence([Dataset(), inner])
    ds.SourceImageSequence = Sequence([outer])
    values = {"60003000": OVERLAY, "00291010": PRIVATE, "00311010": PRIVATE[::-1]}
    return ds, values


def test_trap_12_every_bulk_value_has_a_uri_that_answers(site: TrapPacs) -> None:
    """PS3.18 F.2.2: pixels, overlay, private, nested, waveform, PDF; below the configured public root."""
    ds, values = laden()
    pixels = bytes(ds.PixelData)
    document = b"%PDF-1.4\n\n" + bytes(range(256)) * 300
    pdf = {"SOPClassUID": EncapsulatedPDFStorage, "EncapsulatedDocument": document}
    pdf |= {"MIMETypeOfEncapsulatedDocument": "application/pdf", "Modality": "DOC"} | NO_PIXELS
    ecg = fresh("waveform_ecg.dcm")
    waveforms = [bytes(group.WaveformData) for group in ecg.WaveformSequence]
    implicit, _ = laden()
    objects: list[tuple[bytes, dict[str, list[bytes]]]] = [
        (data, {"7FE00010": [ICON, pixels]} | {tag: [each] for tag, each in values.items()})
        for data in (to_bytes(ds), to_bytes(implicit, ImplicitVRLittleEndian))
    ]
    objects.append((make_object(**pdf), {"00420011": [document]}))
    objects.append((written(ecg), {"54001010": waveforms}))
    for data, expected in objects:
        path = site.store(data)
        found = list(bulk_data(metadata_of(site, path)))
        assert expected.keys() <= {tag for tag, _ in found}
        for tag, uri in found:
            assert uri.startswith(f"{site.root}/{path}/bulkdata/"), uri
            [(headers, payload)] = parts_of(site.get(uri))
            assert headers["content-type"].startswith(OCTETS)
            assert site.get(uri, OCTETS).content == payload
            assert payload in expected.get(tag, [payload])
            assert payload
        assert len(found) >= sum(map(len, expected.values()))
    study = path.partition("/series/")[0]
    assert [uri for each in site.get(f"{study}/metadata", JSON).json() for _, uri in bulk_data(each)] == [
        uri for _, uri in found
    ]


def test_trap_12_pixel_data_are_never_inline_or_missing(site: TrapPacs) -> None:
    """Null or inline pixel data stop viewers; even four bytes are a URI."""
    for data in (make_object(Rows=1, Columns=2, PixelData=b"\1\2\3\4"), written(fresh("JPEG2000.dcm"))):
        pixels = metadata_of(site, site.store(data))["7FE00010"]
        assert sorted(pixels) == ["BulkDataURI", "vr"]


def addresses(found: Any) -> Iterator[str]:
    """Every address in a DICOM JSON answer: BulkDataURI, and values of VR UR."""
    if isinstance(found, list):
        for each in found:
            yield from addresses(each)
    elif isinstance(found, dict):
        if found.get("vr") == "UR":
            yield from found.get("Value", [])
        for name, each in found.items():
            if name == "BulkDataURI":
                yield each
            else:
                yield from addresses(each)


def test_trap_13_no_address_is_relative(site: TrapPacs) -> None:
    """PS3.18 8.4: metadata, search, Store, parts and links, under the host name that the client used."""
    ds, _ = laden()
    answer = site.post([to_bytes(ds)])
    study, series = f"studies/{ds.StudyInstanceUID}", f"series/{ds.SeriesInstanceUID}"
    path = f"{study}/{series}/instances/{ds.SOPInstanceUID}"
    site.store(make_object(StudyInstanceUID=ds.StudyInstanceUID, PatientID=ds.PatientID))
    found = [answer.json()]
    found += [site.get(f"{level}/metadata", JSON).json() for level in (study, f"{study}/{series}", path)]
    searches = ("studies?StudyInstanceUID=" + ds.StudyInstanceUID, f"{study}/series", f"{study}/instances")
    found += [site.get(query, JSON).json() for query in searches]
    for each in found:
        listed = list(addresses(each))
        assert listed
        assert {uri.partition("/studies/")[0] for uri in listed} == {site.root}
        for uri in listed:
            assert not {"..", "."} & set(uri.split("/"))
            assert site.get(uri).status_code == 200, uri
    for resource in ("/frames/1", "/bulkdata/7FE00010", "/pixeldata", ""):
        [(headers, _)] = parts_of(site.get(path + resource))
        assert headers["content-location"].startswith(f"{site.root}/{path}")
    page = site.get("instances?limit=1")
    assert page.links["next"]["url"].startswith(f"{site.root}/instances?")
    elsewhere = f"localhost:{site.live.port}"
    moved = site.get(f"{path}/metadata", JSON, Host=elsewhere).json()
    assert {uri.partition("/studies/")[0] for uri in addresses(moved)} == {f"http://{elsewhere}/dicom-web"}


def test_trap_16_dicom_json_as_viewers_read_it(site: TrapPacs) -> None:
    """PS3.18 F.2: numbers, names, characters, emptiness; in metadata and in search answers."""
    ds = make_data_set(SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientID="JSON-16")
    ds.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    ds.InstanceNumber, ds.SliceThickness = "  7 ", "1.50"
    ds.ImagePositionPatient, ds.PixelSpacing = ["-1.5e2", "0", "+3"], ["0.5", "0.25"]
    ds.StudyDescription, ds.ImageType = "", ["ORIGINAL", "", "AXIAL"]
    ds.ReferencedImageSequence = Sequence([])
    ds.add_new(0x00189073, "FD", float("nan"))
    ds.RequestAttributesSequence = Sequence([Dataset()])
    found = metadata_of(site, site.store(to_bytes(ds)))
    assert found["00200013"] == {"vr": "IS", "Value": [7]}
    assert found["00180050"] == {"vr": "DS", "Value": [1.5]}
    assert found["00200032"] == {"vr": "DS", "Value": [-150, 0, 3]}
    assert found["00280030"]["Value"] == [0.5, 0.25]
    groups = {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}
    assert found["00100010"] == {"vr": "PN", "Value": [groups]}
    assert found["00080005"] == {"vr": "CS", "Value": ["ISO_IR 192"]}
    assert found["00081030"] == {"vr": "LO"}
    assert found["00081140"] == {"vr": "SQ"}
    assert found["00080008"] == {"vr": "CS", "Value": ["ORIGINAL", None, "AXIAL"]}
    assert found["00400275"] == {"vr": "SQ", "Value": [{}]}
    assert all("vr" in element for element in found.values())
    assert not any(element.get("Value") in ([], [None], [""]) for element in found.values())
    [row] = site.get(f"instances?SOPInstanceUID={ds.SOPInstanceUID}&includefield=all", JSON).json()
    assert row["00100010"] == found["00100010"]
    assert row["00200013"] == found["00200013"]
    [study] = site.get(f"studies?StudyInstanceUID={ds.StudyInstanceUID}", JSON).json()
    assert "Value" not in study.get("00081030", {"vr": "LO"})
    odd = make_data_set(ImageComments="x")
    raw = to_bytes(odd).replace(b"IS\x02\x001 ", b"IS\x02\x00x1")
    path = site.store(raw)
    assert metadata_of(site, path)["00200013"]["vr"] == "IS", "what is no number stays readable, not a 500"


def test_trap_17_metadata_hold_the_whole_data_set(site: TrapPacs) -> None:
    """PS3.18 10.4.1.1.2: module tags, functional groups, private attributes; and in which syntax it is to be had."""
    measures, position, shared, frame = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.5, 0.5], 2
    shared.PixelMeasuresSequence = Sequence([measures])
    position.ImagePositionPatient = [1, 2, 3]
    frame.PlanePositionSequence = Sequence([position])
    ds = make_data_set(SOPClassUID=EnhancedCTImageStorage, NumberOfFrames=2, PixelData=bytes(768))
    ds.SharedFunctionalGroupsSequence = Sequence([shared])
    ds.PerFrameFunctionalGroupsSequence = Sequence([frame, frame])
    ds.ImageOrientationPatient, ds.RescaleSlope, ds.RescaleIntercept = [1, 0, 0, 0, 1, 0], 2, -1024
    ds.private_block(0x0009, "LIGHTBOX TEST", create=True).add_new(0x01, "LO", "small")
    found = metadata_of(site, site.store(to_bytes(ds)))
    assert {f"{element.tag:08X}" for element in ds} <= found.keys()
    module: dict[str, Any] = {
        "00280010": 12,
        "00280011": 16,
        "00280100": 16,
        "00280101": 12,
        "00280102": 11,
        "00280103": 0,
    }
    module |= {"00280002": 1, "00280004": "MONOCHROME2", "00280008": 2, "00281053": 2, "00281052": -1024}
    assert {tag: found[tag]["Value"][0] for tag in module} == module
    assert found["00200037"]["Value"] == [1, 0, 0, 0, 1, 0]
    [groups] = found["52009229"]["Value"]
    assert groups["00289110"]["Value"][0]["00280030"]["Value"] == [0.5, 0.5]
    assert [item["00209113"]["Value"][0]["00200032"]["Value"] for item in found["52009230"]["Value"]] == [[1, 2, 3]] * 2
    assert found["00091001"]["Value"] == ["small"]
    assert found["00083002"] == {"vr": "UI", "Value": [EXPLICIT_VR_LITTLE_ENDIAN.uid]}
    assert not any(tag.startswith("0002") for tag in found)


def test_trap_18_preflight_is_open_and_errors_carry_the_headers(site: TrapPacs) -> None:
    """Fetch 4.8: a browser shows a viewer no status and no header that isn't allowed, whatever went wrong."""
    wanted = {"accept", "authorization", "content-type", "range", "if-none-match"}
    for path in ("studies", "studies/1.2/metadata", "studies/1.2/series/3/instances/4/frames/1"):
        for method in ("GET", "POST"):
            answer = site.raw(
                "OPTIONS",
                f"/dicom-web/{path}",
                (
                    f"Origin: {VIEWER}",
                    f"Access-Control-Request-Method: {method}",
                    f"Access-Control-Request-Headers: {','.join(sorted(wanted))}",
                ),
            )
            assert answer.status in (200, 204)
            assert answer.header("Access-Control-Allow-Origin") == VIEWER
            assert wanted <= set(answer.header("Access-Control-Allow-Headers").split(", "))
            assert {"GET", "POST", "DELETE", "OPTIONS"} <= set(
                answer.header("Access-Control-Allow-Methods").split(", ")
            )
    evil = ("Origin: https://evil.example", "Access-Control-Request-Method: GET")
    foreign = site.raw("OPTIONS", "/dicom-web/studies", evil)
    assert foreign.header("Access-Control-Allow-Origin") == ""
    data = make_object()
    path = site.store(data)
    site.object_file(data).unlink()
    nobody, allowed = generate_uid(), {"Origin": VIEWER}
    answers = {
        200: site.get("studies?limit=1", **allowed),
        400: site.get("studies?limit=x", **allowed),
        404: site.get(f"studies/{nobody}", **allowed),
        405: site.session.put(f"{site.root}/studies", headers=allowed, timeout=30),
        406: site.get(f"{path}/metadata", "text/csv", **allowed),
        415: site.session.post(
            f"{site.root}/studies", data=b"x", headers=allowed | {"Content-Type": "a/b"}, timeout=30
        ),
        416: site.get(f"{path}/frames/1", OCTETS, Range="bytes=99999-", **allowed),
        503: site.get(f"{path}/frames/1", OCTETS, **allowed),
    }
    exposed = {"Content-Type", "Content-Range", "ETag", "Warning", "Content-Location"}
    for status, told in answers.items():
        assert told.headers["Access-Control-Allow-Origin"] == VIEWER, status
        assert exposed <= set(told.headers["Access-Control-Expose-Headers"].split(", "))
        assert "origin" in told.headers["Vary"].lower()
        if status != 200:
            problem_of(told, status)
    stranger = site.raw("GET", "/dicom-web/studies", [f"Origin: {VIEWER}"])
    assert (stranger.status, stranger.header("Access-Control-Allow-Origin")) == (401, VIEWER)
    assert stranger.header("WWW-Authenticate")
