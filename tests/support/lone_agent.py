# SPDX-License-Identifier: Apache-2.0
"""An agent without the rest of Ottava: a process, certificates, wishes made by hand, a receiver of heartbeats."""

import datetime
import hashlib
import http.server
import ipaddress
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import httpx
import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ottava.agent import namespaces, processes, teardown
from ottava.agent.settings import Settings
from ottava.wire.applied import Applied, Outcome
from ottava.wire.desired import Backend, Bridge, Desired, Interface, Probe, Proxy, Server, digest
from ottava.wire.heartbeat import Facts, Heartbeat, Report
from support.machine import eventually
from support.slots import Slot, free_ports

MEMBER_SERVER = Path(__file__).parent / "member_server.py"
START = (
    "import sys, logging, msgspec; from ottava.agent.main import run; from ottava.agent.settings import Settings; "
    "logging.basicConfig(level=logging.INFO, format='%(asctime)s %(name)s %(message)s'); "
    "run(msgspec.json.decode(sys.argv[1].encode(), type=Settings))"
)


class Authority:
    """A certificate authority of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"test {uuid.uuid4()}")])
        self._certificate = (
            _builder(name, name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.path = folder / "ca.pem"
        self.path.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, uri: str) -> tuple[str, str]:
        """(certificate file, key file) for 127.0.0.1 and `uri`; new each time."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = [x509.UniformResourceIdentifier(uri), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        certificate = (
            _builder(subject, self._certificate.subject, key)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        for path, data in (
            (self.folder / f"{name}.pem", certificate.public_bytes(serialization.Encoding.PEM)),
            (
                self.folder / f"{name}.key",
                key.private_bytes(
                    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
                ),
            ),
        ):
            beside = path.with_suffix(".new")
            beside.write_bytes(data)
            beside.replace(path)
        return str(self.folder / f"{name}.pem"), str(self.folder / f"{name}.key")

    def client(self, name: str, uri: str) -> ssl.SSLContext:
        """What a client of that name connects with."""
        context = ssl.create_default_context(cafile=str(self.path))
        context.load_cert_chain(*self.issue(name, uri))
        return context


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )


class Receiver:
    """Hears heartbeats."""

    def __init__(self, authority: Authority) -> None:
        self.heard: list[Heartbeat] = []
        self.interval = 1.0
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.heard.append(msgspec.json.decode(body, type=Heartbeat))
                answer = b'{"interval": %f, "full": false}' % receiver.interval
                self.send_response(200)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_words: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.issue("health", "ottava:health"))
        context.load_verify_locations(authority.path)
        context.verify_mode = ssl.CERT_REQUIRED
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def last(self, amphora_id: str) -> Report | None:
        """What was last said of that amphora."""
        for message in reversed(self.heard):
            for report in message.reports:
                if report.amphora_id == amphora_id:
                    return report
        return None


class LoneAgent:
    """One agent with directories, a tag and a range of its own. `settings` replace the usual ones."""

    def __init__(self, slot: Slot, settings: dict[str, object]) -> None:
        self.slot = slot
        self.folder, self.tag = folder, tag = slot.folder, slot.tag
        self.authority = Authority(folder / "pki")
        self.receiver = Receiver(self.authority)
        (self.port,) = free_ports(1)
        certificate, key = self.authority.issue("agent", "ottava:agent:laptop")
        usual: dict[str, object] = {
            "host": "laptop",
            "bind_port": self.port,
            "tag": tag,
            "state_dir": str(folder / "state"),
            "run_dir": str(folder / "run"),
            "heartbeat_interval": 1.0,
            "health_url": self.receiver.url,
            "certificate": certificate,
            "key": key,
            "ca": str(self.authority.path),
        }
        self.settings = Settings(**{**usual, **settings})  # type: ignore[arg-type]
        self.process: subprocess.Popen[bytes] | None = None
        self.url = f"https://127.0.0.1:{self.port}"
        self.client = httpx.Client(
            base_url=self.url,
            verify=self.authority.client("controller", "ottava:controller"),
            trust_env=False,
            timeout=30,
        )
        self.epoch, self.generation = 1, 0
        self.interface = Interface(
            name="net0",
            mac="02:00:00:00:00:05",
            bridge=Bridge(f"{tag}-b{secrets_of(tag)}", (f"{slot.address(1)}/24", f"{slot.address6(1)}/64")),
            addresses=(f"{slot.address(5)}/24", f"{slot.address6(5)}/64"),
            gateways=(slot.address(1),),
        )
        self.vip = slot.address(5)
        self.gateway = slot.address(1)

    # ---- the process

    def start(self, **environment: str) -> None:
        """Start it, and return when it answers."""
        argument = msgspec.json.encode(self.settings).decode()
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", START, argument], stdout=log, stderr=log, env={**os.environ, **environment}
            )
        eventually(self._answers, f"the agent does not answer: {self.log()}", 20)

    def _answers(self) -> bool:
        assert self.process
        assert self.process.poll() is None, f"the agent ended: {self.log()}"
        try:
            self.facts()
        except httpx.TransportError:
            return False
        return True

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it; its exit status."""
        assert self.process
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        """Wait for its end; its exit status."""
        assert self.process
        status = self.process.wait(30)
        self.process = None
        return status

    def log(self) -> str:
        """What it said."""
        return (self.folder / "log").read_text()

    def close(self) -> None:
        """End it and clear the host of what it made."""
        self.receiver.close()
        self.client.close()
        if self.process:
            self.stop()
        teardown.sweep(self.tag, self.folder)

    # ---- asking it

    def facts(self) -> Facts:
        return msgspec.json.decode(self.client.get("/v1/facts").content, type=Facts)

    def reports(self) -> list[Report]:
        return msgspec.json.decode(self.client.get("/v1/amphorae").content, type=list[Report])

    def state(self, amphora_id: str) -> Applied:
        return self._applied(self.client.get(f"/v1/amphorae/{amphora_id}"))

    def put(self, wish: Desired) -> Applied:
        return self._applied(self.client.put(f"/v1/amphorae/{wish.amphora_id}", content=msgspec.json.encode(wish)))

    def serve(self, wish: Desired) -> Applied:
        """As `put`; fails unless it serves."""
        answer = self.put(wish)
        assert answer.outcome is Outcome.SERVING, (answer, self.log()[-3000:])
        assert answer.digest == wish.digest
        return answer

    def delete(self, wish: Desired, epoch: int | None = None) -> Applied:
        self.generation += 1
        query = {"epoch": epoch or self.epoch, "generation": self.generation}
        return self._applied(self.client.delete(f"/v1/amphorae/{wish.amphora_id}", params=query))

    @staticmethod
    def _applied(answer: httpx.Response) -> Applied:
        assert answer.status_code == 200, answer.text
        return msgspec.json.decode(answer.content, type=Applied)

    # ---- wishes

    def wish(self, *listeners: "Listener", amphora_id: str = "", **more: object) -> Desired:
        """A Desired of the next generation."""
        self.generation += 1
        wish = Desired(
            amphora_id=amphora_id or str(uuid.uuid4()),
            loadbalancer_id=str(uuid.uuid5(uuid.NAMESPACE_OID, amphora_id or "x")),
            epoch=self.epoch,
            generation=self.generation,
            interfaces=(self.interface,),
            proxy=proxy(listeners, self.vip),
        )
        return signed(msgspec.structs.replace(wish, **more))

    # ---- what is there

    def namespace(self, wish: Desired) -> str:
        return f"{self.tag}-{wish.amphora_id}"

    def pids(self, wish: Desired) -> list[int]:
        """All HAProxy processes of an amphora, those that finish their connections too."""
        found = processes.everything(self.folder / "run" / "amphorae" / wish.amphora_id)
        return sorted(pid for pids in found.values() for pid in pids)

    def pid(self, wish: Desired) -> int:
        """Its one process, once there is only one."""
        return int(eventually(lambda: self.pids(wish)[0] if len(self.pids(wish)) == 1 else None, f"{self.pids(wish)}"))

    def left(self) -> list[str]:
        """What carries the tag or lies in the directories, but for bridges and tombstones."""
        devices = [name for name in os.listdir("/sys/class/net") if name.startswith(f"{self.tag}-v")]
        files = [str(path) for top in ("state/amphorae", "run/amphorae") for path in (self.folder / top).rglob("*")]
        pids = [str(pid) for several in processes.everything(self.folder).values() for pid in several]
        return [*namespaces.names(f"{self.tag}-"), *devices, *files, *pids]


def signed(wish: Desired) -> Desired:
    """With its digest."""
    return msgspec.structs.replace(wish, digest=digest(wish))


def secrets_of(tag: str) -> str:
    """Eight digits that stand for a network."""
    return hashlib.sha256(tag.encode()).hexdigest()[:8]


class Listener(msgspec.Struct):
    """A listener with a pool, and what stands in its sections besides."""

    port: int
    servers: Sequence[Server] = ()
    id: str = msgspec.field(default_factory=lambda: str(uuid.uuid4()))
    pool_id: str = msgspec.field(default_factory=lambda: str(uuid.uuid4()))
    mode: str = "http"
    balance: str = "roundrobin"
    more: Sequence[str] = ()
    pool: Sequence[str] = ()
    cookie_key: str = ""

    @property
    def backend(self) -> str:
        return f"{self.pool_id}:{self.id}"


def member(address: str, port: int, name: str = "", checked: bool = False, **more: object) -> Server:
    """A server line."""
    arguments = "check inter 300ms rise 2 fall 2" if checked else ""
    values = {"arguments": arguments, "checked": checked, **more}
    return Server(name=name or str(uuid.uuid4()), address=address, port=port, **values)  # type: ignore[arg-type]


def ping(listener: Listener, server: Server, address: str) -> Probe:
    """A health check by the agent, as fast as it goes."""
    return Probe(listener.backend, server.name, "PING", address, delay=1, timeout=1, rise=1, fall=1)


HEAD = """global
    maxconn 2000
    nbthread 1
    stats socket @RUN@/haproxy.sock mode 600 level admin expose-fd listeners
    user haproxy
    group haproxy
    chroot @RUN@/chroot
    log /log format raw local0 notice
    server-state-file @RUN@/server-state
    hard-stop-after 60s
    httpclient.ssl.verify none
defaults
    option redispatch
    option idle-close-on-response
    retries 3
    timeout connect 2s
    timeout client 20s
    timeout server 20s
    load-server-state-from-file global"""


def proxy(listeners: Sequence[Listener], vip: str) -> Proxy:
    """The configuration, each line with its owner."""
    lines = HEAD.split("\n")
    frame = list(lines)
    owners = [(1, "")]
    backends = []
    for each in listeners:
        owners.append((len(lines) + 1, each.id))
        front = [
            f"frontend {each.id}",
            f"    mode {each.mode}",
            f"    bind {vip}:{each.port}",
            *(f"    {line}" for line in each.more),
            f"    default_backend {each.backend}",
        ]
        owners.append((len(lines) + len(front) + 1, each.pool_id))
        back = [f"backend {each.backend}", f"    mode {each.mode}", "    log global", f"    balance {each.balance}"]
        back += [f"    {line}" for line in each.pool]
        lines += front + back
        frame += front + back
        for server in each.servers:
            owners.append((len(lines) + 1, server.name))
            place = f"[{server.address}]" if ":" in server.address else server.address
            words = f"    server {server.name} {place}:{server.port} weight {server.weight} {server.arguments}"
            lines.append(words.rstrip() + ("" if server.enabled else " disabled"))
        backends.append(Backend(name=each.backend, servers=tuple(each.servers), cookie_key=each.cookie_key))
    text = "\n".join(lines) + "\n"
    return Proxy(text, hashlib.sha256("\n".join(frame).encode()).hexdigest(), tuple(backends), tuple(owners))


class Backends:
    """Web servers of the host, on all its addresses. Each answers with its name."""

    def __init__(self) -> None:
        self._processes: dict[str, tuple[int, subprocess.Popen[bytes]]] = {}

    def __call__(self, name: str) -> int:
        """The port of the one of that name, started if it is not there."""
        if name not in self._processes:
            port, other = free_ports(2)
            process = subprocess.Popen([sys.executable, str(MEMBER_SERVER), name, str(port), str(other)])
            self._processes[name] = (port, process)
            eventually(lambda: _listens(port), f"{name} does not serve")
        return self._processes[name][0]

    def stop(self, name: str) -> None:
        """Connections are refused from now on."""
        _, process = self._processes.pop(name)
        process.kill()
        process.wait()

    def close(self) -> None:
        for name in list(self._processes):
            self.stop(name)


def _listens(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/", trust_env=False, timeout=5).status_code == 200
    except httpx.TransportError:
        time.sleep(0.01)
        return False
