"""THE table of what requests cost, all of them warm: nothing in it may grow, least of all with what is stored.

A row is lowered when a request has become cheaper, and raised only for a reason that is worth telling. It counts what
leaves for PostgreSQL, BEGIN and COMMIT with it, and what a process asks once is not in it: that nothing is marked is
believed for a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one request.

    ``trips``: answers of the database that are waited for; ``planned``: statements that it plans anew; ``commits``:
    transactions that write and are durable before the answer; ``opened``: files and folders of the data folder;
    ``flushed``: calls of fsync.
    """

    statements: int
    trips: int
    planned: int = 0
    commits: int = 0
    opened: int = 0
    flushed: int = 0


COSTS: Mapping[str, Cost] = {
    "frame, by a token": Cost(3, 2, commits=1, opened=1),
    "frame, by a session": Cost(4, 4, commits=1, opened=1),
    "frame, the first of a window": Cost(3, 2, commits=1, opened=1),
    "search by Patient ID": Cost(3, 3, commits=1),
    "search by Patient ID, by a session": Cost(4, 4, commits=1),
    "study list": Cost(3, 3, commits=1),
    "studies of a period": Cost(4, 3, commits=1),
    "series of a study": Cost(3, 3, commits=1),
    "instances of a series": Cost(3, 3, commits=1),
    "metadata of a series": Cost(3, 2, commits=1, opened=1),
    "metadata of a series, which the client has": Cost(3, 2, commits=1),
    "metadata of a study": Cost(3, 2, commits=1, opened=1),
    "instance": Cost(3, 2, commits=1, opened=1),
    "study": Cost(3, 2, commits=1, opened=3),
    "rendered": Cost(3, 2, commits=1, opened=2),
    "rendered, by a session": Cost(4, 4, commits=1, opened=2),
    "thumbnail": Cost(4, 4, commits=1, opened=1),
    "thumbnail, which the client has": Cost(3, 3, commits=1),
    "store one instance of a known series": Cost(7, 6, commits=1, opened=2, flushed=2),
    "store one instance of a new study": Cost(9, 8, commits=1, opened=2, flushed=2),
    "store 50 instances of a new study": Cost(9, 8, commits=1, opened=51, flushed=51),
    "store 50 instances again": Cost(5, 4, commits=1, opened=50),
    "HL7 message about a known patient": Cost(18, 18, commits=2),
    "HL7 message with a new order": Cost(33, 33, planned=2, commits=2),
}
