"""Changes of accounts, roles and grants that the rules of the house don't allow."""


class RefusedChange(Exception):
    """The change isn't made; the text is for whoever wanted it and names no patient."""


class NameTaken(RefusedChange):
    """Somebody has this name, or had it."""
