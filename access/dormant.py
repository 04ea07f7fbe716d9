"""Accounts that nobody uses any more are switched off, by command or by the daily upkeep."""

from access.account_report import Account, dormant
from access.acting import COMMAND_LINE, Acting
from access.models import Client, User
from access.refused_change import RefusedChange
from access.termination import terminate


def switch_off_dormant(*, by: Acting = COMMAND_LINE) -> tuple[list[Account], list[Account]]:
    """Terminate each dormant account: those that are off now, and those that had to stay, such as the last person who
    may manage.
    """
    off, stayed = [], []
    for account in dormant():
        try:
            terminate(found(account), f"not used for long ({account.kind})", by=by)
        except RefusedChange:
            stayed.append(account)
        else:
            off.append(account)
    return off, stayed


def found(account: Account) -> User | Client:
    """The row of an account of the report."""
    if account.kind == "person":
        return User.objects.get(external_id=account.id)
    machine: Client = Client.objects.get(external_id=account.id)
    return machine
