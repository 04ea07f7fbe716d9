"""How a thread answers one request: gunicorn's way, with less of it.

What gunicorn finds out about the name of a field each time is found out once for each name. Its hooks and its access
log, in which addresses would stand, are left out.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from gunicorn import util
from gunicorn.http import wsgi
from gunicorn.http.message import TOKEN_RE
from gunicorn.workers.gthread import ThreadWorker

from pacs_project.client_socket import MORE

# Under this name the application leaves whom to tell that an answer has gone: called with its status line and the bytes
# of its body, whether they arrived or not.
FINISHED: Final = "lightbox.finished"
# The kernel keeps such a piece for 200 ms at the most, whatever follows.
SMALL: Final = 8 * 1024


class Answer(wsgi.Response):  # type: ignore[misc]
    """As gunicorn's; fields that say something about the body or the connection are read by gunicorn itself."""

    def process_headers(self, headers: Iterable[tuple[str, str]]) -> None:
        """Take the fields of an answer. Raises what gunicorn does for a name or value that may not be sent."""
        for name, value in headers:
            if _is_plain(name) and isinstance(value, str) and wsgi.HEADER_VALUE_RE.fullmatch(value):
                self.headers.append((name, value.strip(" \t")))
            else:
                super().process_headers(((name, value),))

    def _emit_body(self, piece: bytes) -> None:
        """As gunicorn's; what is small, and surely not the last, goes with what follows: a client is woken once."""
        if not self.chunked and self.response_length is not None and self.sent < self.response_length:
            self.sock.sendall(piece, MORE if len(piece) <= SMALL else 0)
        else:
            super()._emit_body(piece)


@lru_cache(maxsize=256)
def _is_plain(name: str) -> bool:
    """A name that may be sent, and that says nothing about body or connection."""
    if not isinstance(name, str) or not TOKEN_RE.fullmatch(name):
        return False
    return name.lower() != "content-length" and not util.is_hoppish(name)


class AnsweringWorker(ThreadWorker):  # type: ignore[misc]
    """The part of the worker that runs in its threads."""

    def handle_request(self, req: Any, conn: Any) -> bool:
        """Whether the connection can be kept. Raises StopIteration for an answer that broke off."""
        answer, environ = wsgi.create(req, conn.sock, conn.client, conn.server, self.cfg, response_class=Answer)
        environ["wsgi.multithread"] = True
        if not self.alive or not self.cfg.keepalive or len(self.keepalived_conns) >= self.max_keepalived:
            answer.force_close()
        try:
            body = self.wsgi(environ, answer.start_response)
            try:
                for piece in body:
                    answer.write(piece)
                answer.close()
            finally:
                if hasattr(body, "close"):
                    body.close()
        except OSError:
            raise
        except (Exception, SystemExit):
            if answer.headers_sent:
                # A 500 in the middle of an answer would be taken for its content.
                self.log.exception("Error handling request")
                util.close_graceful(conn.sock)
                raise StopIteration from None
            raise
        finally:
            if (finished := environ.get(FINISHED)) is not None:
                finished(answer.status, answer.sent)
        return not answer.should_close()
