# SPDX-License-Identifier: Apache-2.0
"""A wire to a database server that is cut at the worst moment: when a COMMIT was carried out, and before that is heard."""

import contextlib
import selectors
import socket
import threading
from pathlib import Path

from sqlalchemy.engine import make_url


class Cutting:
    """Passes on what clients and server say, on a socket of its own; `url` leads over it."""

    def __init__(self, url: str, folder: Path) -> None:
        there = make_url(url)
        if there.get_backend_name() == "postgresql":
            name = ".s.PGSQL.5432"
            self._server = f"{there.query['host']}/{name}"
            self.url = there.update_query_dict({"host": str(folder)}).render_as_string(hide_password=False)
        else:
            name = "wire"
            self._server = str(there.query["unix_socket"])
            self.url = there.update_query_dict({"unix_socket": f"{folder}/{name}"}).render_as_string(
                hide_password=False
            )
        self._left = 0
        self._lock = threading.Lock()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{folder}/{name}")
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_at(self, commit: int) -> None:
        """Cut the wire at so many COMMITs from now on; 0: at none."""
        self._left = commit

    @property
    def was_cut(self) -> bool:
        """Whether it came to that."""
        return self._left <= 0

    def close(self) -> None:
        """Take no more clients."""
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server, selectors.DefaultSelector() as ready:
            server.connect(self._server)
            for each in (client, server):
                ready.register(each, selectors.EVENT_READ)
            with contextlib.suppress(OSError):
                while True:
                    for key, _ in ready.select():
                        said = key.fileobj.recv(65536)  # type: ignore[union-attr]
                        if not said:
                            return
                        (server if key.fileobj is client else client).sendall(said)
                        if key.fileobj is client and b"COMMIT" in said and self._is_it():
                            server.recv(65536)
                            return

    def _is_it(self) -> bool:
        with self._lock:
            self._left -= 1
            return self._left == 0
