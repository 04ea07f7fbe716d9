"""What the access trail adds to a retrieve: the same requests with and without recording, in pairs.

``python -m benchmarks.trail_retrieve`` starts a PostgreSQL of its own, as durable as that of an installation, and asks
the real views for frames and for whole objects, through everything that a request passes but the socket. In every
second request of a pair, which one by turns, recording is replaced by nothing; nowhere but here can it be.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

WARM: Final = 20
SLICES: Final = 20
SIDE: Final = 512


def main() -> None:
    """Store a series, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=500)
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lbb-")))
        folder.chmod(0o711)
        (folder / "data").mkdir()
        os.environ |= {
            "PACS_DATA": str(folder / "data"),
            "PACS_DATABASE_URL": _started(folder, stack),
            "DJANGO_SETTINGS_MODULE": "pacs_project.settings",
        }
        for what, urls in _stored().items():
            _print(what, *_pairs(urls, asked.pairs))


def _started(folder: Path, stack: ExitStack) -> str:
    from standalone.services.postgres import Postgres

    postgres = Postgres(folder / "pg", folder / "s", log=folder / "pg.log")
    postgres.start()
    stack.callback(postgres.stop)
    return postgres.url


def _stored() -> dict[str, list[Callable[[], None]]]:
    """A series of CT slices; what is asked for, as calls."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.test import Client

    from access.models import User, UserRole
    from tests.dicomweb.conftest import Door, body_of
    from tests.dicomweb.objects import make_object

    call_command("migrate", verbosity=0)
    user = User.objects.create(username="benchmark")
    UserRole.objects.create(user=user, role="technologist")
    http = Client(SERVER_NAME="127.0.0.1")
    http.force_login(user)
    door = Door(http)
    series = "1.2.826.0.1.3680043.8.498.9"
    shared = {"StudyInstanceUID": f"{series}.1", "SeriesInstanceUID": f"{series}.2", "Rows": SIDE, "Columns": SIDE}
    pixels = bytes(2 * SIDE * SIDE)
    made = [
        make_object(SOPInstanceUID=f"{series}.3.{number}", InstanceNumber=number, PixelData=pixels, **shared)
        for number in range(1, SLICES + 1)
    ]
    answer = http.post(**_posted(made))
    if answer.status_code != 200:
        raise SystemExit(f"storing: {answer.status_code} {answer.content[:300]!r}")

    def asking(path: str, accept: str) -> Callable[[], None]:
        def ask() -> None:
            answer = door.get(path, accept)
            if answer.status_code != 200 or len(body_of(answer)) < len(pixels):
                raise SystemExit(f"{path}: {answer.status_code}")

        return ask

    below = [f"studies/{series}.1/series/{series}.2/instances/{series}.3.{n}" for n in range(1, SLICES + 1)]
    octets = 'multipart/related; type="application/octet-stream"'
    return {
        "a frame, counted in a window": [asking(f"{path}/frames/1", octets) for path in below],
        "a whole object": [asking(path, "application/dicom") for path in below],
    }


def _posted(objects: list[bytes]) -> dict[str, Any]:
    from tests.dicomweb.conftest import BOUNDARY, multipart_body

    return {
        "path": "/dicom-web/studies",
        "data": multipart_body(objects),
        "content_type": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}',
        "headers": {"accept": "application/dicom+json", "origin": "http://127.0.0.1"},
    }


@contextmanager
def _nothing_recorded() -> Iterator[None]:
    with patch("dicomweb.view.record"), patch("dicomweb.view.record_frames"):
        yield


def _pairs(asks: list[Callable[[], None]], pairs: int) -> tuple[list[float], list[float]]:
    """Milliseconds with and without recording, of as many pairs."""
    took: tuple[list[float], list[float]] = ([], [])
    for number in range(pairs + WARM):
        ask = asks[number % len(asks)]
        for recorded in (True, False) if number % 2 else (False, True):
            with ExitStack() as stack:
                if not recorded:
                    stack.enter_context(_nothing_recorded())
                began = time.perf_counter()
                ask()
                if number >= WARM:
                    took[0 if recorded else 1].append((time.perf_counter() - began) * 1e3)
    return took


def _print(what: str, recorded: list[float], unrecorded: list[float]) -> None:
    differences = [a - b for a, b in zip(recorded, unrecorded, strict=True)]
    print(
        f"{what}: median {statistics.median(recorded):.2f} ms with the trail, {statistics.median(unrecorded):.2f} ms "
        f"without; difference of the medians {statistics.median(recorded) - statistics.median(unrecorded):.2f} ms, "
        f"median of the differences {statistics.median(differences):.2f} ms ({len(differences)} pairs)",
        flush=True,
    )


if __name__ == "__main__":
    main()
