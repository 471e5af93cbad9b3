# SPDX-License-Identifier: Apache-2.0
"""Private database servers: in a temporary folder, on a socket there, gone with the process that started them.

They are run from Debian's packages, which tools/setup installs; the servers of the machine are left alone.
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy
from sqlalchemy.exc import OperationalError

UNPRIVILEGED = "nobody"
"""PostgreSQL refuses to run as root."""

START_SECONDS = 60
PREFIX = "ottava-test-server"


class Server:
    """One server of one kind, made but not started."""

    kind: str
    ends = {"stop": signal.SIGTERM, "kill": signal.SIGKILL}

    def __init__(self) -> None:
        _sweep()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}-{os.getpid()}-"))
        if os.geteuid() == 0:
            user = pwd.getpwnam(UNPRIVILEGED)
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        self._process: subprocess.Popen[bytes] | None = None
        self._log = (self.folder / "log").open("ab")
        subprocess.run(_unprivileged(self.preparation()), check=True, stdout=self._log, stderr=self._log)

    @property
    def url(self) -> str:
        """Where its administrator connects."""
        raise NotImplementedError

    def preparation(self) -> Sequence[str]:
        """The command that makes its files."""
        raise NotImplementedError

    def command(self) -> Sequence[str]:
        """The command that is the server."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it, and return when it answers. Its data are those that it had."""
        self._process = subprocess.Popen(_unprivileged(self.command()), stdout=self._log, stderr=self._log)
        deadline = time.monotonic() + START_SECONDS
        engine = sqlalchemy.create_engine(self.url, poolclass=sqlalchemy.NullPool)
        while not self._answers(engine):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.kind} does not start:\n{(self.folder / 'log').read_text()}")
            time.sleep(0.02)

    def _answers(self, engine: sqlalchemy.Engine) -> bool:
        with contextlib.suppress(OperationalError), engine.connect():
            return True
        return False

    def stop(self) -> None:
        """Stop it in order, not waiting for its clients to leave."""
        self._end("stop")

    def kill(self) -> None:
        """Let it crash: what it has not written down is lost."""
        self._end("kill")

    def _end(self, manner: str) -> None:
        if self._process is not None:
            self._process.send_signal(self.ends[manner])
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        """Stop it, and remove its files."""
        self.kill()
        self._log.close()
        shutil.rmtree(self.folder)


class PostgreSQL(Server):
    """A PostgreSQL."""

    kind = "postgresql"
    ends = {"stop": signal.SIGINT, "kill": signal.SIGQUIT}  # "fast" and "immediate"

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://postgres@/postgres?host={self.folder}"

    def preparation(self) -> Sequence[str]:
        return (
            _program("initdb"), f"--pgdata={self.folder}/data", "--username=postgres", "--auth=trust", "--no-sync",
            "--no-locale", "--encoding=UTF8",
        )  # fmt: skip

    def command(self) -> Sequence[str]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "max_connections": "300",
            "fsync": "off",
            "full_page_writes": "off",
        }
        return (
            _program("postgres"), "-D", f"{self.folder}/data",
            *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
        )  # fmt: skip


class MariaDB(Server):
    """A MariaDB."""

    kind = "mariadb"

    @property
    def url(self) -> str:
        return f"mysql+pymysql://root@localhost/?unix_socket={self.folder}/socket"

    def preparation(self) -> Sequence[str]:
        return (
            "mariadb-install-db", "--no-defaults", f"--datadir={self.folder}/data", "--skip-test-db",
            "--auth-root-authentication-method=normal",
        )  # fmt: skip

    def command(self) -> Sequence[str]:
        return (
            _program("mariadbd"), "--no-defaults", f"--datadir={self.folder}/data", f"--socket={self.folder}/socket",
            f"--pid-file={self.folder}/pid", f"--tmpdir={self.folder}", "--skip-networking", "--max-connections=300",
            "--innodb-flush-log-at-trx-commit=2", "--innodb-doublewrite=OFF",
        )  # fmt: skip


SERVERS: dict[str, type[Server]] = {server.kind: server for server in (PostgreSQL, MariaDB)}


def _unprivileged(command: Sequence[str]) -> Sequence[str]:
    """The command as it is run: as nobody in particular, and not longer than this process."""
    words = ["setpriv", "--pdeathsig=KILL"]
    if os.geteuid() == 0:
        words += [f"--reuid={UNPRIVILEGED}", f"--regid={pwd.getpwnam(UNPRIVILEGED).pw_gid}", "--clear-groups"]
    return [*words, *command]


def _program(name: str) -> str:
    """Debian keeps the programs of PostgreSQL by version; the newest is taken."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    found = str(versions[-1]) if versions else shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        raise RuntimeError(f"{name} is not installed: run tools/setup --databases")
    return found


def _sweep() -> None:
    """Remove what killed runs have left."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}-*"):
        if not Path("/proc", folder.name.removeprefix(f"{PREFIX}-").partition("-")[0]).exists():
            shutil.rmtree(folder, ignore_errors=True)
