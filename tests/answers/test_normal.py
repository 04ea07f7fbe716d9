"""Answers are compared without what is another one each time, and with everything else."""

from __future__ import annotations

import gzip

from tests.answers.normal import Row, differences, normal

_TYPE = "multipart/related; boundary={}"


def test_what_changes_each_time_is_left_out() -> None:
    one = normal(
        200, [("Content-Type", _TYPE.format("aa")), ("Date", "now")], b"--aa\r\nhttp://h:50001/x\r\n--aa--", 50001
    )
    other = normal(200, [("Content-Type", _TYPE.format("bb"))], b"--bb\r\nhttp://h:40002/x\r\n--bb--", 40002)
    assert one == other


def test_what_is_compressed_is_compared_by_what_is_in_it() -> None:
    headers = [("Content-Type", "application/dicom+json"), ("Content-Encoding", "gzip"), ("Content-Length", "1")]
    one, other = (normal(200, headers, gzip.compress(b'"2026-01-01T00:00:00Z"', level), 1) for level in (1, 9))
    assert one == other


def test_everything_else_is_told() -> None:
    before: dict[str, Row] = {"a": normal(200, [("ETag", "1")], b"x", 1).row(), "b": {}}
    after: dict[str, Row] = {"a": normal(206, [("ETag", "2")], b"y", 1).row()}
    for rows, tag in ((before, "1"), (after, "2")):
        rows["c/metadata"] = {"headers": {"etag": tag}}
    [changed, gone] = differences(before, after)
    assert "status 200 -> 206; etag: '1' -> '2'; body" in changed
    assert gone == "b: only before"
