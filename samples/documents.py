"""Reports beside the images: an encapsulated PDF and a Basic Text SR."""

from collections.abc import Sequence as Lines

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import BasicTextSRStorage, EncapsulatedPDFStorage, ExplicitVRLittleEndian

from .objects import Visit, codes, encode


def _pdf(lines: Lines[str]) -> bytes:
    """A page of text as PDF 1.4, with a correct cross-reference table; ASCII without brackets only."""
    text = ["BT /F1 16 Tf 64 760 Td 20 TL"]
    for number, line in enumerate(lines):
        text.append(f"({line}) Tj T* " + ("/F1 11 Tf" if number == 0 else ""))
    page = "\n".join([*text, "ET"])
    bodies = (
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
        "/Resources << /Font << /F1 5 0 R >> >> >>",
        f"<< /Length {len(page)} >>\nstream\n{page}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )
    out, places = "%PDF-1.4\n", []
    for number, body in enumerate(bodies, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    count = len(bodies) + 1
    end = f"trailer\n<< /Size {count} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n"
    out += f"xref\n0 {count}\n0000000000 65535 f \n{table}{end}"
    return out.encode("ascii")


def pdf_report(visit: Visit, lines: Lines[str]) -> bytes:
    """The lines as an Encapsulated PDF instance (PS3.3 A.45.1); the first line is the title."""
    data_set = visit.data_set(EncapsulatedPDFStorage, "pdf", "1")
    data_set.Modality = "DOC"
    data_set.ConversionType = "WSD"
    data_set.SeriesNumber, data_set.InstanceNumber = 900, 1
    data_set.SeriesDescription = "Report (PDF)"
    data_set.SeriesDate, data_set.SeriesTime = visit.date, visit.time
    data_set.ContentDate, data_set.ContentTime = visit.date, visit.time
    data_set.AcquisitionDateTime = visit.date + visit.time
    data_set.BurnedInAnnotation = "NO"
    data_set.DocumentTitle = lines[0]
    data_set.ConceptNameCodeSequence = codes(("18748-4", "LN", "Diagnostic imaging report"))
    data_set.MIMETypeOfEncapsulatedDocument = "application/pdf"
    document = _pdf(lines)
    data_set.EncapsulatedDocumentLength = len(document)
    data_set.EncapsulatedDocument = document + b"\0" * (len(document) % 2)
    return encode(data_set, ExplicitVRLittleEndian)


def _item(relation: str, kind: str, name: tuple[str, str, str]) -> Dataset:
    item = Dataset()
    if relation:
        item.RelationshipType = relation
    item.ValueType = kind
    item.ConceptNameCodeSequence = codes(name)
    return item


def text_report(visit: Visit, findings: Lines[str], impression: str) -> bytes:
    """Findings and an impression as a Basic Text SR (PS3.3 A.35.1, PS3.16 TID 2000)."""
    data_set = visit.data_set(BasicTextSRStorage, "sr", "1")
    data_set.Modality = "SR"
    data_set.SeriesNumber, data_set.InstanceNumber = 901, 1
    data_set.SeriesDescription = "Report"
    data_set.SeriesDate, data_set.SeriesTime = visit.date, visit.time
    data_set.ContentDate, data_set.ContentTime = visit.date, visit.time
    data_set.ReferencedPerformedProcedureStepSequence = Sequence()
    data_set.PerformedProcedureCodeSequence = Sequence()
    data_set.CompletionFlag, data_set.VerificationFlag = "COMPLETE", "UNVERIFIED"
    root = _item("", "CONTAINER", ("18748-4", "LN", "Diagnostic imaging report"))
    for element in root:
        data_set.add(element)
    data_set.ContinuityOfContent = "SEPARATE"
    language = _item("HAS CONCEPT MOD", "CODE", ("121049", "DCM", "Language of Content Item and Descendants"))
    language.ConceptCodeSequence = codes(("en", "RFC5646", "English"))
    sections = []
    for heading, name, texts in (
        (("121070", "DCM", "Findings"), ("121071", "DCM", "Finding"), findings),
        (("121076", "DCM", "Conclusions"), ("121077", "DCM", "Conclusion"), (impression,)),
    ):
        section = _item("CONTAINS", "CONTAINER", heading)
        section.ContinuityOfContent = "SEPARATE"
        section.ContentSequence = Sequence()
        for text in texts:
            item = _item("CONTAINS", "TEXT", name)
            item.TextValue = text
            section.ContentSequence.append(item)
        sections.append(section)
    data_set.ContentSequence = Sequence([language, *sections])
    return encode(data_set, ExplicitVRLittleEndian)
