"""THE table of checks, in the order in which they are made: what is stored first is asked for later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from selftest import retrieving, searching, storing
from selftest.run import Run


@dataclass(frozen=True, slots=True)
class Check:
    """One clause. ``make`` raises NotMet or NotOffered; ``needs`` a study that was stored."""

    name: str
    clause: str
    make: Callable[[Run], None]
    needs: bool = True


CHECKS: Sequence[Check] = (
    Check("capabilities are described", "8.9", storing.capabilities, needs=False),
    Check("store three instances", "10.5", storing.store, needs=False),
    Check("store the same again", "10.5.3", storing.store_again),
    Check("store with a chunked body", "10.5.1 (RFC 9112 7.1)", storing.store_chunked),
    Check("refuse what is no DICOM", "10.5.3", storing.refuse_garbage),
    Check("refuse an unknown media type", "8.7.5", storing.refuse_media_type, needs=False),
    Check("search for studies", "10.6", searching.studies),
    Check("search for series", "10.6", searching.series),
    Check("search for instances", "10.6", searching.instances),
    Check("search by tag", "8.3.4.1", searching.by_tag),
    Check("search by wild card", "8.3.4.1 (PS3.4 C.2.2.2.4)", searching.wild_card),
    Check("search by a list of UIDs", "8.3.4.1 (PS3.4 C.2.2.2.2)", searching.list_of_uids),
    Check("search by a range of dates", "8.3.4.1 (PS3.4 C.2.2.2.5)", searching.date_range),
    Check("search for the modalities of a study", "10.6.1.2.2", searching.modalities),
    Check("find nothing", "10.6.3.1", searching.nothing),
    Check("includefield", "8.3.4.3", searching.includefield),
    Check("limit and offset", "8.3.4.4", searching.paging),
    Check("names in UTF-8", "F.2", searching.characters),
    Check("unknown parameters are named by Warning 299", "8.3.4", searching.warning),
    Check("a malformed search is 4xx", "8.5", searching.malformed),
    Check("search answers as XML", "8.7.3", searching.as_xml),
    Check("metadata of the study as DICOM JSON", "10.4.1.1.2, F.2", retrieving.study_metadata),
    Check("metadata of an instance that pydicom reads", "10.4.1.1.2, F.2", retrieving.instance_metadata),
    Check("BulkDataURI of pixel data", "10.4.1.1.5", retrieving.bulk_data_uri),
    Check("instances byte for byte", "10.4.1.1.1", retrieving.instances),
    Check("compressed instances as stored", "8.7.3.5.2", retrieving.compressed_instance),
    Check("frames, type quoted in Accept", "10.4.1.1.6", retrieving.frame_quoted),
    Check("frames, type not quoted in Accept", "10.4.1.1.6", retrieving.frame_unquoted),
    Check("frames with transfer-syntax=*", "8.7.3.5.2", retrieving.frames_any_syntax),
    Check("frames decoded", "8.7.3.5.2", retrieving.frames_decoded),
    Check("a frame that is not there is 4xx", "10.4.3.1", retrieving.no_such_frame),
    Check("a rendered instance", "10.4.1.1.3", retrieving.rendered),
    Check("a thumbnail", "10.4.1.1.4", retrieving.thumbnail),
    Check("an unknown study is 404", "10.4.3.1", retrieving.unknown_study),
    Check("an unknown instance is 404", "10.4.3.1", retrieving.unknown_instance),
    Check("what cannot be given is 406", "8.7.5", retrieving.not_acceptable),
)
DELETE = Check("delete the study", "beyond the standard", storing.delete)
