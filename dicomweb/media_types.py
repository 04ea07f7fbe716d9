"""Content negotiation of PS3.18 8.7: from what a client accepts and what the server can give to one representation.

The server lists its `offers` in its order of preference; the first is the default of the resource. One of them may be
marked `as_stored`: the one that needs no transcoding. For a frame stored as JPEG 2000 that may be, for example,
`application/octet-stream` in JPEG 2000 (as stored; what Cornerstone asks for), `image/jp2` in JPEG 2000 (as stored)
and `application/octet-stream` in Explicit VR Little Endian (decoded), multipart first, single part after them.

Rules, with their clauses:

1.  No Accept at all, or one without any readable element: the first offer (RFC 9110 12.5.1).
2.  The `accept` query parameter goes first (8.3.3.1). The Accept header counts if nothing in the parameter can be given
    (8.7.8.1 steps 2 and 3); if there is no header then, nothing can be given.
3.  The greatest q wins; a missing or unreadable q is 1, q=0 forbids (RFC 9110 12.4.2). For each offer the most
    specific media range decides, so `application/dicom+json;q=0, */*` is anything but JSON. At equal q a named media
    type goes before a wildcard (8.7.8.1 steps 3 and 4), then the server's order counts.
4.  `*/*` takes any offer, `multipart/*` and `multipart/related` without `type` any multipart one. `type` may be
    quoted or not, and a range itself (`*/*`, `image/*`, `image/`). Multipart is not given to who names a single part
    and the other way round (10.4.4), so a single part is given only to who asks for it, or where it is the server's
    first choice.
5.  `transfer-syntax=UID` takes that transfer syntax only; `transfer-syntax=*` any, preferably as stored (8.7.3.5.2).
6.  Without the parameter a named media type means its default (8.7.3, tables 8.7.3-2 to 8.7.3-5); a wildcard means
    any. If the default cannot be given and nothing else fits either, any transfer syntax of the media type is given,
    preferably as stored, since the part's Content-Type names it: better than a 406 for whole studies, for video and
    for JPEG as stored.
7.  An offer without transfer syntax does not look at the parameter, except `application/dicom`: there it stands for
    instances as they are stored, whatever each has, and cannot promise a named one.
8.  `application/json` is `application/dicom+json`, and the names of drafts are those of the standard (`_ALIASES`).
9.  What is marked `if_preferred` (WebP and AVIF beside JPEG: browsers name them for every image) is given only to
    who wants it more than all else that there is, or takes nothing else.
10. `charset`, `boundary`, `start` and unknown parameters do not matter here (8.7.3.5.3).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from dicom.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    HTJ2K_LOSSLESS,
    JPEG_2000_LOSSLESS,
    JPEG_2000_MULTI_COMPONENT_LOSSLESS,
    JPEG_LOSSLESS_SV1,
    JPEG_LS_LOSSLESS,
    RLE_LOSSLESS,
)
from dicomweb.header_fields import MediaTypeError, parse_content_type, split_list

# PS3.18 tables 8.7.3-2, 8.7.3-4 and 8.7.3-5, optionality D. For what is not here any transfer syntax is the default.
DEFAULT_TRANSFER_SYNTAX_UIDS: Final[Mapping[str, str]] = {
    "application/dicom": EXPLICIT_VR_LITTLE_ENDIAN.uid,
    "application/octet-stream": EXPLICIT_VR_LITTLE_ENDIAN.uid,
    "image/dicom-rle": RLE_LOSSLESS.uid,
    "image/jls": JPEG_LS_LOSSLESS.uid,
    "image/jp2": JPEG_2000_LOSSLESS.uid,
    "image/jpeg": JPEG_LOSSLESS_SV1.uid,
    "image/jphc": HTJ2K_LOSSLESS.uid,
    "image/jpx": JPEG_2000_MULTI_COMPONENT_LOSSLESS.uid,
}
_ALIASES: Final[Mapping[str, str]] = {
    "application/json": "application/dicom+json",
    "image/jpg": "image/jpeg",
    "image/x-dicom-rle": "image/dicom-rle",
    "image/x-jls": "image/jls",
}
_ANY: Final = "*"
_WEIGHT: Final = re.compile(r"[01](?:\.[0-9]*)?|\.[0-9]+")
# A plus sign that was not percent-encoded in a query string has become a space: `accept=application/dicom+json`.
_LOST_PLUS: Final = re.compile(r"(?<=[A-Za-z0-9]) (?=[A-Za-z0-9])")


# Characters of the longest wish whose answer is remembered
_REMEMBERED_LENGTH: Final = 1024


class Representation(NamedTuple):
    """What the server can give: media type (of each part if multipart), transfer syntax UID if any, packaging."""

    media_type: str
    transfer_syntax_uid: str | None
    multipart: bool
    as_stored: bool = False
    named_only: bool = False  # costs so much that it is given only to who names its transfer syntax
    if_preferred: bool = False  # goes behind everything that is wanted as much

    @property
    def content_type(self) -> str:
        """Content-Type of a part, or of a single-part response; names the actual transfer syntax (PS3.18 8.7.9)."""
        if self.transfer_syntax_uid is None:
            return self.media_type
        return f"{self.media_type}; transfer-syntax={self.transfer_syntax_uid}"


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One element of an Accept list: what it takes and how much that is wanted."""

    media_type: str  # of the parts if multipart; "*/*", "image/*" or a full name
    multipart: bool | None  # None: either
    transfer_syntax_uid: str | None  # a UID, "*", or None if not stated
    quality: float

    @property
    def specificity(self) -> int:
        """0 for anything, 1 for any multipart, 2 for a range of types, 3 for a named type (RFC 9110 12.5.1)."""
        if self.media_type == "*/*":
            return 0 if self.multipart is None else 1
        return 2 if self.media_type.endswith("/*") else 3

    def takes(self, offer: Representation, strict: bool) -> bool:
        """Rules 4 to 7. Not strict: a media type without transfer syntax takes any."""
        if self.multipart not in (None, offer.multipart):
            return False
        if self.media_type.endswith("/*"):
            if self.media_type != "*/*" and not offer.media_type.startswith(self.media_type[:-1]):
                return False
        elif self.media_type != offer.media_type:
            return False
        return self._takes_transfer_syntax(offer, strict)

    def _takes_transfer_syntax(self, offer: Representation, strict: bool) -> bool:
        wanted = self.transfer_syntax_uid
        if offer.named_only:
            return wanted == offer.transfer_syntax_uid
        if wanted == _ANY:
            return True
        if offer.transfer_syntax_uid is None:
            return wanted is None or offer.media_type != "application/dicom"
        if wanted is not None:
            return wanted == offer.transfer_syntax_uid
        default = DEFAULT_TRANSFER_SYNTAX_UIDS.get(self.media_type)
        return not strict or default in (None, offer.transfer_syntax_uid)


def choose(accept: str | None, accept_query: str | None, offers: Sequence[Representation]) -> Representation | None:
    """The representation to answer with, None for 406 (PS3.18 8.7.8.1; the rules are at the top of this module).

    `accept` is the Accept header, `accept_query` the decoded `accept` query parameter, several joined by commas.
    """
    place = _remembered if len(accept or "") + len(accept_query or "") <= _REMEMBERED_LENGTH else _place
    at = place(accept, accept_query, tuple(offers))
    return None if at is None else offers[at]


def _place(accept: str | None, accept_query: str | None, offers: tuple[Representation, ...]) -> int | None:
    queried = parse_accept(_LOST_PLUS.sub("+", accept_query)) if accept_query else ()
    ranges = parse_accept(accept) if accept else ()
    if queried:
        best = _best(queried, offers) or _best(ranges, offers)
    else:
        best = _best(ranges, offers) if ranges else next(iter(offers), None)
    return None if best is None else offers.index(best)


# It follows from what is given alone, and clients ask for the same again and again.
_remembered = lru_cache(maxsize=512)(_place)


def parse_accept(text: str) -> tuple[MediaRange, ...]:
    """The elements of an Accept list in their order; those that are no media range are passed over."""
    ranges = []
    for element in split_list(text):
        try:
            ranges.append(_media_range(element))
        except MediaTypeError:
            continue
    return tuple(ranges)


def _media_range(element: str) -> MediaRange:
    outer = parse_content_type(element)
    parameters = dict(outer.parameters)
    quality = _quality(parameters.get("q"))
    multipart: bool | None = None if outer.type == "*/*" else False
    name = outer.type
    if name in ("multipart/related", "multipart/*"):
        multipart = True
        # Some write the parameter inside the quotes: type="application/octet-stream; transfer-syntax=*".
        inner = parse_content_type(parameters.get("type", "*/*"))
        parameters = {**inner.parameters, **parameters}
        name = inner.type
    return MediaRange(_ALIASES.get(name, name), multipart, parameters.get("transfer-syntax") or None, quality)


def _quality(text: str | None) -> float:
    return min(float(text), 1.0) if text is not None and _WEIGHT.fullmatch(text) else 1.0


def _best(ranges: Sequence[MediaRange], offers: Sequence[Representation]) -> Representation | None:
    return _best_of(ranges, offers, strict=True) or _best_of(ranges, offers, strict=False)


def _best_of(ranges: Sequence[MediaRange], offers: Sequence[Representation], strict: bool) -> Representation | None:
    best: Representation | None = None
    best_rank: tuple[float, bool, int, bool] | None = None
    for offer in offers:
        taking = [media_range for media_range in ranges if media_range.takes(offer, strict)]
        if not taking:
            continue
        decides = max(taking, key=_precision)
        prefers_stored = offer.as_stored and (decides.transfer_syntax_uid == _ANY or not strict)
        rank = (decides.quality, not offer.if_preferred, decides.specificity, prefers_stored)
        if decides.quality > 0 and (best_rank is None or rank > best_rank):
            best, best_rank = offer, rank
    return best


def _precision(media_range: MediaRange) -> tuple[int, int, float]:
    """Of the ranges that take an offer the most specific decides: named transfer syntax, then default, then any."""
    syntax = media_range.transfer_syntax_uid
    return media_range.specificity, {None: 1, _ANY: 0}.get(syntax, 2), media_range.quality
