"""The events that match as a file: CSV for spreadsheets, audit messages of PS3.15 A.5 as XML."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.http import require_safe

from access.middleware import problem
from access.principal import Principal
from audit.messages import audit_message
from audit.models import AccessEvent
from trail.criteria import Criteria, asked
from trail.door import for_auditors, write_down
from trail.filters import Filter
from trail.subjects import source, subjects

# What spreadsheets take for the beginning of a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
COLUMNS: Final = (
    "sequence", "recorded_at", "kind", "action", "outcome", "outcome_description", "principal_kind", "principal_id",
    "principal_name", "auth_method", "token_id", "roles", "source_ip", "user_agent", "request_id", "method", "path",
    "decision", "rule", "study_uids", "series_uid", "instance_uid", "patient_ids", "instance_count", "bytes", "query",
    "purpose",
)  # fmt: skip


class _Line:
    """What the writer of CSV writes to: gives back each line."""

    def write(self, line: str) -> str:
        return line


@require_safe
@for_auditors
def events_csv(request: HttpRequest, principal: Principal) -> HttpResponseBase:
    """All events that match, newest first, a row each."""
    return _file(request, principal, "text/csv; charset=utf-8", "csv", _csv)


@require_safe
@for_auditors
def events_xml(request: HttpRequest, principal: Principal) -> HttpResponseBase:
    """All events that match, newest first: one ``AuditMessages`` around an ``AuditMessage`` each."""
    return _file(request, principal, "application/xml; charset=utf-8", "xml", _xml)


def _file(request: HttpRequest, principal: Principal, media_type: str, suffix: str, write: Any) -> HttpResponseBase:
    form = Criteria(asked(request))
    if not form.is_valid():
        return problem(400, "Bad request", "bad-request", "; ".join(_errors(form)))
    wanted = form.filter()
    write_down(request, principal, wanted.words(), text=f"given out as {suffix.upper()}")
    return attached(StreamingHttpResponse(write(wanted), content_type=media_type), f"trail.{suffix}")


def attached(response: HttpResponseBase, name: str) -> HttpResponseBase:
    """``response`` as a file to keep, and nothing that a browser stores by itself."""
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response


def _errors(form: Criteria) -> Iterator[str]:
    for name, texts in form.errors.items():
        yield f"{name}: {texts[0]}"


def csv_lines(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """A table as lines of CSV (RFC 4180) after a byte order mark; no cell begins a formula."""
    writer = csv.writer(_Line())
    yield "\ufeff" + writer.writerow(head)
    for row in rows:
        yield writer.writerow([cell(value) for value in row])


def cell(value: object) -> str:
    """The text of a cell: what a spreadsheet would take for a formula begins with an apostrophe."""
    text = " ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
    text = text.encode("utf-8", "replace").decode()
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


def _csv(wanted: Filter) -> Iterator[str]:
    return csv_lines(COLUMNS, (_values(event) for chunk in wanted.chunks() for event in chunk))


def _values(event: AccessEvent) -> list[object]:
    return [
        event.recorded_at.isoformat(timespec="microseconds") if name == "recorded_at" else getattr(event, name)
        for name in COLUMNS
    ]


def _xml(wanted: Filter) -> Iterator[bytes]:
    yield b"<?xml version='1.0' encoding='UTF-8'?>\n<AuditMessages>\n"
    ours = source()
    for chunk in wanted.chunks():
        known = subjects(uid for event in chunk for uid in event.study_uids)
        for event in chunk:
            yield audit_message(event, ours, known).partition(b"\n")[2] + b"\n"
    yield b"</AuditMessages>\n"


def csv_answer(lines: Iterable[str], name: str) -> HttpResponseBase:
    """A small table as an answer of known length."""
    return attached(HttpResponse("".join(lines), content_type="text/csv; charset=utf-8"), name)
