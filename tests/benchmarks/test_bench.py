"""The harness of `./pacs bench`, as far as it is arithmetic: what it makes, how it judges, what it counts."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from benchmarks.bench import answers
from benchmarks.bench.figures import better, figure, percentile
from benchmarks.bench.fleet import Ask, WrongAnswer, run, shared_out
from benchmarks.bench.goals import ROWS, met
from benchmarks.bench.orthanc import configuration
from benchmarks.bench.packs import Copied, Pack, copies, write_pack
from benchmarks.bench.phases import Measured, multipart, taken
from benchmarks.bench.processes import memory_bytes, processor_seconds, tree
from benchmarks.bench.studies import ct, known, small
from benchmarks.bench.tables import Outcome, markdown
from benchmarks.bench.targets import Target, parsed
from benchmarks.bench.wire import Answer, WireError, authorization, parse_head


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    """Two small studies of three objects."""
    file = tmp_path_factory.mktemp("packs") / "small.pack"
    write_pack(file, ((data, known(data)) for data in small(2)))
    return Pack(file)


def answer(body: bytes, kind: str = "application/dicom+json", status: int = 200) -> Answer:
    return Answer(status, {"content-type": kind}, body, 0, 0, 0)


def related(*bodies: bytes | bytearray) -> Answer:
    parts = b"".join(b"\r\n--x\r\nContent-Type: application/dicom\r\n\r\n" + body for body in bodies)
    return answer(parts + b"\r\n--x--\r\n", 'multipart/related; type="application/dicom"; boundary="x"')


def refused(check: Callable[[Answer], None], got: Answer) -> bool:
    try:
        check(got)
    except (WrongAnswer, ValueError, LookupError):
        return True
    return False


def test_figures() -> None:
    found = figure([10.0, 8.0, 16.0])
    assert (found.median, found.spread, found.repetitions) == (10.0, 0.4, 3)
    assert percentile([5, 1, 4, 2, 3], 0.5) == 3
    assert percentile(list(range(1, 101)), 0.95) == 95
    assert better(200, 100, higher=True) == 2
    assert better(200, 100, higher=False) == 0.5
    assert better(1, 0, higher=True) == float("inf")


def test_every_goal_is_held_against_the_right_orthanc() -> None:
    row = ROWS["qido_list_c1"]
    assert met(row, 12, debian=False) is True
    assert met(row, 12, debian=True) is False
    assert met(ROWS["thumbnail"], 0.1, debian=True) is None


def test_generated_objects_are_the_same_every_time_and_valid() -> None:
    first, again = list(small(2)), list(small(2))
    assert first == again
    assert len(set(first)) == 6
    slices = list(islice(ct(2), 2))
    assert slices == list(islice(ct(2), 2))
    found = dcmread(BytesIO(slices[0]))
    assert (found.Rows, found.Columns, found.Modality) == (512, 512, "CT")
    assert 4000 < known(slices[0])["pixels"] < 6000
    assert len(found) > 80


def test_a_pack_gives_back_objects_and_frames(pack: Pack) -> None:
    one = pack.instances[4]
    found = dcmread(BytesIO(pack.data(one)))
    assert found.SOPInstanceUID == one.uid
    assert found.PixelData == pack.frame(one, 1)
    assert one.path == f"studies/{found.StudyInstanceUID}/series/{found.SeriesInstanceUID}/instances/{one.uid}"
    assert len({each.study for each in pack.instances}) == 2


def test_copies_are_others_with_the_same_pixels(pack: Pack) -> None:
    made = copies(pack, pack.instances, "a")
    assert made == copies(pack, pack.instances, "a")
    uids = {one.instance.uid for one in (*made, *copies(pack, pack.instances, "b"))} | {o.uid for o in pack.instances}
    assert len(uids) == 18
    assert len({one.instance.study for one in made}) == 2
    for one in made:
        found = dcmread(BytesIO(one.data()))
        assert (found.SOPInstanceUID, found.file_meta.MediaStorageSOPInstanceUID) == (one.instance.uid,) * 2
        assert (found.StudyInstanceUID, found.SeriesInstanceUID) == (one.instance.study, one.instance.series)
        assert found.SOPInstanceUID.is_valid
        assert (found.PatientID, found.StudyDate) == (one.instance.tags["PatientID"], "19990101")
        assert found.PixelData == pack.frame(one.original, 1)
        assert len(one.data()) == one.original.size


def test_a_store_is_judged_by_what_it_refers_to(pack: Pack) -> None:
    objects = [Copied(pack, one, one) for one in pack.instances[:2]]
    items = [{"00081155": {"vr": "UI", "Value": [one.instance.uid]}} for one in objects]
    check = answers.stored(objects)
    check(answer(json.dumps({"00081199": {"vr": "SQ", "Value": items}}).encode()))
    assert refused(check, answer(json.dumps({"00081199": {"vr": "SQ", "Value": items[:1]}}).encode()))
    both = {"00081199": {"vr": "SQ", "Value": items}, "00081198": {"vr": "SQ", "Value": items[:1]}}
    assert refused(check, answer(json.dumps(both).encode()))
    assert refused(check, answer(b"{}"))
    assert refused(check, answer(b"busy", status=503))


def test_frames_and_objects_are_judged_byte_by_byte(pack: Pack) -> None:
    one, other = pack.instances[0], pack.instances[3]
    pixels = pack.frame(one, 1)
    check = answers.frame(pack, one, 1)
    check(related(pixels))
    check(answer(pixels, "application/octet-stream"))
    for wrong in (pixels[:-1], pixels[:-1] + bytes([pixels[-1] ^ 1]), pack.frame(other, 1)):
        assert refused(check, related(wrong))
    assert refused(check, related(pixels, pixels))
    whole = answers.objects([lambda: pack.data(one), lambda: pack.data(other)])
    whole(related(pack.data(other), pack.data(one)))
    assert refused(whole, related(pack.data(one), pack.data(one)))
    assert refused(whole, related(pack.data(one)))
    broken = bytearray(pack.data(one))
    broken[-5] ^= 1
    assert refused(whole, related(bytes(broken), pack.data(other)))


def test_searches_and_metadata_are_judged_by_what_they_name(pack: Pack) -> None:
    def item(study: str) -> dict[str, dict[str, list[str]]]:
        return {tag: {"Value": ["1"]} for tag in answers.LIST_TAGS} | {"0020000D": {"Value": [study]}}

    uids = {one.study for one in pack.instances}
    check = answers.found_studies(uids)
    right = [item(uid) for uid in uids]
    check(answer(json.dumps(right).encode()))
    assert refused(check, answer(json.dumps(right[:1]).encode()))
    assert refused(check, answer(json.dumps([*right, right[0]]).encode()))
    assert refused(check, answer(b"", status=204))
    bare = [{"0020000D": {"Value": [uid]}} for uid in uids]
    assert refused(check, answer(json.dumps(bare).encode()))
    listed = answers.listed(2, ("0020000D",))
    listed(answer(json.dumps(bare).encode()))
    assert refused(answers.listed(3, ()), answer(json.dumps(bare).encode()))

    data_sets = [dcmread(BytesIO(pack.data(one)), stop_before_pixels=True).to_json_dict() for one in pack.instances]
    about = answers.metadata(pack.instances)
    about(answer(json.dumps(data_sets).encode()))
    assert refused(about, answer(json.dumps(data_sets[1:]).encode()))
    data_sets[0]["00280010"]["Value"] = [31]
    assert refused(about, answer(json.dumps(data_sets).encode()))


def test_pictures_are_judged_by_their_size_and_pixels(pack: Pack) -> None:
    import imagecodecs

    def jpeg(rows: int, columns: int) -> bytes:
        plane = np.arange(rows * columns, dtype=np.uint8).reshape(rows, columns)
        return bytes(imagecodecs.jpeg8_encode(plane))

    check = answers.picture(24, 40)
    check(answer(jpeg(24, 40), "image/jpeg"))
    assert refused(check, answer(jpeg(40, 24), "image/jpeg"))
    assert refused(check, answer(bytes(imagecodecs.jpeg8_encode(np.zeros((24, 40), np.uint8))), "image/jpeg"))
    one = pack.instances[0]
    pixels = np.frombuffer(pack.frame(one, 1), "<u2").reshape(one.rows, one.columns)
    right = answers.transcoded(pack, one, 1)
    right(related(imagecodecs.jpeg2k_encode(pixels, level=0, reversible=True, codecformat="j2k")))
    assert refused(right, related(imagecodecs.jpeg2k_encode(pixels + 1, level=0, reversible=True, codecformat="j2k")))
    assert refused(right, related(pack.frame(one, 1)))


def test_targets_and_their_credentials() -> None:
    found = parsed("peer=https://example.org/dicom-web/,abc")
    assert (found.name, found.url, found.credentials()) == ("peer", "https://example.org/dicom-web", "abc")
    assert (found.address.secure, found.address.host, found.address.port) == (True, "example.org", 443)
    assert authorization("abc") == "Bearer abc"
    assert authorization("robin:secret") == "Basic cm9iaW46c2VjcmV0"
    assert authorization("") == ""
    for text in ("http://example.org", "peer=ftp://example.org", "=http://x"):
        with pytest.raises(ValueError):
            parsed(text)


def test_an_answer_that_is_no_http_is_told() -> None:
    assert parse_head(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: a:b") == (200, {"content-length": "5", "x": "a:b"})
    with pytest.raises(WireError):
        parse_head(b"SSH-2.0-x")


@pytest.fixture
def server() -> Iterator[Target]:
    """A server that answers any number of requests on each connection with what the path says."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_accept, args=(listening,), daemon=True).start()
        yield Target("plain", f"http://127.0.0.1:{listening.getsockname()[1]}", processes=[os.getpid()])


def _accept(listening: socket.socket) -> None:
    while True:
        try:
            wire, _ = listening.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(wire,), daemon=True).start()


def _serve(wire: socket.socket) -> None:
    with wire, wire.makefile("rb") as reading:
        while first := reading.readline():
            length = 0
            while (line := reading.readline()) not in (b"\r\n", b""):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            body = reading.read(length)
            if b"chunked" in first:
                wire.sendall(
                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
                )
            else:
                told = b"%d" % len(body) if body else b"hello world"
                wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(told), told))


def test_clients_time_what_they_ask_and_check_it_afterwards(server: Target) -> None:
    def hello(got: Answer) -> None:
        if bytes(got.body) != b"hello world":
            raise WrongAnswer(f"it said {got.body!r}")

    asks = [Ask(path, check=hello) for path in ("plain", "chunked") * 3]
    before: list[str] = []
    done = run(server, shared_out(asks, 2), before=lambda: before.append("connected"))
    assert (len(done.took), before) == (6, ["connected"])
    assert all(one.size == 11 and one.begun <= one.first_byte <= one.ended for one in done.took)
    assert done.window > 0
    assert done.processor is not None

    def long(got: Answer) -> None:
        if int(bytes(got.body)) < 100_000:
            raise WrongAnswer("too short")

    run(server, [[Ask("store", check=long, body=lambda: bytes(100_000))]])
    with pytest.raises(WrongAnswer, match="1 wrong answers: store: too short"):
        run(server, [[Ask("store", check=long, body=lambda: bytes(10))]])
    again = run(server, [[Ask("plain", check=hello)]], seconds=0.05)
    assert again.took
    with pytest.raises(WrongAnswer, match="ConnectionRefusedError"):
        run(Target("nobody", "http://127.0.0.1:1"), [[Ask("plain")]])


def test_numbers_are_spread_and_do_not_repeat_early() -> None:
    first, second = list(taken(20, 300)), list(taken(20, 300, 20))
    assert len({*first, *second}) == 40
    assert max(first + second) < 300


def test_a_store_is_one_multipart_body(pack: Pack) -> None:
    asked = multipart([lambda: pack.data(pack.instances[0]), lambda: pack.data(pack.instances[1])])
    assert asked.body is not None
    body = asked.body()
    assert body.count(b"--bench\r\n") == 2
    assert body.endswith(b"\r\n--bench--\r\n")
    assert pack.data(pack.instances[1]) in body


def test_the_cost_of_a_tree_of_processes() -> None:
    assert os.getpid() in tree([os.getpid()])
    assert processor_seconds([os.getpid()]) > 0
    used, _ = memory_bytes([os.getpid()])
    assert used > 1_000_000
    assert tree([2**30]) == set()


def test_orthanc_is_durable_and_tuned(tmp_path: Path) -> None:
    told = configuration(tmp_path, 8042)
    assert (told["SyncStorageArea"], told["StorageAccessOnFind"], told["HttpThreadsCount"]) == (True, "Never", 16)


def test_the_table_says_what_is_met() -> None:
    def figures(rate: float, latency: float) -> dict[str, list[Measured]]:
        return {"stow_ct_b50_c1": [Measured(rate, 1.5)] * 3, "qido_list_c1": [Measured(latency)] * 3}

    outcome = Outcome({"lightbox": figures(500, 10), "orthanc-1.10.1": figures(100, 100)}, ["x: 1 wrong"], {}, 3)
    table = markdown(outcome)
    assert "| 500 ±0% | 100 ±0% | 5.00x | 1.50 / 1.50 | 4x | met |" in table
    assert "| 10.0 ±0% | 100 ±0% | 10.00x | - / - | 19x | **not met** |" in table
    assert "- x: 1 wrong" in table
