"""Text under every Specific Character Set (PS3.3 C.12.1.1.2, PS3.5 Annexes H to K)."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom.charsets import character_set, parse_terms

ESC = b"\x1b"
# The examples of PS3.5 H.3.1, H.3.2, I.2, J.3, K.2, and one name in each single-byte set
NAMES: dict[str, tuple[str, bytes, str]] = {
    "default": ("", b"Yamada^Tarou", "Yamada^Tarou"),
    "PS3.5 H.3.1": (
        "\\ISO 2022 IR 87",
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    ),
    "PS3.5 H.3.2": (
        "ISO 2022 IR 13\\ISO 2022 IR 87",
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    ),
    "PS3.5 I.2": (
        "\\ISO 2022 IR 149",
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        "Hong^Gildong=洪^吉洞=홍^길동",
    ),
    "PS3.5 J.3": ("ISO_IR 192", "Wang^XiaoDong=王^小東=".encode(), "Wang^XiaoDong=王^小東="),
    "PS3.5 J.4": ("GB18030", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=", "Wang^XiaoDong=王^小东="),
    "PS3.5 K.2": (
        "\\ISO 2022 IR 58",
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
        "Zhang^XiaoDong=张^小东=",
    ),
    "GBK": ("GBK", b"Li=\xc0\xee", "Li=李"),
    "JIS X 0212": ("\\ISO 2022 IR 159", b"A=" + ESC + b"$(D\x30\x21" + ESC + b"(B", "A=丂"),
    "IR 100": ("ISO_IR 100", b"Buc^J\xe9r\xf4me", "Buc^Jérôme"),
    "IR 101": ("ISO_IR 101", "Wałęsa".encode("iso8859_2"), "Wałęsa"),
    "IR 109": ("ISO_IR 109", "Ĉapelo".encode("iso8859_3"), "Ĉapelo"),
    "IR 110": ("ISO_IR 110", "Āboliņš".encode("iso8859_4"), "Āboliņš"),
    "IR 144": ("ISO_IR 144", "Люкceмбypг".encode("iso8859_5"), "Люкceмбypг"),
    "IR 127": ("ISO_IR 127", "قباني".encode("iso8859_6"), "قباني"),
    "IR 126": ("ISO_IR 126", "Διονυσιος".encode("iso8859_7"), "Διονυσιος"),
    "IR 138": ("ISO_IR 138", "שרון".encode("iso8859_8"), "שרון"),
    "IR 148": ("ISO_IR 148", "Çavuşoğlu".encode("iso8859_9"), "Çavuşoğlu"),
    "IR 203": ("ISO_IR 203", "Œuvre €".encode("iso8859_15"), "Œuvre €"),
    "IR 166": ("ISO_IR 166", "สมชาย".encode("iso8859_11"), "สมชาย"),
    "IR 13": ("ISO_IR 13", b"\xd4\xcf\xc0\xde", "ﾔﾏﾀﾞ"),
    "back to the first set after a delimiter": (
        "ISO 2022 IR 100\\ISO 2022 IR 144",
        b"J\xe9r\xf4me=" + ESC + b"-L" + "Люк".encode("iso8859_5") + b"=J\xe9",
        "Jérôme=Люк=Jé",
    ),
    "misspelled": ("ISO-IR 100", b"J\xe9", "Jé"),
    "spelled otherwise": ("UTF-8", "Jé".encode(), "Jé"),
    "undeclared UTF-8": ("", "Jürgen".encode(), "Jürgen"),
    "undeclared Latin-1": ("", b"J\xfcrgen", "Jürgen"),
    "UTF-8 declared, Latin-1 found": ("ISO_IR 192", b"J\xfcrgen", "Jürgen"),
    "unknown set": ("KLINGON", b"J\xfcrgen", "Jürgen"),
    "Korean without escape": ("\\ISO 2022 IR 149", b"\xc8\xab", "홍"),
    "NUL": ("ISO_IR 100", b"A\0B\xe9\0", "ABé"),
    "escape cut off": ("\\ISO 2022 IR 87", b"A" + ESC, "A"),
    "pair cut off": ("\\ISO 2022 IR 87", b"A" + ESC + b"$B;3;", "A山;"),
}


@pytest.mark.parametrize(("terms", "value", "expected"), NAMES.values(), ids=NAMES)
def test_a_name(terms: str, value: bytes, expected: str) -> None:
    assert character_set(parse_terms(terms.encode())).decode(value, b"PN") == expected


def test_a_backslash_inside_a_character_does_not_split_it() -> None:
    # the second byte of the character is 05/12; the delimiter behind it is one
    assert character_set(("GB18030",)).decode("乗\\A".encode("gb18030")) == "乗\\A"
    assert b"\\" in "乗".encode("gb18030")


def test_delimiters_of_names_mean_nothing_in_other_texts() -> None:
    value = ESC + b"-L" + "Люк=^Люк".encode("iso8859_5")
    characters = character_set(("ISO 2022 IR 100", "ISO 2022 IR 144"))
    assert characters.decode(value, b"LT") == "Люк=^Люк"
    assert characters.decode(value, b"PN") != "Люк=^Люк"
    assert characters.decode(ESC + b"-L\xbb\r\n\xe9", b"LT") == "Л\r\né"


def test_unknown_terms_are_named() -> None:
    assert character_set(("KLINGON", "ISO_IR 100", "")).unknown == ("KLINGON",)
    assert character_set(("ISO_IR 192",)).unknown == ()
    assert character_set(("", "ISO 2022 IR 87", "ISO 2022 IR 159")).unknown == ()


TERMS = [name[0] for name in NAMES.values()] + ["ISO 2022 IR 6\\ISO 2022 IR 58\\ISO 2022 IR 149\\ISO 2022 IR 159"]
FRAGMENTS = [ESC + escape for escape in (b"$B", b"$(D", b"$)C", b"$)A", b"(J", b")I", b"-L", b"-Z", b"", b"$")]


@given(
    st.sampled_from(TERMS),
    st.lists(st.one_of(st.binary(max_size=6), st.sampled_from(FRAGMENTS)), max_size=12),
    st.sampled_from([b"PN", b"LO", b"LT"]),
)
def test_any_bytes_become_text_that_can_be_stored(terms: str, pieces: list[bytes], vr: bytes) -> None:
    text = character_set(parse_terms(terms.encode())).decode(b"".join(pieces), vr)
    assert "\0" not in text
    assert "\x1b" not in text or terms in ("ISO_IR 192", "GB18030", "GBK", "UTF-8")
    orjson.dumps(text)  # refuses lone surrogates


@given(st.text(alphabet=st.characters(codec="gb18030", exclude_characters="\0\\"), max_size=20))
def test_gb18030_and_utf8_round_trip(text: str) -> None:
    assert character_set(("GB18030",)).decode(text.encode("gb18030")) == text
    assert character_set(("ISO_IR 192",)).decode(text.encode()) == text
