"""Checks of the capabilities, of the Store transaction and of Delete."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from selftest.client import Answer, NotMet, multipart
from selftest.run import ABSENT, DICOM_JSON, NotOffered, Run, expect, expect_refusal, expect_that, values

REFERENCED_SOP_SEQUENCE = "00081199"
FAILED_SOP_SEQUENCE = "00081198"
REFERENCED_SOP_INSTANCE_UID = "00081155"


def capabilities(run: Run) -> None:
    """``OPTIONS /`` answers with a description that names the studies resource."""
    answer = run.server.send("OPTIONS", "", accept="application/vnd.sun.wadl+xml, application/json;q=0.5")
    if answer.status in (*ABSENT, 406) or (answer.status in (200, 204) and not answer.body):
        raise NotOffered("OPTIONS on the root has no description")
    expect(answer, 200)
    expect_that(
        answer.media_type in ("application/vnd.sun.wadl+xml", "application/xml", "application/json"),
        f"Content-Type is {answer.media_type or 'missing'}",
    )
    expect_that(b"studies" in answer.body, "the description does not name the studies resource")


def store(run: Run) -> None:
    """All three in one request; the answer names each."""
    answer = _post(run, [instance.data for instance in run.study.instances])
    expect(answer, 200, 202)
    run.stored = True
    _all_named(run, answer, len(run.study.instances))


def store_again(run: Run) -> None:
    """Storing the same bytes again changes nothing and is no failure."""
    answer = _post(run, [run.study.slices[0].data])
    expect(answer, 200, 202, 409)
    found = run.search(f"studies/{run.study.uid}/instances")
    expect_that(len(found) == 3, f"{len(found)} instances of the study are found afterwards, expected 3")


def store_chunked(run: Run) -> None:
    """A body without Content-Length."""
    content_type, body = multipart([run.study.slices[1].data])

    def pieces() -> Iterator[bytes]:
        for at in range(0, len(body), 500):
            yield body[at : at + 500]

    headers = {"Content-Type": content_type}
    answer = run.server.send("POST", "studies", accept=DICOM_JSON, headers=headers, body=pieces())
    if answer.status == 411:
        raise NotOffered("the server wants Content-Length")
    expect(answer, 200, 202, 409)
    named = _named(answer, REFERENCED_SOP_SEQUENCE) | _named(answer, FAILED_SOP_SEQUENCE)
    expect_that(run.study.slices[1].instance in named, "the answer does not name the instance")


def refuse_garbage(run: Run) -> None:
    """A part that is no Part 10 object is not acknowledged."""
    answer = _post(run, [b"this is no DICOM object" * 20])
    if answer.status == 202:
        expect_that(REFERENCED_SOP_SEQUENCE not in _module(answer), "garbage is acknowledged as stored")
        return
    expect_refusal(answer)


def refuse_media_type(run: Run) -> None:
    """415, or another 4xx, for a body of another kind."""
    headers = {"Content-Type": "text/plain"}
    expect_refusal(run.server.send("POST", "studies", accept=DICOM_JSON, headers=headers, body=b"hello"))


def delete(run: Run) -> None:
    """The study of this run is taken away and is not found any more."""
    answer = run.server.send("DELETE", f"studies/{run.study.uid}")
    if answer.status in (*ABSENT, 401, 403):
        raise NotOffered(f"status {answer.status}: the study {run.study.uid} stays on the server")
    expect(answer, 200, 202, 204)
    found = run.search("studies", StudyInstanceUID=run.study.uid)
    expect_that(not found, "the study is still found")


def _post(run: Run, objects: list[bytes]) -> Answer:
    content_type, body = multipart(objects)
    headers = {"Content-Type": content_type}
    return run.server.send("POST", "studies", accept=DICOM_JSON, headers=headers, body=body)


def _module(answer: Answer) -> dict[str, Any]:
    """The Store Instances Response Module (PS3.18 I.2), alone or as an array of one."""
    found = answer.json()
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    if not isinstance(found, dict):
        raise NotMet("the answer is no Store Instances Response Module")
    return found


def _named(answer: Answer, sequence: str) -> set[str]:
    """The SOP Instance UIDs in the items of a sequence of the answer."""
    element = _module(answer).get(sequence)
    items = element.get("Value") if isinstance(element, dict) else None
    named = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    return set(map(str, values(named, REFERENCED_SOP_INSTANCE_UID)))


def _all_named(run: Run, answer: Answer, count: int) -> None:
    missing = {instance.instance for instance in run.study.instances} - _named(answer, REFERENCED_SOP_SEQUENCE)
    expect_that(not missing, f"{len(missing)} of {count} instances are not in Referenced SOP Sequence (0008,1199)")
