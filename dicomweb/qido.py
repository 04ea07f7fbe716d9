"""QIDO-RS: the Search transaction (PS3.18 10.6) as a door to ``archive.search``."""

from collections.abc import Sequence
from typing import ClassVar
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema

from access.authentication import principal_of
from access.policy import may, visible_studies
from access.policy import withheld as withheld_from
from access.roles import Permission
from access.trail import event
from archive.extended_tags import READY, Declared, declared
from archive.search import Found, search
from archive.stored_attributes import MOST_SERIES, Extended, with_stored
from audit import kinds
from audit.bounded import bounded
from audit.record import record
from dicom.attributes import Level
from dicomweb.attribute_filter import LEFT_OUT, added_without, check_keys, without
from dicomweb.data_sets import FORMS, XML, xml_response
from dicomweb.query import Parsed, parse_query
from dicomweb.query_string import pairs_of, warning
from dicomweb.view import DicomwebView, dicomweb_root, json_response

_PARAMETERS = [
    OpenApiParameter("limit", OpenApiTypes.INT, description="at most so many answers"),
    OpenApiParameter("offset", OpenApiTypes.INT, description="skip so many answers"),
    OpenApiParameter("includefield", OpenApiTypes.STR, description="further attributes, or all"),
    OpenApiParameter("fuzzymatching", OpenApiTypes.BOOL, description="person names by the beginning of any word"),
    OpenApiParameter("emptyvaluematching", OpenApiTypes.BOOL, description='"" matches what has no value'),
    OpenApiParameter("multiplevaluematching", OpenApiTypes.BOOL, description="all of several values must be there"),
    OpenApiParameter("orderby", OpenApiTypes.STR, description="attributes to sort by, a - before descending ones"),
    OpenApiParameter("count", OpenApiTypes.BOOL, description="tell the number of all answers in X-Total-Count"),
    OpenApiParameter("after", OpenApiTypes.STR, description="go on behind a page: the token of its Link header"),
    OpenApiParameter("PatientName", OpenApiTypes.STR, description="any indexed attribute by keyword or tag"),
]


class SearchView(DicomwebView):
    """Search for studies, series or instances, alone or below a study or series."""

    permission = Permission.SEARCH
    event = kinds.SEARCH
    level: ClassVar[Level]

    def get(self, request: HttpRequest, study: str | None = None, series: str | None = None) -> HttpResponseBase:
        """Answers as DICOM JSON or XML; what was asked for in vain is named in ``Warning: 299`` (PS3.18 8.3.4)."""
        chosen = self.negotiate(request, FORMS)
        limits = settings.PACS.limits
        pairs = pairs_of(request.META.get("QUERY_STRING", ""))
        parsed = parse_query(
            pairs,
            self.level,
            study_instance_uid=study,
            series_instance_uid=series,
            default_limit=limits.search_default_limit,
            most=limits.search_limit,
            most_parameters=limits.search_parameters,
            longest_value=limits.search_value_characters,
            declared=_declared,
        )
        withheld = self.withheld(request)
        in_vain = check_keys(parsed.query, withheld)
        root = dicomweb_root(request)
        found = search(parsed.query, self.scope(request), root, seconds=limits.search_seconds)
        unsupported = list(parsed.unsupported)
        warnings = [text for each in parsed.extended for text in _incomplete(each, counts=self.sees_all(request))]
        texts = found.answers
        hidden: frozenset[str] = frozenset()
        if parsed.stored is None or parsed.stored:
            # What is stored in instances is shown as far as retrieving shows it.
            hidden = withheld_from(principal_of(request), Permission.RETRIEVE)
            if may(principal_of(request), Permission.RETRIEVE):
                extended = self._with_stored(request, texts, parsed.stored)
                kept = zip(texts, extended.answers, strict=True)
                texts = tuple(added_without(*each, hidden) for each in kept) if hidden - withheld else extended.answers
                if not extended.complete:
                    warnings.append(f"Of the series beyond the first {MOST_SERIES} only indexed attributes are given.")
            else:
                # What is stored in instances is for those who may retrieve them.
                unsupported += [f"includefield={tag}" for tag in sorted(parsed.stored or ())]
        if withheld:
            texts = tuple(without(text.encode(), withheld).decode() for text in texts)
        if in_vain or not (withheld | hidden).isdisjoint(parsed.stored or ()):
            warnings.append(LEFT_OUT)
        self.record(
            request,
            query=request.META.get("QUERY_STRING", ""),
            study_uids=[study] if study else [],
            series_uid=series or "",
            instance_count=len(texts),
        )
        response: HttpResponseBase
        if chosen == XML:
            response = xml_response(answer.encode() for answer in texts)
        else:
            response = json_response(f"[{','.join(texts)}]".encode())
        warnings += [f"The {name} parameter is not supported." for name in unsupported[:20]]
        warnings += _cut(parsed, found)
        if warnings:
            response["Warning"] = warning(warnings)
        if found.total is not None:
            response["X-Total-Count"] = str(found.total)
        if found.following is not None:
            response["Link"] = f'<{_following(request, root, pairs, found.following)}>; rel="next"'
        return response

    def _with_stored(self, request: HttpRequest, texts: tuple[str, ...], wanted: frozenset[str] | None) -> Extended:
        """Answers with attributes out of the stored instances, which is reading them: it leaves its own event."""
        principal = principal_of(request)
        scope = visible_studies(principal, Permission.RETRIEVE)
        extended = with_stored(texts, wanted, scope, dicomweb_root(request))
        if studies := list(extended.study_instance_uids):
            record([event(request, kinds.ACCESS, principal, query="includefield", study_uids=studies)])
        return extended


@extend_schema(parameters=_PARAMETERS, responses={(200, "application/dicom+json"): OpenApiTypes.OBJECT})
class SearchStudies(SearchView):
    """``GET /studies``."""

    level = "study"


@extend_schema(parameters=_PARAMETERS, responses={(200, "application/dicom+json"): OpenApiTypes.OBJECT})
class SearchSeries(SearchView):
    """``GET /series`` and ``GET /studies/{study}/series``."""

    level = "series"


@extend_schema(parameters=_PARAMETERS, responses={(200, "application/dicom+json"): OpenApiTypes.OBJECT})
class SearchInstances(SearchView):
    """``GET /instances`` and the same below a study or a series."""

    level = "instance"


def _declared() -> Sequence[Declared]:
    with bounded(statement_seconds=settings.PACS.limits.search_seconds):
        return declared()


def _cut(parsed: Parsed, found: Found) -> list[str]:
    """What is told of a list that the server's own limit cut (PS3.18 8.3.4.4), with the number where it is known."""
    if not found.truncated or (parsed.asked is not None and parsed.asked <= parsed.query.limit):
        return []
    if found.total is None or parsed.query.after is not None:
        return [f"The number of answers exceeds the limit of {parsed.query.limit}."]
    remaining = found.total - parsed.query.offset - len(found.answers)
    return [f"There are {remaining} additional results that can be requested"]


def _incomplete(tag: Declared, *, counts: bool) -> list[str]:
    """What is told of an attribute of which not all instances are indexed; ``counts`` are of the whole archive."""
    told = []
    if tag.status != READY:
        numbers = f": {tag.done} of {tag.total} instances" if counts else ""
        told.append(f"{tag.attribute.label} is being indexed{numbers}.")
    if tag.errors:
        told.append(f"{tag.attribute.label} could not be indexed for {tag.errors if counts else 'some'} instances.")
    return told


def _following(request: HttpRequest, root: str, pairs: list[tuple[str, str]], token: str) -> str:
    """The URL of the next page: this one's, but behind its last answer (RFC 8288)."""
    kept = [(name, value) for name, value in pairs if name not in ("after", "offset")]
    path = request.path.partition("/dicom-web")[2]
    return f"{root}{path}?{urlencode([*kept, ('after', token)])}"
