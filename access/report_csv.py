"""The account report as a table for programs that reckon: no cell of it is a formula."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from access.account_report import Account

HEAD: Final = (
    "kind",
    "id",
    "name",
    "full name",
    "switched on",
    "manages",
    "roles",
    "given by",
    "made",
    "last used",
    "grants",
    "API keys",
    "second factor",
    "dormant",
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def table(accounts: Iterable[Account]) -> str:
    """One line an account (RFC 4180)."""
    return written([HEAD, *(_line(account) for account in accounts)])


def written(lines: Iterable[Sequence[str]]) -> str:
    """Lines of cells as CSV; a cell that a program would calculate begins with an apostrophe."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([safe(cell) for cell in line] for line in lines)
    return text.getvalue()


def safe(cell: str) -> str:
    """The text, and never a formula."""
    return f"'{cell}" if cell.lstrip().startswith(_FORMULA) or cell.startswith(_FORMULA) else cell


def _line(account: Account) -> list[str]:
    return [
        account.kind,
        str(account.id),
        account.name,
        account.full_name,
        _word(account.is_active),
        _word(account.manages),
        "; ".join(role.name for role in account.roles),
        "; ".join(f"{role.given_by or '-'} {_day(role.given_at)}".strip() for role in account.roles),
        _moment(account.made_at),
        _moment(account.last_used),
        str(account.grants),
        str(account.keys),
        "" if account.second_factor is None else _word(account.second_factor),
        _word(account.dormant),
    ]


def _word(value: bool) -> str:
    return "yes" if value else "no"


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else ""


def _moment(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds") if moment else ""
