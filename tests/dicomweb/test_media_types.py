"""Content negotiation of PS3.18 8.7, rule by rule and with what real clients send."""

import pytest
from dicomweb_client.web import DICOMwebClient
from hypothesis import given, settings
from hypothesis import strategies as st

from dicom.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    HTJ2K_LOSSLESS,
    HTJ2K_LOSSLESS_RPCL,
    JPEG_2000_LOSSLESS,
    JPEG_BASELINE,
    JPEG_LOSSLESS_SV1,
    JPEG_LS_LOSSLESS,
    MPEG4_HIGH_41,
    RLE_LOSSLESS,
)
from dicomweb.media_types import DEFAULT_TRANSFER_SYNTAX_UIDS, Representation, choose, parse_accept

ELE = EXPLICIT_VR_LITTLE_ENDIAN.uid
J2K = JPEG_2000_LOSSLESS.uid
JPEG = JPEG_BASELINE.uid
MP4 = MPEG4_HIGH_41.uid
OCTETS = "application/octet-stream"
DICOM = "application/dicom"

JSON = Representation("application/dicom+json", None, multipart=False)
XML = Representation("application/dicom+xml", None, multipart=True)
METADATA = [JSON, XML]

NATIVE = Representation(OCTETS, ELE, multipart=True, as_stored=True)
NATIVE_SINGLE = Representation(OCTETS, ELE, multipart=False, as_stored=True)
NATIVE_FRAME = [NATIVE, NATIVE_SINGLE]

J2K_OCTETS = Representation(OCTETS, J2K, multipart=True, as_stored=True)
J2K_IMAGE = Representation("image/jp2", J2K, multipart=True, as_stored=True)
DECODED = Representation(OCTETS, ELE, multipart=True)
J2K_SINGLE = Representation("image/jp2", J2K, multipart=False, as_stored=True)
DECODED_SINGLE = Representation(OCTETS, ELE, multipart=False)
J2K_FRAME = [J2K_OCTETS, J2K_IMAGE, DECODED, J2K_SINGLE, DECODED_SINGLE]

BASELINE_IMAGE = Representation("image/jpeg", JPEG, multipart=True, as_stored=True)
BASELINE_FRAME = [BASELINE_IMAGE, DECODED]

INSTANCE = Representation(DICOM, J2K, multipart=True, as_stored=True)
INSTANCE_DECODED = Representation(DICOM, ELE, multipart=True)
INSTANCE_SINGLE = Representation(DICOM, J2K, multipart=False, as_stored=True)
INSTANCES = [INSTANCE, INSTANCE_DECODED, INSTANCE_SINGLE]
STUDY = [Representation(DICOM, None, multipart=True, as_stored=True)]
UNDECODABLE = [INSTANCE, INSTANCE_SINGLE]

RENDERED_JPEG = Representation("image/jpeg", None, multipart=False)
RENDERED_PNG = Representation("image/png", None, multipart=False)
RENDERED_GIF = Representation("image/gif", None, multipart=False)
RENDERED = [RENDERED_JPEG, RENDERED_PNG, RENDERED_GIF]

PDF = Representation("application/pdf", None, multipart=False)
PDF_OCTETS = Representation(OCTETS, ELE, multipart=True, as_stored=True)
PDF_OCTETS_SINGLE = Representation(OCTETS, ELE, multipart=False, as_stored=True)
DOCUMENT = [PDF_OCTETS, PDF, PDF_OCTETS_SINGLE]

VIDEO = Representation("video/mp4", MP4, multipart=False, as_stored=True)
VIDEO_MULTI = Representation("video/mp4", MP4, multipart=True, as_stored=True)
JPEG_LS = Representation("image/jls", JPEG_LS_LOSSLESS.uid, multipart=True)
RLE = Representation("image/dicom-rle", RLE_LOSSLESS.uid, multipart=True)
MOVIE = [VIDEO, VIDEO_MULTI]

CHROME_PAGE = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
    "application/signed-exchange;v=b3;q=0.7"
)
CHROME_IMAGE = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
FIREFOX_PAGE = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
JAVA = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"

CASES: dict[str, list[tuple[str | None, list[Representation], Representation | None]]] = {
    "rule 1: nothing said, first offer": [
        (None, J2K_FRAME, J2K_OCTETS),
        ("", J2K_FRAME, J2K_OCTETS),
        (" , ,", METADATA, JSON),
        ("not a media type", METADATA, JSON),
        (None, [], None),
    ],
    "rule 3: q, RFC 9110 12.4.2": [
        ("image/png, image/jpeg;q=0.9", RENDERED, RENDERED_PNG),
        ("image/png;q=0.1, image/gif;q=0.2", RENDERED, RENDERED_GIF),
        ("image/png;Q=0.5,image/gif; q = 0.6", RENDERED, RENDERED_GIF),
        ('image/png;q="0.5", image/gif;q="0.6"', RENDERED, RENDERED_GIF),
        ("image/png;q=.5, image/gif;q=1.", RENDERED, RENDERED_GIF),
        ("image/png;q=0.999, image/gif;q=1.000", RENDERED, RENDERED_GIF),
        ("image/gif, image/png", RENDERED, RENDERED_PNG),
        ("image/gif;q=1.9, image/png;q=1", RENDERED, RENDERED_PNG),
        ("image/gif;q=high, image/png;q=0.9", RENDERED, RENDERED_GIF),
        ("image/gif;q=nan, image/png;q=0.9", RENDERED, RENDERED_GIF),
        ("image/jpeg;q=0", RENDERED, None),
        ("*/*;q=0", RENDERED, None),
        ("image/jpeg;q=0, */*", RENDERED, RENDERED_PNG),
        ("*/*, image/jpeg;q=0, image/png;q=0.000", RENDERED, RENDERED_GIF),
        ("image/*;q=0, */*", RENDERED, None),
        ("image/*;q=0.5, image/png;q=0.1, */*;q=0.9", RENDERED, RENDERED_JPEG),
        ("application/dicom+json;q=0, */*", METADATA, XML),
        (f"multipart/related; type={OCTETS}; transfer-syntax={J2K};q=0, */*", J2K_FRAME, J2K_IMAGE),
        (f"multipart/related; type={OCTETS};q=0, multipart/related; type={OCTETS}; transfer-syntax=*", [DECODED], None),
        (f"multipart/related; type={OCTETS}; transfer-syntax={ELE};q=0, multipart/*;q=0.1", [DECODED], None),
        (
            f"multipart/related; type={OCTETS}; transfer-syntax=*;q=0.2, multipart/related; type={OCTETS}",
            J2K_FRAME,
            DECODED,
        ),
    ],
    "rule 3: named before wildcard at equal q, 8.7.8.1": [
        ("*/*, image/gif", RENDERED, RENDERED_GIF),
        ("image/*, image/gif", RENDERED, RENDERED_GIF),
        ("image/gif;q=0.5, image/*", RENDERED, RENDERED_JPEG),
        ('multipart/related, multipart/related; type="application/dicom+xml"', METADATA, XML),
        ("*/*, multipart/*", METADATA, XML),
    ],
    "rule 4: ranges": [
        ("*/*", J2K_FRAME, J2K_OCTETS),
        ("*", J2K_FRAME, J2K_OCTETS),
        ("*/*", MOVIE, VIDEO),
        ("multipart/related", J2K_FRAME, J2K_OCTETS),
        ("multipart/*", J2K_FRAME, J2K_OCTETS),
        ('multipart/related; type="*/*"', J2K_FRAME, J2K_OCTETS),
        ("multipart/related; type=*/*", J2K_FRAME, J2K_OCTETS),
        ("multipart/related; type=*", J2K_FRAME, J2K_OCTETS),
        ('multipart/related; type="image/*"', J2K_FRAME, J2K_IMAGE),
        ('multipart/related; type="image/"', J2K_FRAME, J2K_IMAGE),
        ("MULTIPART/Related; TYPE=Image/JP2", J2K_FRAME, J2K_IMAGE),
        ("image/*", J2K_FRAME, J2K_SINGLE),
        ("text/*", J2K_FRAME, None),
        ("image/*", METADATA, None),
        ("application/*", METADATA, JSON),
        ("multipart/form-data", J2K_FRAME, None),
        ("multipart/mixed; type=image/jp2", J2K_FRAME, None),
        ("multipart/related; type=bad", J2K_FRAME, J2K_OCTETS),  # unreadable, so passed over: rule 1
    ],
    "rule 4: single part only to who asks for it, 10.4.4": [
        ("image/jp2", J2K_FRAME, J2K_SINGLE),
        (OCTETS, J2K_FRAME, DECODED_SINGLE),
        (DICOM, INSTANCES, INSTANCE_SINGLE),
        (DICOM, STUDY, None),
        ("image/jpeg", BASELINE_FRAME, None),
        ('multipart/related; type="image/jpeg"', RENDERED, None),
        ("multipart/related; type=application/dicom+json", METADATA, None),
        ("application/dicom+xml", METADATA, None),
    ],
    "rule 5: transfer-syntax, 8.7.3.5.2": [
        (f"multipart/related; type={OCTETS}; transfer-syntax=*", J2K_FRAME, J2K_OCTETS),
        (f"multipart/related; type={OCTETS}; transfer-syntax={ELE}", J2K_FRAME, DECODED),
        (f'multipart/related; type="{OCTETS}"; transfer-syntax="{ELE}"', J2K_FRAME, DECODED),
        (f'multipart/related; type="{OCTETS}";Transfer-Syntax="{ELE}";q=0.3', J2K_FRAME, DECODED),
        (f"multipart/related; type=image/jp2; transfer-syntax={ELE}", J2K_FRAME, None),
        (f"multipart/related; type={DICOM}; transfer-syntax=*", INSTANCES[::-1], INSTANCE),
        (f"multipart/related; type={DICOM}; transfer-syntax=*", [INSTANCE_DECODED, INSTANCE], INSTANCE),
        (f"{DICOM}; transfer-syntax={J2K}", INSTANCES, INSTANCE_SINGLE),
        (f"{DICOM}; transfer-syntax={JPEG}", INSTANCES, None),
        (f'multipart/related; type="*/*"; transfer-syntax={ELE}', J2K_FRAME, DECODED),
        (f'multipart/related; type="{OCTETS}; transfer-syntax=*"', J2K_FRAME, J2K_OCTETS),
        (f'multipart/related; type="{OCTETS}; transfer-syntax={ELE}"', J2K_FRAME, DECODED),
        (
            # The example in the Note of 8.7.3.5.2, the boundary that is no token included.
            f'multipart/related; type="{DICOM}";transfer-syntax={JPEG};boundary=**, '
            f'multipart/related; type="{DICOM}";transfer-syntax={J2K};q=0.5;boundary=**',
            INSTANCES,
            INSTANCE,
        ),
    ],
    "rule 6: the default of the media type, 8.7.3": [
        (f"multipart/related; type={OCTETS}", J2K_FRAME, DECODED),
        (f'multipart/related; type="{DICOM}"', INSTANCES, INSTANCE_DECODED),
        ("multipart/related; type=image/jp2", J2K_FRAME, J2K_IMAGE),
        (f"multipart/related; type={OCTETS};transfer-syntax=", J2K_FRAME, DECODED),
        # The default cannot be given: as stored, and it says so.
        ('multipart/related; type="image/jpeg"', BASELINE_FRAME, BASELINE_IMAGE),
        (f'multipart/related; type="{DICOM}"', UNDECODABLE, INSTANCE),
        (DICOM, UNDECODABLE, INSTANCE_SINGLE),
        (f"multipart/related; type={OCTETS}", [J2K_IMAGE, J2K_OCTETS], J2K_OCTETS),
        (f"multipart/related; type={OCTETS}", [Representation(OCTETS, JPEG, True), J2K_OCTETS], J2K_OCTETS),
        (f"multipart/related; type={DICOM};q=0", UNDECODABLE, None),
        # Something else that fits exactly goes before.
        (
            "multipart/related; type=image/jpeg, multipart/related; type=application/octet-stream",
            BASELINE_FRAME,
            DECODED,
        ),
    ],
    "rule 7: offers without a transfer syntax": [
        (f'multipart/related; type="{DICOM}"; transfer-syntax=*', STUDY, STUDY[0]),
        (f'multipart/related; type="{DICOM}"', STUDY, STUDY[0]),
        (f'multipart/related; type="{DICOM}"; transfer-syntax={ELE}', STUDY, None),
        (f"image/jpeg; transfer-syntax={JPEG}", RENDERED, RENDERED_JPEG),
        ("application/dicom+json; transfer-syntax=*", METADATA, JSON),
    ],
    "rule 8: other names": [
        ("application/json", METADATA, JSON),
        ("Application/JSON; charset=utf-8", METADATA, JSON),
        ("image/jpg", RENDERED, RENDERED_JPEG),
        ('multipart/related; type="image/x-jls"', [JPEG_LS], JPEG_LS),
        (
            'multipart/related; type="image/x-dicom-rle"',
            [RLE],
            RLE,
        ),
    ],
    "rule 9: parameters that do not matter, 8.7.3.5.3": [
        ("application/dicom+json; charset=ISO-8859-1", METADATA, JSON),
        ('multipart/related; type="application/dicom+xml"; charset="utf-8"; start=1; level=3', METADATA, XML),
        ('application/dicom+json; note="a, b; q=0"', METADATA, JSON),
        ('multipart/related; type="application/dicom+xml"; boundary="x,y\\"z"', METADATA, XML),
    ],
    "OHIF and Cornerstone, traps 1, 2 and 10": [
        ("multipart/related; type=application/octet-stream; transfer-syntax=*", NATIVE_FRAME, NATIVE),
        ("multipart/related; type=application/octet-stream; transfer-syntax=*", J2K_FRAME, J2K_OCTETS),
        ('multipart/related; type="application/octet-stream"; transfer-syntax=*', J2K_FRAME, J2K_OCTETS),
        ("multipart/related; type=application/octet-stream; transfer-syntax=*", DOCUMENT, PDF_OCTETS),
        (f'multipart/related; type="image/jphc"; transfer-syntax={HTJ2K_LOSSLESS_RPCL.uid}', J2K_FRAME, None),
        (
            'multipart/related; type="image/jls"; q=1, multipart/related; type="application/octet-stream"; q=0.1',
            J2K_FRAME,
            DECODED,
        ),
        ("application/dicom+json", METADATA, JSON),
        ("application/dicom+json, multipart/related; type=application/octet-stream; transfer-syntax=*", METADATA, JSON),
        ('application/dicom+json, multipart/related; type="application/dicom+xml"', METADATA, JSON),
        ("image/jpeg", RENDERED, RENDERED_JPEG),
        ("application/pdf", DOCUMENT, PDF),
        ("video/mp4", MOVIE, VIDEO),
    ],
    "JavaScript dicomweb-client": [
        (
            f'multipart/related; type="image/jpeg"; transfer-syntax={JPEG}, '
            f'multipart/related; type="image/jp2"; transfer-syntax={J2K}, '
            f'multipart/related; type="application/octet-stream"; transfer-syntax=*',
            J2K_FRAME,
            J2K_OCTETS,
        ),
        (f'multipart/related; type="application/octet-stream"; transfer-syntax={ELE}', NATIVE_FRAME, NATIVE),
    ],
    "browsers": [
        (CHROME_PAGE, RENDERED, RENDERED_JPEG),
        (CHROME_PAGE, METADATA, JSON),
        (CHROME_PAGE, J2K_FRAME, J2K_OCTETS),
        (CHROME_IMAGE, RENDERED, RENDERED_JPEG),
        (CHROME_IMAGE, [RENDERED_PNG, RENDERED_JPEG], RENDERED_PNG),
        (FIREFOX_PAGE, METADATA, JSON),
        (FIREFOX_PAGE, INSTANCES, INSTANCE),
        ("*/*", RENDERED, RENDERED_JPEG),
        (JAVA, METADATA, JSON),
        (JAVA, RENDERED, RENDERED_JPEG),
    ],
}


@pytest.mark.parametrize(
    ("accept", "offers", "expected"),
    [
        pytest.param(*case, id=f"{rule} [{number}]")
        for rule, cases in CASES.items()
        for number, case in enumerate(cases, 1)
    ],
)
def test_accept_header(accept: str | None, offers: list[Representation], expected: Representation | None) -> None:
    assert choose(accept, None, offers) is expected


QUERIES = [
    # accept query, Accept header, offers, expected: PS3.18 8.3.3.1 and 8.7.8.1
    ("image/png", "image/jpeg", RENDERED, RENDERED_PNG),
    ("image/png", None, RENDERED, RENDERED_PNG),
    ("image/png", CHROME_IMAGE, RENDERED, RENDERED_PNG),
    ("image/png;q=0.1,image/gif;q=0.2", "*/*", RENDERED, RENDERED_GIF),
    ("image/bmp", "image/gif", RENDERED, RENDERED_GIF),
    ("image/bmp", "*/*", RENDERED, RENDERED_JPEG),
    ("image/bmp", None, RENDERED, None),
    ("image/bmp", "", RENDERED, None),
    ("image/bmp", "text/html", RENDERED, None),
    ("", "image/gif", RENDERED, RENDERED_GIF),
    ("", None, RENDERED, RENDERED_JPEG),
    ("unreadable", "image/gif", RENDERED, RENDERED_GIF),
    # The plus of `?accept=application/dicom+json` arrives as a space.
    ("application/dicom json", CHROME_PAGE, METADATA, JSON),
    ("application/dicom+json", CHROME_PAGE, METADATA, JSON),
    ('multipart/related; type="application/dicom xml"', "application/json", METADATA, XML),
    (f"multipart/related; type={OCTETS}; transfer-syntax={ELE}", "*/*", J2K_FRAME, DECODED),
]


@pytest.mark.parametrize(("query", "accept", "offers", "expected"), QUERIES)
def test_accept_query_parameter(
    query: str, accept: str | None, offers: list[Representation], expected: Representation | None
) -> None:
    assert choose(accept, query, offers) is expected


def test_dicomweb_client_frames_instances_and_bulk_data() -> None:
    """The Accept strings of the installed Python client, made by the client itself."""
    build = DICOMwebClient._build_multipart_accept_header_field_value
    table = {ELE: OCTETS, J2K: "image/jp2", JPEG: "image/jpeg"}

    def accept(*media_types: str | tuple[str, str]) -> str:
        return build(media_types, table)

    assert accept("*/*") == 'multipart/related; type="*/*"'
    assert choose(accept("*/*"), None, J2K_FRAME) is J2K_OCTETS
    assert choose(accept("image/*"), None, J2K_FRAME) is J2K_IMAGE
    assert choose(accept("image/"), None, J2K_FRAME) is J2K_IMAGE
    assert choose(accept((OCTETS, "*")), None, J2K_FRAME) is J2K_OCTETS
    assert choose(accept((OCTETS, ELE)), None, J2K_FRAME) is DECODED
    assert choose(accept(("image/jpeg", JPEG), ("image/jp2", J2K)), None, J2K_FRAME) is J2K_IMAGE
    assert choose(build((DICOM,), {ELE: DICOM}), None, STUDY) is STUDY[0]
    assert choose(build(((DICOM, "*"),), {ELE: DICOM}), None, INSTANCES) is INSTANCE
    assert choose("application/dicom+json, application/json", None, METADATA) is JSON
    single = DICOMwebClient._build_accept_header_field_value(("image/png", "image/jpeg"), {"image/png", "image/jpeg"})
    assert choose(single, None, RENDERED) is RENDERED_JPEG


def test_requests_default_accept_is_an_acceptable_default() -> None:
    assert DICOMwebClient("http://localhost")._session.headers["Accept"] == "*/*"


def test_defaults_are_those_of_tables_8_7_3() -> None:
    assert DEFAULT_TRANSFER_SYNTAX_UIDS["application/dicom"] == ELE
    assert DEFAULT_TRANSFER_SYNTAX_UIDS["application/octet-stream"] == ELE
    assert DEFAULT_TRANSFER_SYNTAX_UIDS["image/jpeg"] == JPEG_LOSSLESS_SV1.uid
    assert DEFAULT_TRANSFER_SYNTAX_UIDS["image/jphc"] == HTJ2K_LOSSLESS.uid
    offers = [Representation("image/jpeg", uid, True) for uid in (JPEG, JPEG_LOSSLESS_SV1.uid)]
    assert choose("multipart/related; type=image/jpeg", None, offers) is offers[1]


def test_content_type_names_the_transfer_syntax_8_7_9() -> None:
    assert J2K_OCTETS.content_type == f"application/octet-stream; transfer-syntax={J2K}"
    assert JSON.content_type == "application/dicom+json"


def test_parse_accept_keeps_order_and_passes_over_rubbish() -> None:
    found = parse_accept('image/png, ???, "lonely, quote", multipart/related;type="image/jp2";q=0.5, /, image/gif;q=2')
    assert [(each.media_type, each.multipart, each.quality) for each in found] == [
        ("image/png", False, 1.0),
        ("image/jp2", True, 0.5),
        ("image/gif", False, 1.0),
    ]


PIECES = st.sampled_from(
    [
        *';, ="\\',
        "multipart/related",
        "*/*",
        "*",
        "image/jp2",
        "image/",
        OCTETS,
        "application/dicom+json",
        "type=",
        "q=",
        "0",
        "0.5",
        "1",
        "transfer-syntax=",
        ELE,
        J2K,
    ]
)
offer_list = st.lists(st.sampled_from([*J2K_FRAME, *METADATA, *INSTANCES, *RENDERED, *STUDY]), max_size=6)


@settings(max_examples=500, deadline=None)
@given(st.lists(PIECES, max_size=25).map("".join) | st.text(max_size=80), st.none() | st.text(max_size=20), offer_list)
def test_anything_gives_an_offer_or_nothing(accept: str, query: str | None, offers: list[Representation]) -> None:
    chosen = choose(accept, query, offers)
    assert chosen is None or chosen in offers


@settings(max_examples=200, deadline=None)
@given(offer_list)
def test_accept_of_an_offers_own_content_type_gets_it(offers: list[Representation]) -> None:
    for offer in offers:
        syntax = f"; transfer-syntax={offer.transfer_syntax_uid or '*'}"
        media_type = f'multipart/related; type="{offer.media_type}"' if offer.multipart else offer.media_type
        chosen = choose(media_type + syntax, None, offers)
        assert chosen is not None
        assert (chosen.media_type, chosen.multipart) == (offer.media_type, offer.multipart)
        assert offer.transfer_syntax_uid in (None, chosen.transfer_syntax_uid)


def test_long_headers_take_no_time() -> None:
    """Nothing here is worse than linear; these would take minutes otherwise."""
    for text in ('"' * 50_000, "a/b;" * 20_000, "\\" * 50_000, '"\\' * 30_000, "a/b; x=" + " " * 50_000, "," * 50_000):
        choose(text, text, J2K_FRAME)
