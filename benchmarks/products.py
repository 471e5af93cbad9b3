# SPDX-License-Identifier: Apache-2.0
"""The two that are compared: how each is installed, configured, started, filled and looked at."""

import contextlib
import ipaddress
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import httpx
import sqlalchemy
import stage
from sqlalchemy import Connection, MetaData, Table, create_engine, insert, or_, select, update
from support.machine import BIN, eventually
from support.servers import MariaDB, Server
from support.slots import free_ports

FIRST_COPY = ipaddress.ip_address("198.18.4.0")
"""Where the addresses of copies begin; those below are for what is made by the API."""
ROOT = Path(__file__).parents[1]
OCTAVIA = ROOT / ".venv-octavia"
PORTS = Path("/tmp/octavia-network-noop.db")
PINS = Path(__file__).parent / "requirements-octavia.txt"


class Product(Protocol):
    """One that is compared.

    locks  a change makes a load balancer refuse others until somebody carries it out
    """

    name: str
    locks: bool
    database: str

    def prepare(self) -> None:
        """Make the tables and write the configuration."""

    def command(self) -> Sequence[str]:
        """What starts the API."""


def _section(name: str, options: Mapping[str, object]) -> str:
    return f"[{name}]\n" + "".join(f"{option} = {value}\n" for option, value in options.items())


def _configure(path: Path, sections: Mapping[str, Mapping[str, object]]) -> None:
    path.write_text("".join(_section(*each) for each in sections.items()))


class Ottava:
    """Ottava from this tree, as `ottava api` serves it."""

    name = "Ottava"
    locks = False

    def __init__(self, folder: Path, database: str, workers: int, auth: Mapping[str, Mapping[str, object]]) -> None:
        self.database = database
        self._folder, self._workers, self._auth = folder / "ottava", workers, auth
        (self.port,) = free_ports(1)
        self.subnet = str(uuid.uuid4())

    def prepare(self) -> None:
        """See Product."""
        self._folder.mkdir()
        self._config = self._folder / "ottava.conf"
        mine: dict[str, Mapping[str, object]] = {
            "DEFAULT": {"state_dir": self._folder / "state", "run_dir": self._folder / "run"},
            "database": {"connection": self.database},
            "api": {"bind_port": self.port, "workers": self._workers, "noop": True},
            "network": {"driver": "noop"},
        }
        _configure(self._config, _merged(mine, self._auth, "api"))
        subprocess.run([BIN / "ottava", "db", "upgrade", "--config-file", self._config], check=True)

    def command(self) -> Sequence[str]:
        """See Product."""
        return [str(BIN / "ottava"), "api", "--config-file", str(self._config)]


class Octavia:
    """Octavia from the package index in an environment of its own, its API served by uWSGI, its drivers doing nothing.

    Its no-op network driver keeps ports in an SQLite file of a fixed name, which is put into memory here.
    """

    name = "Octavia"
    locks = True

    def __init__(self, folder: Path, database: str, workers: int, auth: Mapping[str, Mapping[str, object]]) -> None:
        self.database = database
        self._folder, self._workers, self._auth = folder / "octavia", workers, auth
        (self.port,) = free_ports(1)
        self.subnet = str(uuid.uuid4())

    def prepare(self) -> None:
        """See Product."""
        install_octavia()
        self._folder.mkdir()
        PORTS.unlink(missing_ok=True)
        PORTS.symlink_to(self._folder / "ports.sqlite")
        self._config = self._folder / "octavia.conf"
        mine: dict[str, Mapping[str, object]] = {
            "DEFAULT": {"transport_url": "fake://"},
            "database": {"connection": self.database},
            "api_settings": {
                "auth_strategy": "noauth",
                "enabled_provider_drivers": "noop_driver:does nothing",
                "default_provider_driver": "noop_driver",
                "pagination_max_limit": 1000,
            },
            "controller_worker": {
                "network_driver": "network_noop_driver",
                "compute_driver": "compute_noop_driver",
                "amphora_driver": "amphora_noop_driver",
            },
        }
        _configure(self._config, _merged(mine, self._auth, "api_settings"))
        manage = [str(OCTAVIA / "bin" / "octavia-db-manage"), "--config-file", str(self._config), "upgrade", "head"]
        done = subprocess.run(manage, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError((done.stdout + done.stderr)[-2000:])

    def command(self) -> Sequence[str]:
        """See Product."""
        return [
            str(OCTAVIA / "bin" / "uwsgi"), "--master", "--processes", str(self._workers), "--lazy-apps",
            "--http", f"127.0.0.1:{self.port}", "--http-keepalive=60", "--enable-threads", "--die-on-term",
            "--disable-logging", "--logto", str(self._folder / "log"), "--buffer-size", "65535",
            "--module", "octavia.wsgi.api:application", "--pyargv", f"--config-file {self._config}",
        ]  # fmt: skip


def _merged(
    mine: Mapping[str, Mapping[str, object]], auth: Mapping[str, Mapping[str, object]], api: str
) -> dict[str, Mapping[str, object]]:
    """`mine` with the options of authentication, whose group "api" has the product's own name."""
    named = {api if group == "api" else group: options for group, options in auth.items()}
    return {group: {**mine.get(group, {}), **named.get(group, {})} for group in {**mine, **named}}


def install_octavia() -> None:
    """Make Octavia's environment, unless it is there."""
    stamp = OCTAVIA / ".stamp"
    if stamp.exists() and stamp.read_text() == PINS.read_text():
        return
    stage.say("making .venv-octavia (once, a minute or two)")
    subprocess.run([sys.executable, "-m", "venv", str(OCTAVIA)], check=True)
    pip = [str(OCTAVIA / "bin" / "pip"), "--quiet", "--disable-pip-version-check", "install"]
    subprocess.run([*pip, "-r", str(PINS)], check=True)
    stamp.write_text(PINS.read_text())


# ---- their database server


class DurableMariaDB(MariaDB):
    """A MariaDB that keeps what it has committed, as it does unless told otherwise."""

    def command(self) -> Sequence[str]:
        """See Server."""
        return [word for word in super().command() if not word.startswith("--innodb")]


@contextlib.contextmanager
def server() -> Iterator[Server]:
    """A database server of the benchmark's own, gone afterwards. Octavia's migrations work on MariaDB only."""
    made = DurableMariaDB()
    try:
        made.start()
        yield made
    finally:
        made.remove()


def database(on: Server, name: str) -> str:
    """The URL of a new database, which lives as long as its server."""
    admin = create_engine(on.url, isolation_level="AUTOCOMMIT", poolclass=sqlalchemy.NullPool)
    with admin.connect() as conn:
        conn.exec_driver_sql(f"CREATE DATABASE {name}")
    return sqlalchemy.make_url(on.url).set(database=name).render_as_string(hide_password=False)


# ---- running one


class Running:
    """The API of a product while it runs. `headers` say who asks."""

    def __init__(self, product: Product, port: int, pid: int, headers: Mapping[str, str]) -> None:
        self.product, self.port, self._pid, self.headers = product, port, pid, headers

    def pids(self) -> list[int]:
        """Of all of its processes."""
        return [self._pid, *_below(self._pid)]

    def cpu(self) -> float:
        """Seconds of CPU that its processes have used."""
        return sum(map(_cpu, self.pids()))

    def memory(self) -> float:
        """MiB that its processes hold, shared pages in proportion."""
        return sum(map(_pss, self.pids())) / 1024

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """The decoded answer."""
        with httpx.Client(base_url=f"http://127.0.0.1:{self.port}/v2/lbaas/", timeout=60, trust_env=False) as client:
            answer = client.request(method, path, json=body, headers=dict(self.headers))
        if not answer.is_success:
            raise RuntimeError(f"{self.product.name}: {method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None


@contextlib.contextmanager
def running(product: Product, port: int, headers: Mapping[str, str]) -> Iterator[Running]:
    """Start the API of a product that was prepared; ended afterwards."""
    process = subprocess.Popen(
        product.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    found = Running(product, port, process.pid, headers)
    try:
        eventually(lambda: _answers(found), f"{product.name} does not answer")
        yield found
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _answers(found: Running) -> bool:
    time.sleep(0.1)
    try:
        return bool(httpx.get(f"http://127.0.0.1:{found.port}/", timeout=20, trust_env=False).is_success)
    except httpx.HTTPError:
        return False


def _below(pid: int) -> list[int]:
    try:
        words = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [each for word in words for each in (int(word), *_below(int(word)))]


def _cpu(pid: int) -> float:
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def _pss(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


# ---- filling its database


class Tables:
    """The tables of a product, whatever they are."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url)
        self._tables = MetaData()
        self._tables.reflect(self._engine)

    def activate(self) -> None:
        """Make everything ACTIVE, as if somebody had carried it out."""
        with self._engine.begin() as conn:
            for table in self._tables.sorted_tables:
                if "provisioning_status" in table.c:
                    status = table.c.provisioning_status
                    conn.execute(update(table).where(status != "ACTIVE").values(provisioning_status="ACTIVE"))

    def multiply(self, model: Mapping[str, Any], copies: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
        """Copy a load balancer that was made by the API, with all that belongs to it, by SQL.

        model   its answer from the API, its listeners and pools by id
        copies  name and project of each copy
        Returns, for each, the new ids by the model's.
        """
        parts = [model["id"], *(each["id"] for key in ("listeners", "pools") for each in model[key])]
        with self._engine.begin() as conn:
            rows = self._rows(conn, parts)
            ids = {*parts, model["vip_port_id"], *(row["id"] for _, row in rows if "id" in row)}
            made: list[dict[str, str]] = []
            batch: dict[Table, list[dict[str, Any]]] = {table: [] for table, _ in rows}
            for number, (name, project) in enumerate(copies, start=1):
                new = {old: str(uuid.uuid4()) for old in ids}
                address = str(FIRST_COPY + number)
                swapped = {**new, model["vip_address"]: address, model["project_id"]: project, model["name"]: name}
                for table, row in rows:
                    batch[table].append({key: _swapped(value, swapped, number) for key, value in row.items()})
                made.append(new)
            for table, several in batch.items():
                for start in range(0, len(several), 1000):
                    conn.execute(insert(table), several[start : start + 1000])
        return made

    def _rows(self, conn: Connection, ids: Sequence[str]) -> list[tuple[Table, dict[str, Any]]]:
        """Every row that names one of these, parents before children."""
        found = []
        for table in self._tables.sorted_tables:
            texts = [column for column in table.c if isinstance(column.type, sqlalchemy.String)]
            wanted = select(table).where(or_(*(column.in_(ids) for column in texts))) if texts else None
            for row in conn.execute(wanted).mappings() if wanted is not None else ():
                found.append((table, dict(row)))
        return found

    def analyse(self) -> None:
        """Let the server learn how large the tables are."""
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            for table in self._tables.sorted_tables:
                conn.exec_driver_sql(f"ANALYZE TABLE {table.name}")


def _swapped(value: Any, swapped: Mapping[str, str], number: int) -> Any:
    if isinstance(value, datetime):
        return value + timedelta(seconds=number)
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return (datetime.fromisoformat(value) + timedelta(seconds=number)).isoformat(timespec="microseconds")
        return swapped.get(value, value)
    return value
