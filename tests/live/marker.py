"""A patient whose name, identifier and birth date may stand in answers and in the archive, and nowhere else.

Every installation that a test run starts is looked through when it stops: its logs and what its broker holds. The words
are those of the objects that tests make (``tests.dicomweb.objects``, ``tests.conformance.site``) and of the marker.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from redis import Redis

PATIENT = {"PatientName": "ZZQXMARKER^Quenby", "PatientID": "ZZQXID-4711", "PatientBirthDate": "18690613"}
WORDS = (
    b"ZZQX",
    b"Quenby",
    b"18690613",
    b"1869-06-13",
    b"Doe^Jane",
    b"Doe%5EJane",
    b"19700102",
    "Müller^Jürgen".encode(),
)


def leaks(texts: Mapping[str, bytes]) -> list[str]:
    """What must not be there, with the place: ``["web.log: ZZQX"]``."""
    return [
        f"{place}: {word.decode()}"
        for place, text in sorted(texts.items())
        for word in WORDS
        if word.lower() in text.lower()
    ]


def logs_of(home: Path) -> dict[str, bytes]:
    """Every log in the folder of an installation, and what it measured."""
    found = [*home.rglob("*.log*"), *home.glob("metrics/*")]
    return {str(path.relative_to(home)): path.read_bytes() for path in found if path.is_file()}


def broker_dump(url: str) -> dict[str, bytes]:
    """Each key of a broker with all that it holds."""
    with Redis.from_url(url) as broker:
        return {f"broker {key!r}": key + (broker.dump(key) or b"") for key in _keys(broker)}


def _keys(broker: Redis) -> Iterable[bytes]:
    return broker.scan_iter(count=500)
