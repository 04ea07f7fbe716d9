"""F1: ``kill -9`` of everything in the middle of storing.

Procedure: six writers store batches of 1 to 8 instances of 8 to 512 KiB, half of them in one hot study; at a random
moment the process groups of web server, worker and relay get SIGKILL, with the file store PostgreSQL too; all is
started again. 30 rounds (short form: 2), a third of them with S3.

Pass: nothing acknowledged is lost, nothing is there in part, what was not acknowledged can be sent again and is there
once; the web server answers again within 10 s; one sweep leaves no object without a row.
"""

from __future__ import annotations

import random
import time

import psycopg

from standalone.services.postgres import Postgres
from tests.faults.conftest import Figure
from tests.faults.oracle import Oracle, Verdict, wait_for_acknowledgement, writing
from tests.live.own_postgres import kill_postgres, start_again
from tests.live.server import LivePacs

BACK_WITHIN = 10.0


def in_rounds(live: LivePacs, rounds: int, postgres: Postgres | None) -> tuple[list[Verdict], float]:
    """What each round found, and the longest time that the web server took to answer again."""
    live.trust_tokens_for_long().start()
    session = live.machine("technologist")
    verdicts, longest, seed = [], 0.0, random.randrange(1 << 30)
    for number in range(rounds):
        oracle = Oracle()
        with writing(live, session, oracle, seed=seed + 100 * number, until_broken=True):
            wait_for_acknowledgement(oracle)
            time.sleep(random.Random(seed + number).uniform(0, 1))
            live.kill()
            if postgres is not None:
                kill_postgres(postgres)
        # Between the kill of the web server and that of the database nobody answers, so any other answer is a defect.
        assert set(oracle.answers) <= {0, 200}, oracle.answers
        if postgres is not None:
            start_again(postgres)
        began = time.monotonic()
        live.serve()
        longest = max(longest, time.monotonic() - began)
        verdict = oracle.judge(live, session)
        assert verdict.clean, (verdict, seed)
        verdicts.append(verdict)
    return verdicts, longest


def orphans_after_a_sweep(live: LivePacs) -> int:
    """Objects without a row that are still there after their day of grace, which one UPDATE lets pass."""
    live.manage("sweep")  # notes them
    with psycopg.connect(live.environment["PACS_DATABASE_URL"], autocommit=True) as connection:
        connection.execute("UPDATE archive_deletedobject SET sweep_after = statement_timestamp() - interval '1 hour'")
    live.manage("sweep")
    held = {key for (key,) in live.query("SELECT object_key FROM archive_instance")}
    stored = live.home / "store/objects/instances"
    assert stored.is_dir()
    return len({str(file.relative_to(stored.parent)) for file in stored.rglob("*") if file.is_file()} - held)


def tell(figure: Figure, store: str, verdicts: list[Verdict], longest: float) -> None:
    rounds = len(verdicts)
    figure("F1", f"{store}: kills", rounds, "30 in all in the long form")
    figure("F1", f"{store}: acknowledged instances", sum(each.acknowledged for each in verdicts), "more than 0")
    figure("F1", f"{store}: acknowledged and lost", sum(each.lost_acked for each in verdicts), "0")
    figure("F1", f"{store}: stored in part", sum(each.partial for each in verdicts), "0")
    figure("F1", f"{store}: serving again after, at most", f"{longest:.1f} s", f"{BACK_WITHIN:.0f} s")


def test_a_kill_of_everything_with_files(own_postgres: Postgres, figure: Figure, long_form: bool) -> None:
    live = LivePacs(database_url=own_postgres.url)
    try:
        verdicts, longest = in_rounds(live, 20 if long_form else 2, own_postgres)
        orphans = orphans_after_a_sweep(live)
    finally:
        live.stop()
    tell(figure, "files", verdicts, longest)
    figure("F1", "files: objects without a row after one sweep", orphans, "0")
    assert orphans == 0


def test_a_kill_of_everything_with_s3(s3_settings: dict[str, str], figure: Figure, long_form: bool) -> None:
    live = LivePacs(s3=s3_settings)
    try:
        verdicts, longest = in_rounds(live, 10 if long_form else 1, None)
    finally:
        live.stop()
    tell(figure, "S3", verdicts, longest)
