# SPDX-License-Identifier: Apache-2.0
"""What is known of a request from its first moment: its id, and the line about it in the log."""

import logging
import re
import time
import uuid
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

from ottava import logs
from ottava.api.context import Environ, Wsgi

LOG = logging.getLogger(__name__)

GLOBAL = re.compile(r"req-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
"""The id that another service gives all requests that it makes for one of its own; anything else is ignored."""
PLAIN = "/:@!$&'()*+,;=~?%"


def identified(app: Wsgi) -> Wsgi:
    """Give each request an id, and each reply the id of its request; what is logged meanwhile has it too."""

    def middleware(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        identifier = f"req-{uuid.uuid4()}"
        environ["openstack.request_id"] = identifier
        given = environ.get("HTTP_X_OPENSTACK_REQUEST_ID", "")
        if GLOBAL.match(given):
            environ["openstack.global_request_id"] = given
        else:
            given = ""

        def start(status: str, headers: list[tuple[str, str]], *args: Any) -> Any:
            headers.append(("x-openstack-request-id", identifier))
            return start_response(status, headers, *args)

        before = logs.request.set(f"{given} {identifier}".lstrip())
        try:
            return app(environ, start)
        finally:
            logs.request.reset(before)

    return middleware


def logged(app: Wsgi) -> Wsgi:
    """One line for each request: from where, who, their project, what, the answer's status and size, how long."""

    def middleware(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        began = time.perf_counter()
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        query = environ.get("QUERY_STRING", "")
        asked = quote(f"{path}?{query}" if query else path, safe=PLAIN)

        def start(status: str, headers: list[tuple[str, str]], *args: Any) -> Any:
            size = next((value for name, value in headers if name.lower() == "content-length"), "-")
            LOG.info(
                '%s %s %s "%s %s" %s %s bytes %.1f ms',
                environ.get("REMOTE_ADDR") or "-",
                environ.get("HTTP_X_USER_ID") or "-",
                environ.get("HTTP_X_PROJECT_ID") or "-",
                environ.get("REQUEST_METHOD"),
                asked,
                status[:3],
                size,
                (time.perf_counter() - began) * 1000,
            )
            return start_response(status, headers, *args)

        return app(environ, start)

    return middleware
