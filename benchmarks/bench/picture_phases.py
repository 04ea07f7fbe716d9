"""Pictures and frames in another transfer syntax: what costs a codec."""

from __future__ import annotations

import time
from typing import Final

from benchmarks.bench import answers
from benchmarks.bench.fleet import Ask, WrongAnswer, run, shared_out
from benchmarks.bench.phases import Bench, Figures, Measured, middle, rate, taken
from benchmarks.bench.targets import Target
from benchmarks.bench.wire import WireError

JPEG: Final = {"Accept": "image/jpeg"}
J2K: Final = {"Accept": 'multipart/related; type="image/jp2"; transfer-syntax=1.2.840.10008.1.2.4.90'}
_ENCODED: Final = 6
NOT_THERE: Final = (400, 404, 406, 501)


def rendered_ct(bench: Bench, target: Target, repetition: int) -> Figures:
    """Slices that nobody has looked at in this run."""
    pack = bench.studies.ct
    asks = []
    for number in taken(bench.some(20), len(pack), repetition * 20):
        one = pack.instances[number]
        asks.append(Ask(f"{one.path}/rendered", JPEG, answers.picture(one.rows, one.columns)))
    return {"rendered_ct": middle(run(target, [asks]))}


def rendered_cr(bench: Bench, target: Target, repetition: int) -> Figures:
    """The radiograph in full size."""
    [one] = bench.studies.cr.instances[:1]
    ask = Ask(f"{one.path}/rendered", JPEG, answers.picture(one.rows, one.columns))
    return {"rendered_cr": middle(run(target, [[ask] * 3]))}


def rendered_us(bench: Bench, target: Target, repetition: int) -> Figures:
    """Frames of the ultrasound."""
    [one] = bench.studies.us.instances
    check = answers.picture(one.rows, one.columns)
    numbers = taken(bench.some(6), one.frames, repetition * 6)
    asks = [Ask(f"{one.path}/frames/{number + 1}/rendered", JPEG, check) for number in numbers]
    return {"rendered_us": middle(run(target, [asks]))}


def thumbnails(bench: Bench, target: Target, repetition: int) -> Figures:
    """Of slices; nothing where the server has no thumbnails."""
    pack = bench.studies.ct
    asks = []
    for number in taken(bench.some(20), len(pack), repetition * 20):
        asks.append(Ask(f"{pack.instances[number].path}/thumbnail", JPEG, answers.small_picture()))
    return {"thumbnail": middle(run(target, [asks]))} if _there(target, asks[0]) else {}


def transcoding(bench: Bench, target: Target, repetition: int) -> Figures:
    """Each frame for the first time, by one client and by four; nothing where the server doesn't do that."""
    pack = bench.studies.ct
    alone, four = bench.some(8), bench.some(16)
    asks = []
    for number in taken(1 + alone + four, len(pack), repetition * (1 + alone + four)):
        one = pack.instances[number]
        asks.append(Ask(f"{one.path}/frames/1", J2K, answers.transcoded(pack, one, 1)))
    if not _there(target, asks[0]):
        return {}
    # Servers start what encodes with the first frame that asks for it.
    run(target, [[asks[0]] for _ in range(4)])
    return {
        "transcode_c1": rate(run(target, [asks[1 : 1 + alone]])),
        "transcode_c4": rate(run(target, shared_out(asks[1 + alone :], 4))),
        "codec_ceiling": Measured(_ceiling(bench)),
    }


def _ceiling(bench: Bench) -> float:
    """Frames a second that one core encodes with nothing around."""
    import imagecodecs
    import numpy as np

    pack = bench.studies.ct
    one = pack.instances[len(pack) // 2]
    pixels = np.frombuffer(pack.frame(one, 1), "<i2").reshape(one.rows, one.columns)
    took = []
    for _ in range(_ENCODED):
        began = time.process_time()
        imagecodecs.jpeg2k_encode(pixels, level=0, reversible=True, codecformat="j2k", numthreads=1)
        took.append(time.process_time() - began)
    return 1 / sorted(took)[len(took) // 2]


def _there(target: Target, ask: Ask) -> bool:
    """Whether the server does such a thing at all. Raises WrongAnswer if it does it wrongly."""
    connection = target.connect()
    try:
        answer = ask.send(connection)
    except (WireError, ConnectionError):
        # Debian's Orthanc may end itself when it is asked for JPEG 2000.
        return False
    finally:
        connection.close()
    if answer.status in NOT_THERE:
        return False
    if ask.check is not None:
        try:
            ask.check(answer)
        except (ValueError, LookupError) as error:
            raise WrongAnswer(f"{target.name}: {error}") from error
    return True
