#!/usr/bin/env python
"""Django's command line for Lightbox."""

import os
import sys

from django.core.management import execute_from_command_line

from pacs_project.config import Misconfigured

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pacs_project.settings")
    try:
        execute_from_command_line(sys.argv)
    except Misconfigured as error:
        sys.exit(str(error))
