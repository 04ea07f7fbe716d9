"""The WSGI entry point: ``gunicorn pacs_project.wsgi``."""

import os
from collections.abc import Callable
from typing import Any

import django
from django.core import cache, signals
from django.core.handlers.base import reset_urlconf
from django.core.handlers.wsgi import WSGIHandler
from django.db import reset_queries
from django.http import HttpResponseBase

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pacs_project.settings")


class Application(WSGIHandler):
    """Django's handler; what it does for each answer although nothing here wants it is left out."""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> HttpResponseBase:
        """Answer one request. The fields of an answer are given as they are kept, not looked up one by one."""
        observed.begin()
        signals.request_started.send(sender=self.__class__, environ=environ)
        request = self.request_class(environ)
        response = self.get_response(request)
        response._handler_class = self.__class__  # type: ignore[attr-defined]
        cookies = (("Set-Cookie", each.output(header="")) for each in response.cookies.values())
        status = f"{response.status_code} {response.reason_phrase}"
        if (successor := getattr(response, "successor", None)) is not None:
            environ["gunicorn.socket"].successor = successor
        times = observed.described(environ, request, response)
        start_response(status, [*response.headers._store.values(), *cookies, *times])
        return response


django.setup(set_prefix=False)
# No log of statements is kept, no cache has connections, no request has routes of its own.
signals.request_started.disconnect(reset_queries)
signals.request_finished.disconnect(cache.close_caches)
signals.request_finished.disconnect(reset_urlconf)
# It needs the settings.
from pacs_project import observed  # noqa: E402

application = Application()
