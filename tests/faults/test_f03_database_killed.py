"""F3: the database is killed in the middle of storing, again and again.

Procedure: writers and readers run; every 5 s the postmaster gets SIGKILL, 6 times (short form: twice, after 1.5 s), and
is started again by this script; nothing else is started anew.

Pass: the oracle of all faults; whatever is not acknowledged is answered with 503 and Retry-After; searches and stores
work again within 15 s of the database's start.
"""

from __future__ import annotations

import time

from standalone.services.postgres import Postgres
from tests.faults.conftest import Figure
from tests.faults.oracle import Oracle, wait_for_acknowledgement, writing
from tests.faults.through import BACK_WITHIN, LONGEST, answers, one_known, reading, seconds_until
from tests.live.own_postgres import kill_postgres, start_again
from tests.live.server import LivePacs


def test_the_database_is_killed(own_postgres: Postgres, oracle: Oracle, figure: Figure, long_form: bool) -> None:
    kills, between = (6, 5.0) if long_form else (2, 1.5)
    backs = []
    live = LivePacs(database_url=own_postgres.url)
    try:
        live.start(worker=long_form)
        session = live.machine("technologist")
        known = one_known(live, session)
        with writing(live, session, oracle, writers=4), reading(live, session, known, readers=2) as heard:
            for number in range(kills):
                wait_for_acknowledgement(oracle, count=number + 1)
                time.sleep(between)
                kill_postgres(own_postgres)
                start_again(own_postgres)
                backs.append(seconds_until(lambda: answers(live, session, "dicom-web/studies?limit=1")))
        verdict = oracle.judge(live, session)
    finally:
        live.stop()
    print(dict(oracle.answers), dict(heard.answers), [f"{back:.1f}" for back in backs])
    verdict.tell(figure, "F3")
    others = (oracle.answers + heard.answers).total() - sum(
        count for status, count in (oracle.answers + heard.answers).items() if status in (200, 204, 503)
    )
    figure("F3", "kills", kills, "6 in the long form")
    figure("F3", "answers that are neither good nor 503", others, "0")
    figure("F3", "searching again after, at the most", f"{max(backs):.1f} s", "15 s")
    assert verdict.clean, verdict
    assert others == 0, (oracle.answers, heard.answers, heard.told)
    assert heard.without_retry_after == 0
    assert max(backs) < BACK_WITHIN + LONGEST * (not long_form)
