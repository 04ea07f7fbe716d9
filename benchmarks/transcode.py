"""A CT series that several clients ask for in another transfer syntax at once, beside what the codec alone can do.

``python -m benchmarks.transcode`` starts an installation of its own and prints, for each transfer syntax, slices for
each second of a processor: of the codec called in a loop, and of all processes of the web server while it answers,
once with a series for each client, so that no slice is asked for twice, and once with one series for all. They are
counted by processor time, so that a busy machine changes both alike. Meanwhile ``/livez`` is asked up to fifty times a
second.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_TICKS = os.sysconf("SC_CLK_TCK")
# Each frame so often where the codec is alone: long enough for processes to run side by side.
_ROUNDS = 10


@dataclass(frozen=True, slots=True)
class Series:
    """A series of so many slices that has been stored, and some of its frames."""

    path: str
    slices: int
    frames: Sequence[tuple[bytes, str]]  # stored bytes, transfer syntax
    pixels: Any


def main() -> None:
    """Store, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--clients", type=int, default=6)
    asked = parser.parse_args()
    with ExitStack() as stack:
        live = stack.enter_context(_installation())
        from dicom import transfer_syntaxes as ts

        session = live.machine("technologist")
        reader = str(live.machine("radiologist").headers["Authorization"])
        print(f"{asked.slices} slices of 512 x 512, {asked.clients} clients, {len(os.sched_getaffinity(0))} cores")
        kinds: dict[str, list[Series]] = {}
        for uid in (ts.EXPLICIT_VR_LITTLE_ENDIAN.uid, ts.JPEG_2000_LOSSLESS.uid):
            each = [_stored(live.url, session, asked.slices // asked.clients, uid) for _ in range(asked.clients)]
            kinds[uid] = [*each, _stored(live.url, session, asked.slices, uid)]
        _ask_all(live, kinds[ts.EXPLICIT_VR_LITTLE_ENDIAN.uid][:-1], ts.JPEG_LS_LOSSLESS.uid, reader)  # to warm it up
        for stored, target in (
            (ts.EXPLICIT_VR_LITTLE_ENDIAN, ts.JPEG_2000_LOSSLESS),
            (ts.EXPLICIT_VR_LITTLE_ENDIAN, ts.HTJ2K_LOSSLESS),
            (ts.EXPLICIT_VR_LITTLE_ENDIAN, ts.HTJ2K_LOSSLESS_RPCL),
            (ts.JPEG_2000_LOSSLESS, ts.EXPLICIT_VR_LITTLE_ENDIAN),
        ):
            *each, one = kinds[stored.uid]
            _measure(live, "a series each", each, target, reader)
            _measure(live, "one series", [one] * asked.clients, target, reader)


@contextmanager
def _installation() -> Iterator[Any]:
    from standalone.services.postgres import Postgres
    from standalone.services.valkey import Valkey

    with tempfile.TemporaryDirectory(prefix="lbb-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o711)
        postgres = Postgres(folder / "pg", folder / "s", log=folder / "pg.log", throw_away=True)
        valkey = Valkey(folder / "valkey", folder / "v.sock", log=folder / "valkey.log", throw_away=True)
        for service in (postgres, valkey):
            service.prepare()
            service.launch()
            stack.callback(service.stop)
            service.wait_ready()
        os.environ |= {
            "PACS_DATABASE_URL": postgres.url,
            "PACS_REDIS_URL": valkey.url,
            "PACS_DATA": str(folder / "data"),
            "DJANGO_SETTINGS_MODULE": "pacs_project.settings",
        }
        from tests.live.server import LivePacs

        live = LivePacs()
        stack.callback(live.stop)
        yield live.start(worker=False)


def _stored(url: str, session: Any, slices: int, uid: str) -> Series:
    import numpy
    from pydicom.encaps import encapsulate
    from pydicom.uid import UID, generate_uid

    from dicom.codecs import DecodedFrame, encode_frame
    from dicom.transfer_syntaxes import BY_UID
    from samples.ct_head import Plan
    from samples.ct_head import slices as heads
    from tests.dicom.independent_pixels import describe
    from tests.dicomweb.objects import make_data_set, to_bytes

    shown = [hu for _, hu in heads(Plan(6, 20.0))]
    study, series = generate_uid(), generate_uid()
    frames: list[tuple[bytes, str]] = []
    for number in range(slices):
        samples = numpy.clip(numpy.rint(numpy.roll(shown[number % 6], number, 1)) + 1024, 0, 4095).astype("<u2")
        data_set = make_data_set(
            StudyInstanceUID=study,
            SeriesInstanceUID=series,
            InstanceNumber=number + 1,
            Rows=512,
            Columns=512,
            PixelData=samples.tobytes(),
        )
        data_set["PixelData"].VR = "OW"
        pixels, frame = describe(data_set), samples.tobytes()
        if BY_UID[uid].encapsulated:
            frame = encode_frame(DecodedFrame(samples, "MONOCHROME2"), uid, pixels)
            data_set.PixelData = encapsulate([frame])
            data_set["PixelData"].VR, data_set["PixelData"].is_undefined_length = "OB", True
        body = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + to_bytes(data_set, UID(uid)) + b"\r\n--b--\r\n"
        answer = session.post(
            f"{url}/dicom-web/studies",
            data=body,
            headers={"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'},
            timeout=60,
        )
        answer.raise_for_status()
        if len(frames) < 20:
            frames.append((frame, uid))
    return Series(f"/dicom-web/studies/{study}/series/{series}", slices, frames, pixels)


def _measure(live: Any, name: str, asked: Sequence[Series], target: Any, reader: str) -> None:
    """Each of ``asked`` by a client of its own."""
    slices = sum(series.slices for series in asked)
    single, ceiling = _alone(asked[0], target.uid, 1), _alone(asked[0], target.uid, len(os.sched_getaffinity(0)))
    context = get_context("fork")
    ours, theirs = context.Pipe()
    watcher = context.Process(target=_watch, args=(live.url, theirs))
    watcher.start()
    ours.recv()
    before, began = _processor_seconds(live), time.monotonic()
    _ask_all(live, asked, target.uid, reader)
    wall, spent = time.monotonic() - began, _processor_seconds(live) - before
    ours.send(None)
    waits = ours.recv()
    watcher.join()
    reached = slices / spent
    waits.sort()
    median, last = statistics.median(waits) * 1e3, waits[math.ceil(len(waits) * 0.99) - 1] * 1e3
    print(
        f"{target.name}, {name}: {reached:.1f} slices a processor second, "
        f"the codec alone {ceiling:.1f} with every core busy: "
        f"{100 * reached / ceiling:.0f} %, {single:.1f} with the others idle: {100 * reached / single:.0f} %; "
        f"{slices / wall:.1f} a second in all; "
        f"/livez of {len(waits)}: median {median:.1f} ms, p99 {last:.1f} ms",
        flush=True,
    )


def _alone(series: Series, uid: str, cores: int) -> float:
    """Slices a processor second of decoder and encoder in a loop, nothing around them, in so many processes at once:
    cores share caches and the way to the memory, and the server keeps all of them busy."""
    with get_context("fork").Pool(cores) as pool:
        seconds = pool.starmap(_loop, [(series, uid)] * cores, chunksize=1)
    return _ROUNDS * len(series.frames) * cores / sum(seconds)


def _loop(series: Series, uid: str) -> float:
    """Processor seconds for each frame ``_ROUNDS`` times."""
    import numpy

    from dicom.codecs import CODECS, decode_frame
    from dicom.native import frame_shape, sample_type
    from dicom.transfer_syntaxes import BY_UID

    def one(frame: bytes, stored: str) -> None:
        if BY_UID[stored].encapsulated:
            samples = decode_frame(frame, stored, series.pixels).array
        else:
            samples = numpy.frombuffer(frame, sample_type(series.pixels)).reshape(frame_shape(series.pixels))
        if encode := CODECS[uid].encode:
            encode(samples, series.pixels.bits_stored)

    one(*series.frames[0])
    began = time.process_time()
    for _ in range(_ROUNDS):
        for frame in series.frames:
            one(*frame)
    return time.process_time() - began


def _ask_all(live: Any, asked: Sequence[Series], uid: str, reader: str) -> None:
    arguments = [(live.url, series.path, uid, reader, series.slices) for series in asked]
    asking = [get_context("fork").Process(target=_ask, args=each) for each in arguments]
    for each in asking:
        each.start()
    for each in asking:
        each.join()
    if any(each.exitcode for each in asking):
        raise SystemExit("a client did not get what it asked for")


def _ask(url: str, path: str, uid: str, reader: str, slices: int) -> None:
    """Read the series to its end."""
    import http.client

    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=600)
    accept = f'multipart/related; type="application/dicom"; transfer-syntax={uid}'
    connection.request("GET", path, headers={"Authorization": reader, "Accept": accept})
    answer = connection.getresponse()
    parts, rest = 0, b""
    wanted = b"transfer-syntax=" + uid.encode() + b"\r\n"
    while piece := answer.read1(1 << 20):
        rest += piece
        parts += rest.count(wanted)
        rest = rest[-len(wanted) + 1 :]
    if parts != slices:
        raise SystemExit(f"{answer.status}: {parts} parts of {slices}")


def _watch(url: str, told: Connection) -> None:
    """Ask whether the server lives up to fifty times a second, until told to stop; tell how long each took."""
    import http.client

    waits: list[float] = []
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    told.send(None)
    while not told.poll(0.02):
        began = time.monotonic()
        connection.request("GET", "/livez")
        connection.getresponse().read()
        waits.append(time.monotonic() - began)
    told.send(waits)


def _processor_seconds(live: Any) -> float:
    """Of the web server and all its processes, the codecs' too."""
    return sum(map(_of_process, _family(live.services[0].pid)))


def _family(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            yield from _family(int(child))


def _of_process(pid: int) -> float:
    times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, times[11:13])) / _TICKS


if __name__ == "__main__":
    main()
