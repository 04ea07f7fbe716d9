"""One run: the server, the study that is stored in it, and how each check comes to its verdict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from selftest.client import Answer, NoAnswer, NotMet, Server
from selftest.objects import Study

DICOM_JSON = "application/dicom+json"
# What a server says that does not have a resource or a method.
ABSENT = (404, 405, 501)


class NotOffered(Exception):
    """The server says that it does not do this, which the standard permits."""


@dataclass(slots=True)
class Run:
    """The server, the study of this run, and whether that was stored."""

    server: Server
    study: Study
    stored: bool = False

    def search(self, path: str, **query: str) -> list[dict[str, Any]]:
        """The answers to a search as DICOM JSON."""
        answer = self.server.send("GET", path, accept=DICOM_JSON, query=query)
        expect(answer, 200, 204)
        return answer.objects()

    def get(self, path: str, accept: str | None = None) -> Answer:
        """A resource of the server."""
        return self.server.send("GET", path, accept=accept)


def expect(answer: Answer, *statuses: int) -> None:
    """Raise ``NotMet`` unless the status is one of these."""
    if answer.status not in statuses:
        raise NotMet(f"status {answer.status}, expected {' or '.join(map(str, statuses))}")


def expect_refusal(answer: Answer) -> None:
    """Raise ``NotMet`` unless the status is 4xx, and not about who asks."""
    if not 400 <= answer.status < 500 or answer.status in (401, 403):
        raise NotMet(f"status {answer.status}, expected 4xx")


def expect_that(true: bool, otherwise: str) -> None:
    """Raise ``NotMet`` with what is wrong."""
    if not true:
        raise NotMet(otherwise)


def values(answers: Iterable[dict[str, Any]], tag: str) -> list[Any]:
    """The first value of an attribute in each answer; ``None`` where it has none."""
    found = []
    for answer in answers:
        element = answer.get(tag)
        value = element.get("Value") if isinstance(element, dict) else None
        found.append(value[0] if isinstance(value, list) and value else None)
    return found


__all__ = [
    "ABSENT",
    "DICOM_JSON",
    "NoAnswer",
    "NotMet",
    "NotOffered",
    "Run",
    "expect",
    "expect_refusal",
    "expect_that",
    "values",
]
