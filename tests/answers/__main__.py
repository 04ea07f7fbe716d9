"""``python -m tests.answers ask FILE`` asks an installation of this checkout; ``... compare BEFORE AFTER`` tells apart.

An installation of its own is started, with its database, and removed again. To compare two versions run ``ask`` in a
checkout of each, with this folder copied into the older one, and then ``compare``; it ends with 1 if anything differs.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.answers.questions import Question
    from tests.live.server import LivePacs

Rows = dict[str, dict[str, object]]
# What is to be done, and what has been.
_LEFT = """SELECT (SELECT count(*) FROM archive_outboxentry), (SELECT count(*) FROM archive_thumbnailpack),
    (SELECT count(*) FROM archive_seriesdocument), (SELECT count(*) FROM archive_metadatafragment)"""


def main() -> int:
    """0 if nothing differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    ask = verbs.add_parser("ask")
    ask.add_argument("file", type=Path)
    ask.add_argument("--every", type=int, default=1, help="only every so many questions of those that read")
    compare = verbs.add_parser("compare")
    compare.add_argument("before", type=Path)
    compare.add_argument("after", type=Path)
    asked = parser.parse_args()
    if asked.verb == "compare":
        return _compare(asked.before, asked.after)
    with ExitStack() as stack:
        rows = _answers(_installation(stack), asked.every)
    asked.file.write_text(json.dumps(rows, indent=1))
    print(f"{len(rows)} answers")
    return 0


def _compare(before: Path, after: Path) -> int:
    from tests.answers.normal import differences

    one, other = json.loads(before.read_text()), json.loads(after.read_text())
    found = differences(one, other)
    print("\n".join((*found, f"{len(found)} answers differ, of {len(one)} and {len(other)}")))
    return 1 if found else 0


def _installation(stack: ExitStack) -> LivePacs:
    """Web, worker and relay on a PostgreSQL and a Valkey of their own."""
    from standalone.services.postgres import Postgres
    from standalone.services.valkey import Valkey

    home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lba-")))
    home.chmod(0o711)
    (home / "data").mkdir()
    postgres = Postgres(home / "pg", home / "s", log=home / "pg.log", throw_away=True)
    valkey = Valkey(home / "valkey", home / "v.sock", log=home / "valkey.log", throw_away=True)
    for service in (postgres, valkey):
        service.start()
        stack.callback(service.stop)
    os.environ |= {
        "PACS_DATABASE_URL": postgres.url,
        "PACS_REDIS_URL": valkey.url,
        "PACS_DATA": str(home / "data"),
        "DJANGO_SETTINGS_MODULE": "pacs_project.settings",
    }
    import django

    django.setup()
    from tests.live.server import LivePacs

    live = LivePacs()
    live.environment |= {
        "PACS_CORS_ORIGINS": '["https://viewer.example"]',
        # It waits for minutes, and for a machine that has nothing else to do.
        "PACS_AT_REST__TRANSFER_SYNTAX": "off",
    }
    stack.callback(live.stop)
    return live.start(worker=False)


def _answers(live: LivePacs, every: int) -> Rows:
    """All questions: of what was just stored, again, by a session, by whoever may little, prepared by a worker."""
    from tests.answers.questions import reading
    from tests.answers.writing import signed_in, storing, withdrawing

    may, may_not, manages = (
        {"Authorization": str(live.machine(role).headers["Authorization"])}
        for role in ("technologist", "auditor", "administrator")
    )
    rows = _ask(live, "stored", storing(), may)
    questions = list(reading())[::every]
    rows |= _ask(live, "first", questions, may)
    rows |= _ask(live, "again", questions[::4], may)
    rows |= _ask(live, "session", questions[1::5], signed_in(live))
    rows |= _ask(live, "little", questions[2::15], may_not)
    rows |= _ask(live, "nobody", questions[3::15], {})
    _work(live)
    made_by_workers = [each for each in questions if "metadata" in each.path or "thumbnail" in each.path]
    rows |= _ask(live, "prepared", made_by_workers, may)
    return rows | _ask(live, "withdrawn", [*withdrawing(), *questions[::30]], manages)


def _work(live: LivePacs) -> None:
    """Until a worker has done all there is to do."""
    for service in live.services:
        service.stop()
    live.serve(worker=True)
    done: list[tuple[object, ...]] = []
    until = time.monotonic() + 600
    while time.monotonic() < until and not (len(done) > 8 and done[-1][0] == 0 and len(set(done[-8:])) == 1):
        time.sleep(1)
        done += live.query(_LEFT)
    if done[-1][0] != 0:
        told = (live.home / "worker.log").read_text()[-3_000:]
        raise SystemExit(f"the worker was not done in 10 minutes: {done[-1]}\n{told}")


def _ask(live: LivePacs, when: str, questions: Iterable[Question], who: dict[str, str]) -> Rows:
    from tests.answers.normal import normal

    connection = http.client.HTTPConnection("127.0.0.1", live.port, timeout=120)
    rows: Rows = {}
    for number, question in enumerate(questions):
        connection.request(question.method, question.path, question.body or None, dict(question.headers) | who)
        answer = connection.getresponse()
        body = answer.read()
        told = normal(answer.status, answer.getheaders(), body, live.port)
        name = f"{when} {question.name}"
        rows[name if name not in rows else f"{name} #{number}"] = told.row()
        if answer.will_close:
            connection.close()
    connection.close()
    return rows


if __name__ == "__main__":
    sys.exit(main())
