"""The 29 traps: what has broken viewers and clients of other servers, and what is right here, a test for each.

The test of number n is called ``test_trap_nn_...``; ``test_traps.py`` holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

TRAPS: Final[Mapping[int, str]] = {
    1: "Accept with quoted and unquoted parameters, alternatives, weights, wildcards or absent is never a 406",
    2: "every part names its media type and the transfer syntax that it really has, never the asterisk asked for",
    3: "a loader that reads the first part letter by letter finds header, payload and boundary",
    4: "the Content-Type of a body of parts has multipart/related, type and boundary",
    5: "frames are bare codestreams, their fragments joined by offset table, extended offset table or neither",
    6: "a search without matches is 200 and [], errors are 400 and above with problem details",
    7: "OHIF's study list is answered: joined includefield, wild cards, keywords beside tags, what it shows",
    8: "lists of UIDs are cut at comma and backslash, no other value is ever cut",
    9: "series answers carry the UIDs of their parents and the counts",
    10: "metadata asked for as JSON or multipart is JSON; application/json is an alias",
    11: "paging ends, gives each answer once, and says when it was cut short",
    12: "every bulk value has an absolute BulkDataURI, nested ones too, and each of them answers",
    13: "no URI in any answer is relative",
    14: "PDF and video come as parts or alone, as was asked, and alone in ranges",
    15: "an instance comes as multipart/related; as application/dicom only to who asks for that",
    16: "DICOM JSON: numbers for IS and DS, UTF-8, groups of person names, vr alone for what is empty",
    17: "metadata hold the whole data set without bulk, functional groups and module tags included",
    18: "preflight needs no sign-in, and every error carries the CORS headers",
    19: "a chunked Store is stored",
    20: "Store bodies of every client are read, and payloads stay untouched",
    21: "Store: 200 all, 202 some, 409 none, each failure with reason and text, nothing empty, idempotent",
    22: "one frame costs one frame: nothing else is read, decoded frames are kept, clients can revalidate",
    23: "frames are cacheable, have a length, and many connections and kept-alive ones are served",
    24: "text is compressed for who asks, encapsulated frames never",
    25: "thumbnails and rendered frames are plain JPEG; what has no picture is a clean 406",
    26: "who sees granted studies only finds just those, and [] or 404 for all others",
    27: "undated studies are found, and are last in the order of dates",
    28: "decoded samples and the Photometric Interpretation that the client learns fit each other",
    29: "a preamble that pretends, a length that lies and a deflate bomb are refused quickly",
}
