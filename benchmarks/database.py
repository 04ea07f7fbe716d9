"""The throw-away PostgreSQL that benchmarks fill."""

from contextlib import ExitStack
from pathlib import Path

from standalone.services.postgres import Postgres


def started(folder: Path, stack: ExitStack) -> str:
    """The URL of a PostgreSQL below ``folder``, which ends with ``stack``; its commits are not durable."""
    postgres = Postgres(folder / "pg", folder / "s", log=folder / "pg.log", throw_away=True)
    postgres.prepare()
    postgres.launch()
    stack.callback(postgres.stop)
    postgres.wait_ready()
    return postgres.url
