"""Is an answer right? What was stored is known byte by byte, so that a fast wrong answer doesn't count."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from email.message import Message
from typing import Any, Final

from benchmarks.bench.fleet import WrongAnswer
from benchmarks.bench.packs import Copied, Instance, Pack
from benchmarks.bench.wire import Answer

Check = Callable[[Answer], None]
LIST_TAGS: Final = ("0020000D", "00100010", "00100020", "00080020", "00080061", "00201206", "00201208")
OHIF_TAGS: Final = (*LIST_TAGS, "00081030")
INSTANCE_TAGS: Final = ("00080018", "0020000E", "00200013")
_SHOWN: Final = 200


def parts(answer: Answer) -> list[bytes]:
    """The bodies of a ``multipart/related`` answer (RFC 2046 5.1), or the one body there is. Raises WrongAnswer."""
    status_is(answer, 200, 206)
    told = Message()
    told["content-type"] = answer.headers.get("content-type", "")
    boundary = told.get_boundary()
    content = answer.content()
    if told.get_content_maintype() != "multipart":
        return [content]
    if boundary is None:
        raise WrongAnswer("multipart without a boundary")
    mark = b"--" + boundary.encode()
    if not content.startswith(mark) and content.find(b"\r\n" + mark) < 0:
        raise WrongAnswer("the boundary is not in the answer")
    found = []
    at = content.index(mark) + len(mark)
    while content[at : at + 2] != b"--":
        head = content.index(b"\r\n\r\n", at)
        end = content.index(b"\r\n" + mark, head + 2)
        found.append(content[head + 4 : end])
        at = end + 2 + len(mark)
    return found


def status_is(answer: Answer, *wanted: int) -> None:
    """Raises WrongAnswer with the beginning of what came instead."""
    if answer.status not in wanted:
        raise WrongAnswer(f"status {answer.status}: {bytes(answer.body[:_SHOWN])!r}")


def stored(objects: Sequence[Copied | Instance]) -> Check:
    """A store that took all of ``objects`` and refused none (PS3.18 10.5.3.2)."""
    wanted = {one.instance.uid if isinstance(one, Copied) else one.uid for one in objects}

    def check(answer: Answer) -> None:
        status_is(answer, 200)
        told = json.loads(answer.content())
        referenced = {item["00081155"]["Value"][0] for item in told["00081199"]["Value"]}
        if referenced != wanted or told.get("00081198", {}).get("Value"):
            raise WrongAnswer(f"{len(referenced & wanted)} of {len(wanted)} objects were stored")

    return check


def frame(pack: Pack, instance: Instance, number: int) -> Check:
    """The pixels of a frame as they were stored."""

    def check(answer: Answer) -> None:
        found = parts(answer)
        if found != [pack.frame(instance, number)]:
            raise WrongAnswer(f"frame {number}: other bytes than were stored ({[len(part) for part in found]})")

    return check


def frame_of_copy(copied: Copied, number: int) -> Check:
    """The same of a copy, whose pixels are those of its original."""
    return frame(copied.pack, copied.original, number)


def objects(wanted: Collection[Callable[[], bytes]]) -> Check:
    """Whole objects, in any order, with the data sets that were stored; a server may write its own group 0002."""

    def check(answer: Answer) -> None:
        found = sorted(data_set(part) for part in parts(answer))
        if found != sorted(data_set(make()) for make in wanted):
            raise WrongAnswer(f"{len(found)} objects, not the {len(wanted)} that were stored")

    return check


def data_set(part10: bytes) -> bytes:
    """What follows the File Meta Information (PS3.10 7.1)."""
    if part10[128:132] != b"DICM" or part10[132:138] != b"\x02\x00\x00\x00UL":
        raise WrongAnswer("no Part 10 object")
    return part10[144 + int.from_bytes(part10[140:144], "little") :]


def results(answer: Answer) -> list[dict[str, Any]]:
    """The answers of a search."""
    status_is(answer, 200, 204)
    found: list[dict[str, Any]] = json.loads(answer.content()) if answer.body else []
    return found


def found_studies(uids: Collection[str]) -> Check:
    """Exactly these studies, each with what a study list shows."""
    wanted = set(uids)

    def check(answer: Answer) -> None:
        found = results(answer)
        got = {item["0020000D"]["Value"][0] for item in found}
        if got != wanted or len(found) != len(wanted):
            raise WrongAnswer(f"{len(found)} studies instead of {len(wanted)}, {len(got & wanted)} of them right")
        _have(found, LIST_TAGS)

    return check


def listed(count: int, tags: Sequence[str]) -> Check:
    """So many answers, each with ``tags``."""

    def check(answer: Answer) -> None:
        found = results(answer)
        if len(found) != count:
            raise WrongAnswer(f"{len(found)} answers instead of {count}")
        _have(found, tags)

    return check


def metadata(instances: Sequence[Instance]) -> Check:
    """Each instance once, with its size in pixels, its patient and its position, and no pixels."""
    wanted = {one.uid: one for one in instances}

    def check(answer: Answer) -> None:
        status_is(answer, 200)
        found = {item["00080018"]["Value"][0]: item for item in json.loads(answer.content())}
        if found.keys() != wanted.keys():
            raise WrongAnswer(f"metadata of {len(found)} instances instead of {len(wanted)}")
        for uid, item in found.items():
            size = item["00280010"]["Value"][0], item["00280011"]["Value"][0]
            if size != (wanted[uid].rows, wanted[uid].columns):
                raise WrongAnswer("Rows and Columns are wrong")
            if item["00100020"]["Value"][0] != wanted[uid].tags["PatientID"]:
                raise WrongAnswer("PatientID is wrong")
            if "InlineBinary" in item.get("7FE00010", {}):
                raise WrongAnswer("pixels among the metadata")

    return check


def picture(rows: int, columns: int) -> Check:
    """A JPEG of this size that shows something."""

    def check(answer: Answer) -> None:
        import imagecodecs

        decoded = imagecodecs.jpeg8_decode(parts(answer)[0])
        if decoded.shape[:2] != (rows, columns):
            raise WrongAnswer(f"a picture of {decoded.shape[:2]} instead of {(rows, columns)}")
        if decoded.std() < 1:
            raise WrongAnswer("a picture of nothing")

    return check


def small_picture() -> Check:
    """A JPEG or PNG thumbnail, at most 512 wide and high."""

    def check(answer: Answer) -> None:
        import imagecodecs

        [found] = parts(answer)
        decoded = imagecodecs.png_decode(found) if found.startswith(b"\x89PNG") else imagecodecs.jpeg8_decode(found)
        if max(decoded.shape[:2]) > 512 or decoded.std() < 1:
            raise WrongAnswer(f"a thumbnail of {decoded.shape[:2]}")

    return check


def transcoded(pack: Pack, instance: Instance, number: int) -> Check:
    """A JPEG 2000 codestream that decodes to the very pixels that were stored."""

    def check(answer: Answer) -> None:
        import imagecodecs

        [found] = parts(answer)
        if not found.startswith((b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  ")):
            raise WrongAnswer("no JPEG 2000")
        decoded = imagecodecs.jpeg2k_decode(found)
        if decoded.tobytes() != pack.frame(instance, number):
            raise WrongAnswer("other pixels than were stored")

    return check


def _have(found: Sequence[dict[str, Any]], tags: Sequence[str]) -> None:
    for item in found:
        missing = [tag for tag in tags if tag not in item]
        if missing:
            raise WrongAnswer(f"an answer without {', '.join(missing)}")
