"""The content tree of a structured report as lines, pages, text and HTML (PS3.3 C.17.3)."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
import orjson
import pytest
from pydicom.dataset import Dataset

from dicom.lettering import Lettering
from dicom.page_picture import HEIGHT, MAXIMUM_PAGES, WIDTH, Line, draw_page, pages_of
from dicom.report import MAXIMUM_LINES, report_lines
from dicom.report_picture import draw_report_page
from dicom.report_text import as_html, as_plain_text
from dicom.windowing import RenderingError
from tests.dicom.documents import as_json, code, content, json_text, packaged, report
from tests.dicomweb.objects import to_bytes


def said(ds: Dataset) -> list[str]:
    return [line.text for line in report_lines(as_json(to_bytes(ds)))]


def number(value: str, unit: str = "mm") -> list[Dataset]:
    measured = Dataset()
    measured.NumericValue = value
    measured.MeasurementUnitsCodeSequence = code("millimetre", unit, "UCUM")
    return [measured]


def test_each_kind_of_value_in_plain_words() -> None:
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3"
    reference.ReferencedFrameNumber = [5, 7]
    ds = report(
        [
            content("TEXT", "Finding", TextValue="No effusion.\r\nNo air."),
            content("NUM", "Diameter", MeasuredValueSequence=number("12.5")),
            content("NUM", "Ratio", MeasuredValueSequence=number("0.5", "1")),
            content("NUM", "Count", MeasuredValueSequence=[], NumericValueQualifierCodeSequence=code("Not a number")),
            content("CODE", "Side", ConceptCodeSequence=code("Left")),
            content("DATETIME", "Taken", DateTime="20240305101530.5+0100"),
            content("DATE", "Day", Date="20240305"),
            content("TIME", "Hour", Time="1015"),
            content("PNAME", "Reader", PersonName="Roe^Rita=Ideo^Graph"),
            content("UIDREF", "Tracking", UID="1.2.3.4"),
            content("IMAGE", "Source", ReferencedSOPSequence=[reference]),
            content("SCOORD", "Region", GraphicType="CIRCLE", GraphicData=[1.0, 2.0, 3.0, 4.0]),
            content("CONTAINER", "Section", [content("TEXT", "Inside", TextValue="deep")]),
            content("ODD", "Unknown"),
            content("TEXT", "Nothing"),
        ],
        title="Chest CT",
        CompletionFlag="PARTIAL",
        VerificationFlag="UNVERIFIED",
    )
    lines = said(ds)
    assert lines[0] == "Chest CT"
    assert "Doe Jane" in lines[1]
    assert "1970-01-02" in lines[1]
    assert "Partial · not verified" in lines
    assert lines[4:] == [
        "Finding: No effusion.\r\nNo air.",
        "Diameter: 12.5 mm",
        "Ratio: 0.5",
        "Count: Not a number",
        "Side: Left",
        "Taken: 2024-03-05 10:15:30 +0100",
        "Day: 2024-03-05",
        "Hour: 10:15",
        "Reader: Roe Rita (Ideo Graph)",
        "Tracking: 1.2.3.4",
        "Source: CT Image, frame 5, 7",
        "Region: circle at 1, 2, 3, 4",
        "Section",
        "Inside: deep",
        "Unknown: an item of type ODD, which is not shown",
        "Nothing: (empty)",
    ]


@pytest.mark.parametrize("name", ["reportsi.dcm", "test-SR.dcm", "reportsi_with_empty_number_tags.dcm"])
def test_packaged_reports_are_pages(name: str) -> None:
    count, picture = draw_report_page(json_text(packaged(name)), 1)
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert count >= 1
    assert 0.005 < (picture < 128).mean() < 0.2, "black on white"
    assert draw_report_page(json_text(packaged(name)), count + 1)[1].size == 0


def test_letters_of_europe_are_written_and_others_are_boxes_with_their_code() -> None:
    letters = Lettering(20)
    for text in ("Größe µm² ½ ≥ 3 ℃", "Łódź Čapek Ångström", "Ελληνικά", "Кириллица", "العربية"):
        assert letters.width(text) > 20
    pages = pages_of([Line(0, "日本語")])
    picture = draw_page(pages, 1)
    assert (picture < 128).sum() > 100, "three boxes"
    # one box is as wide as another, whatever it stands for
    assert letters.width("日本語") == 3 * letters.width("日")
    assert letters.width("日") > letters.width("i")


def test_marks_that_turn_the_writing_are_not_drawn() -> None:
    letters = Lettering(20)
    assert letters.width("abc\u202edef\u2066\u0007") == letters.width("abcdef")


@pytest.mark.parametrize("text", ["x" * 5000, "word " * 2000, "\u65e5" * 900, "a\n" * 300, " " * 3000, ""])
def test_lines_fit_the_page(text: str) -> None:
    letters = Lettering(17)
    for line in letters.wrapped(text, 300):
        assert letters.width(line) <= 300


def test_a_long_report_is_cut_and_says_so() -> None:
    ds = report([content("TEXT", "Line", TextValue=f"number {n}") for n in range(MAXIMUM_LINES + 50)])
    lines = report_lines(as_json(to_bytes(ds)))
    assert len(lines) <= MAXIMUM_LINES + 1
    assert "there is more" in lines[-1].text
    pages = pages_of([Line(0, "x" * 100_000)] * 40)
    assert len(pages) == MAXIMUM_PAGES
    assert pages[-1][-1].text == "There is more than this picture shows."


def test_a_deep_report_is_cut_and_says_so() -> None:
    item = content("TEXT", "Deepest", TextValue="never seen")
    for _ in range(90):
        item = content("CONTAINER", "Level", [item])
    lines = said(report([item]))
    assert "There is more below this item than is shown here." in lines
    assert not any("never seen" in line for line in lines)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.data = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "ul":
            assert self.open[-1] in ("body", "li")
        if tag == "li":
            assert self.open[-1] == "ul"
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.data += data


def test_html_escapes_whatever_the_report_says_and_is_balanced() -> None:
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&\x00\x1b[31m"
    inner = content("TEXT", evil, TextValue=evil)
    ds = report([content("CONTAINER", evil, [inner, content("CONTAINER", "b", [inner])]), inner], title=evil)
    page = as_html(report_lines(as_json(to_bytes(ds)))).decode()
    tags = _Tags()
    tags.feed(page)
    assert tags.open == []
    assert tags.seen <= {
        *("html", "head", "meta", "title", "body", "h1", "h2", "h3", "h4", "ul", "li", "p", "small", "br")
    }
    assert tags.attributes <= {"charset", "name", "content"}
    assert "alert(1)" in tags.data
    assert "\x1b" not in page


def test_plain_text_is_indented_by_depth() -> None:
    ds = report([content("CONTAINER", "Outer", [content("CONTAINER", "Inner", [content("CODE", "Side")])])])
    text = as_plain_text(report_lines(as_json(to_bytes(ds)))).decode()
    assert "\nOuter\n" in text
    assert "\n  Inner\n" in text
    assert "\n    Side: (empty)\n" in text


def test_a_report_without_content_has_no_picture() -> None:
    ds = report([])
    with pytest.raises(RenderingError, match="no content"):
        draw_report_page(json_text(to_bytes(ds)), 1)


def test_every_picture_is_the_same_for_the_same_report() -> None:
    text = json_text(packaged("reportsi.dcm"))
    assert np.array_equal(draw_report_page(text, 1)[1], draw_report_page(orjson.dumps(orjson.loads(text)), 1)[1])
