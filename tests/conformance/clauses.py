"""THE table: what PS3.18 asks of an origin server, clause by clause, and whether this one does it.

Clauses are numbered as in PS3.18 2025b. A clause of several parts has a row for each. ``docs/conformance-clauses.md``
is made of this table; ``test_table`` holds that every row has a test: that it is met, or what is answered instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from tests.conformance.clauses_studies import STUDIES
from tests.conformance.rows import NOT_APPLICABLE, Row

EDITION = "2025b"


class Verdict(Enum):
    """What became of a clause."""

    MET = "met"
    NOT_MET = "not met"
    NOT_APPLICABLE = "n/a"


@dataclass(frozen=True, slots=True)
class Clause:
    """One row: ``part`` tells rows of one clause apart; ``why`` is empty for what is met."""

    number: str
    part: str
    title: str
    verdict: Verdict
    why: str

    @property
    def key(self) -> str:
        """By which tests name it: ``8.5-404``."""
        return f"{self.number}-{self.part}" if self.part else self.number

    @property
    def slug(self) -> str:
        """As it stands in the name of a test: ``8_5_404``."""
        return re.sub(r"[^0-9A-Za-z]+", "_", self.key).strip("_")


_NO_NPI = "no Non-Patient Instance Service"

_COMMON: Sequence[Row] = (
    ("8.2", "Target resources: URLs in answers are absolute and lead to the resource"),
    ("8.3", "Query parameters: unsupported ones are ignored and named, invalid values are 400"),
    ("8.3.1", "Query parameter syntax: names are case-sensitive, values percent-encoded UTF-8"),
    ("8.3.3.1", "Accept query parameter: goes before the header"),
    (
        "8.3.3.1-mixed",
        "Accept query parameter: DICOM and other media types together are 400",
        "the best of what is named is given: viewers and browsers mix them",
    ),
    ("8.3.3.2", "Character set query parameter: UTF-8 is taken, what is not supported is 400"),
    ("8.3.4.1", "Attribute matching by keyword and by tag"),
    ("8.3.4.1-repeated", "Attribute matching: an attribute that is given twice is refused"),
    ("8.3.4.1-sequence", "Attribute matching by a path into Request Attributes Sequence"),
    (
        "8.3.4.1-other",
        "Attribute matching by other sequences and private attributes",
        "attributes that are neither indexed nor declared by an administrator are named in `Warning: 299`",
    ),
    ("8.3.4.1.1", "Matching rules: single value (PS3.4 C.2.2.2.1)"),
    ("8.3.4.1.1-uids", "Matching rules: list of UIDs (PS3.4 C.2.2.2.2)"),
    ("8.3.4.1.1-universal", "Matching rules: universal (PS3.4 C.2.2.2.3)"),
    ("8.3.4.1.1-wildcard", "Matching rules: wild card (PS3.4 C.2.2.2.4)"),
    ("8.3.4.1.1-range", "Matching rules: range of dates and times (PS3.4 C.2.2.2.5)"),
    ("8.3.4.1.1-datetime", "Matching rules: a date and its time as one period (PS3.4 C.2.2.2.5.4)"),
    ("8.3.4.1.1-sequence", "Matching rules: several keys match within one item (PS3.4 C.2.2.2.6)"),
    ("8.3.4.1.1-timezone", "Matching rules: dates and times in the time zone of the request"),
    ("8.3.4.2", "Fuzzy matching of person names"),
    ("8.3.4.3", "Attributes included in the response: lists, repeated, `all`"),
    ("8.3.4.3-private", "Attributes included in the response: private ones with their creator"),
    ("8.3.4.4", "Response pagination: `limit` and `offset`"),
    ("8.3.4.4.1", "Paging behaviour: the same search has the same order, pages do not overlap"),
    (
        "8.3.4.4.1-none",
        "Paging behaviour: 204 where nothing matches",
        "as DICOM JSON 200 with an empty array, which every client reads; as XML 204",
    ),
    (
        "8.3.4.4.1-remaining",
        "Paging behaviour: `Warning: 299` with the number of further matches",
        'counting would double the cost; `Link: rel="next"` says that there are more, `count=true` how many',
    ),
    ("8.3.4.5", "Empty value matching"),
    ("8.3.4.6", "Multiple value matching"),
    ("8.3.5.1.1", "Image annotation: patient and technique, drawn into the picture"),
    ("8.3.5.1.2", "Image quality"),
    ("8.3.5.1.3", "Viewport scaling"),
    ("8.3.5.1.3-region", "Viewport scaling: region of the source image"),
    ("8.3.5.1.4", "Windowing: center, width and each of the functions"),
    ("8.3.5.1.4-function", "Windowing: a missing function is 400", "is taken for `linear`, as many clients mean it"),
    ("8.3.5.1.5", "ICC profile: no, yes, srgb, adobergb, rommrgb, displayp3"),
    ("8.3.5.2", "Thumbnail parameters: viewport"),
    ("8.3.5.3", "Parameters of rendered volumes", "no rendered volumes yet"),
    ("8.4.1", "Content negotiation header fields: Accept-Encoding"),
    ("8.4.1.1", "Accept: weights, ranges, quoted and unquoted parameters"),
    ("8.4.2", "Content representation header fields: Content-Type of every payload"),
    ("8.4.2-encoding", "Content representation header fields: Content-Encoding where a coding was applied"),
    ("8.4.2-location", "Content representation header fields: Content-Location of what is retrieved"),
    ("8.4.3", "Payload header fields: Content-Length"),
    (
        "8.4.3-late",
        "Payload header fields: Content-Length of every payload without content coding",
        "bodies that are made while they are sent (zip, pixel data and pictures of whole studies) are chunked",
    ),
    ("8.4.3-range", "Payload header fields: Content-Range of 206 and 416"),
    ("8.5-304", "Status codes: 304 for what the client has"),
    ("8.5-400", "Status codes: 400 for what is malformed"),
    ("8.5-401", "Status codes: 401 with a challenge"),
    ("8.5-403", "Status codes: 403 for who may not"),
    ("8.5-404", "Status codes: 404 for what is not there"),
    ("8.5-405", "Status codes: 405 with Allow"),
    ("8.5-406", "Status codes: 406 with the media types that there are"),
    ("8.5-409", "Status codes: 409 for a conflict"),
    (
        "8.5-410",
        "Status codes: 410 for what was deleted",
        "404: who may not see a study does not learn that there was one",
    ),
    ("8.5-413", "Status codes: 413 for a body that is too large"),
    ("8.5-414", "Status codes: 414 for a request line that is too long"),
    ("8.5-415", "Status codes: 415 for a body of another type, with those that are taken"),
    (
        "8.5-501",
        "Status codes: 501 for a SOP class that is not supported",
        "the failure reason 0122 of the instance and 409, as 10.5.3.1 has it",
    ),
    ("8.6.1.1", "Single part payload"),
    ("8.6.1.2", "Multipart payload: header fields of each part"),
    (
        "8.6.1.2-length",
        "Multipart payload: Content-Length of each part",
        "parts end at the boundary; loaders that cut header fields by position are spared a field",
    ),
    ("8.6.1.2.1", "Multipart payload syntax: delimiters on the wire"),
    (
        "8.6.2.1",
        "No implicit value representations: instances",
        "who names no transfer syntax gets instances as they were stored, Implicit VR Little Endian too",
    ),
    ("8.6.2.1-bulk", "No implicit value representations: metadata, frames and bulk data"),
    ("8.6.3", "Status report: problem details (RFC 9457) without anything of the patient"),
    ("8.7.1", "Multipart media types: `type` and `boundary`"),
    ("8.7.3.1", "application/dicom: the DICOM file format"),
    (
        "8.7.3.1-default",
        "application/dicom: Explicit VR Little Endian by default",
        "as stored, named in Content-Type: nothing is transcoded unasked",
    ),
    ("8.7.3.2", "Metadata media types: DICOM JSON"),
    ("8.7.3.2-xml", "Metadata media types: Native DICOM Model"),
    ("8.7.3.3.1", "Uncompressed bulk data: little endian octets"),
    ("8.7.3.3.2", "Compressed bulk data: the bare codestream, one frame a part"),
    ("8.7.3.4", "Transfer syntax: frames by default in Explicit VR Little Endian"),
    ("8.7.3.5.1", "DICOM multipart media types"),
    ("8.7.3.5.2", "Transfer syntax parameter: of frames, a UID or `*`"),
    ("8.7.3.5.2-instance", "Transfer syntax parameter: of whole instances, the stored one and those of conformance.md"),
    ("8.7.3.5.3", "Character set parameter"),
    ("8.7.3.6", "Transfer syntax query parameter is of the URI Service alone"),
    ("8.7.4", "Rendered media types of images: JPEG baseline, PNG, GIF, 8 bits a channel"),
    ("8.7.4-text", "Rendered media types of text: text/html by default, text/plain"),
    (
        "8.7.4-video",
        "Rendered media types of video",
        NOT_APPLICABLE,
        "optional; what is stored as MP4 or as an MPEG-2 program stream is given as it is",
    ),
    (
        "8.7.5",
        "Acceptable media types: without an Accept header 406",
        "the default of the resource: old viewers and browsers send none",
    ),
    (
        "8.7.5-mixed",
        "Acceptable media types: DICOM and rendered ones together are 400",
        "the best of what is named is given: viewers and browsers mix them",
    ),
    ("8.7.7", "Accept header field: wild cards; what is invalid in it is ignored"),
    ("8.7.8.1", "Selected media type: the greatest weight, the most specific range"),
    ("8.7.8.2", "Selected transfer syntax: the one named, else the default of the media type"),
    ("8.7.9", "Content-Type names the transfer syntax of each part; none without payload"),
    ("8.8.1", "Acceptable character sets: text is UTF-8, unsupported ones are ignored"),
    ("8.8.4", "Accept-Charset header field"),
    ("8.9.1", "Retrieve capabilities: OPTIONS of the base URI"),
    ("8.9.3", "Retrieve capabilities: the response"),
    ("8.9.4", "Retrieve capabilities: WADL and JSON"),
    ("8.10", "Notifications over WebSocket: open a connection, events on it as DICOM JSON"),
)

_URI: Sequence[Row] = (
    ("9.1.2.1.1", "URI Service: `requestType`"),
    ("9.1.2.1.2", "URI Service: `studyUID`, `seriesUID`, `objectUID`"),
    ("9.1.2.2.1", "URI Service: `contentType`"),
    ("9.1.2.2.1-parameters", "URI Service: a transfer syntax inside `contentType` is 400"),
    ("9.1.2.2.2", "URI Service: `charset`", NOT_APPLICABLE, "optional; pictures and objects have none to choose"),
    ("9.4.2", "Retrieve DICOM instance"),
    ("9.4.2.3", "Retrieve DICOM instance: `anonymize`", NOT_APPLICABLE, "optional; refused with 400, not ignored"),
    ("9.4.2.4", "Retrieve DICOM instance: `transferSyntax`, 406 for what is not supported"),
    (
        "9.4.2.4-default",
        "Retrieve DICOM instance: Explicit VR Little Endian by default",
        "as stored, named in Content-Type: nothing is transcoded unasked",
    ),
    ("9.4.3.1", "Retrieve DICOM instance: 400 and 404"),
    ("9.4.3.2", "Retrieve DICOM instance: header fields"),
    ("9.5.1.2.2", "Retrieve rendered instance: `annotation`"),
    ("9.5.1.2.3", "Retrieve rendered instance: `imageQuality`"),
    ("9.5.1.2.4", "Retrieve rendered instance: `rows` and `columns`"),
    ("9.5.1.2.5", "Retrieve rendered instance: `region`", NOT_APPLICABLE, "optional; ignored"),
    ("9.5.1.2.6", "Retrieve rendered instance: `windowCenter` and `windowWidth`, 400 for one alone or for an object"),
    ("9.5.1.2.7", "Retrieve rendered instance: presentation states, 400 for one of another image"),
    ("9.5.2", "Retrieve rendered instance: image/jpeg by default"),
    ("9.5.2.1", "Retrieve rendered instance: `frameNumber`, 400 beyond the last"),
)

_OTHERS: Sequence[Row] = (
    ("11.4", "UPS: create workitem"),
    ("11.5", "UPS: retrieve workitem"),
    ("11.6", "UPS: update workitem"),
    ("11.7", "UPS: change workitem state"),
    ("11.8", "UPS: request cancellation"),
    ("11.9", "UPS: search"),
    ("11.10", "UPS: subscribe to a workitem, a worklist, a filtered worklist; deletion locks"),
    ("11.11", "UPS: unsubscribe"),
    ("11.12", "UPS: suspend global subscription"),
    ("11.13", "UPS: event reports"),
    ("12.4", "Non-patient instances: retrieve", _NO_NPI),
    ("12.5", "Non-patient instances: store", _NO_NPI),
    ("12.6", "Non-patient instances: search", _NO_NPI),
    ("13.4", "Storage commitment: request"),
    ("13.4-repeated", "Storage commitment: a Transaction UID in use is 409"),
    ("13.4-malformed", "Storage commitment: a malformed request is 400"),
    ("13.5", "Storage commitment: result check"),
    ("14.1.3", "Modality worklist: DICOM JSON by default, Native DICOM XML"),
    ("14.1.3-multipart", "Modality worklist: DICOM JSON as a multipart body", "one array says the same; 406"),
    ("14.4", "Modality worklist: search by matching keys, `includefield`, `fuzzymatching`, `limit`, `offset`"),
    ("14.4-unsupported", "Modality worklist: unsupported keys are ignored and named, invalid values are 400"),
    ("15.4", "Performed procedure steps: create"),
    ("15.4-refused", "Performed procedure steps: create: 400 for what is none, 409 for a UID in use"),
    ("15.5", "Performed procedure steps: update"),
    ("15.5-refused", "Performed procedure steps: update: 404 unknown, 409 incompatible or at its end"),
    ("15.6", "Performed procedure steps: retrieve"),
    ("15.6-refused", "Performed procedure steps: retrieve: 404 unknown"),
    ("F.2.1", "DICOM JSON: an array of objects"),
    ("F.2.2", "DICOM JSON: names, order, `vr` of each attribute, no group lengths"),
    ("F.2.2-names", "DICOM JSON: person names by their groups"),
    ("F.2.3", "DICOM JSON: data types by value representation"),
    ("F.2.4", "DICOM JSON: value multiplicity"),
    ("F.2.5", "DICOM JSON: empty values and attributes"),
    ("F.2.6", "DICOM JSON: BulkDataURI"),
    ("F.2.7", "DICOM JSON: InlineBinary"),
    ("F.3", "Native DICOM Model and DICOM JSON say the same"),
    ("H", "Capabilities description: WADL with one `application`, its base and every resource"),
    ("I.1", "Store instances response: Retrieve URL, referenced and failed instances"),
    ("I.1-other", "Store instances response: what has no readable UID"),
    ("I.2.1", "Store instances response: warning reasons"),
    ("I.2.2", "Store instances response: failure reasons"),
    ("J.1", "Storage commitment request: Referenced SOP Sequence"),
    ("J.1-study", "Storage commitment request: Referenced Study Sequence"),
    ("J.2", "Storage commitment response: committed and failed instances"),
    ("J.2-study", "Storage commitment response: committed and failed instances by study"),
    ("K", "Rendered volume response", "no rendered volumes yet"),
)


def _clause(row: Row) -> Clause:
    key, title, *rest = row
    number, _, part = key.partition("-")
    if not rest:
        return Clause(number, part, title, Verdict.MET, "")
    verdict = Verdict.NOT_APPLICABLE if rest[0] == NOT_APPLICABLE else Verdict.NOT_MET
    return Clause(number, part, title, verdict, rest[-1])


CLAUSES: Mapping[str, Clause] = {clause.key: clause for clause in map(_clause, (*_COMMON, *_URI, *STUDIES, *_OTHERS))}
