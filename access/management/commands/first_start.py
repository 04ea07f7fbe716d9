"""``first_start``: an administrator for an empty installation; nothing for any other."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from access.people import create_first_user


class Command(BaseCommand):
    """Make the first administrator if there is nobody."""

    help = "Make the first administrator, with a generated password printed once; prints nothing if there is anybody."

    def handle(self, *args: Any, **options: Any) -> None:
        """Print a box with name and password."""
        made = create_first_user()
        if made is None:
            return
        user, password = made
        lines = (
            "The first person of this Lightbox",
            "",
            f"  sign in at  {settings.PACS.public_root}/",
            f"  name        {user.username}",
            f"  password    {password}",
            "",
            "The password is shown this once and is kept nowhere.",
            "Roles: administrator, and radiologist so that you can look at",
            "images: an administrator alone opens none.",
        )
        width = max(map(len, lines))
        edge = "+" + "-" * (width + 4) + "+"
        self.stdout.write("\n".join([edge, *(f"|  {line:<{width}}  |" for line in lines), edge]))
