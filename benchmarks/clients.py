# SPDX-License-Identifier: Apache-2.0
"""Clients that send one request after another, each in a process of its own with a connection that it keeps."""

import json
import multiprocessing
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from typing import NamedTuple

SLOWEST = 120.0
"""Seconds until an answer is given up."""


class Request(NamedTuple):
    """One request; the status that is the right answer; the body is sent as JSON."""

    method: str
    path: str
    status: int
    body: object = None


class Measured(NamedTuple):
    """What one block of load showed: seconds that it took, and those of each request."""

    seconds: float
    latencies: Sequence[float]


class Unexpected(Exception):
    """An answer was not what was asked for; the message is its beginning."""


def encoded(request: Request, headers: Mapping[str, str]) -> bytes:
    """The request as it goes over the wire."""
    body = b"" if request.body is None else json.dumps(request.body).encode()
    lines = {"Host": "bench", "Accept": "application/json", **headers}
    if body:
        lines |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{request.method} {request.path} HTTP/1.1\r\n{head}\r\n".encode() + body


def ask(connection: socket.socket, wire: bytes) -> tuple[int, bytes]:
    """Send one request; the status and the body of its answer."""
    connection.sendall(wire)
    data = connection.recv(65536)
    while b"\r\n\r\n" not in data:
        data += _more(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    status = int(head[9:12])
    lines = head.lower().split(b"\r\n")
    length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
    pieces, missing = [body], length - len(body)
    while missing > 0:
        piece = _more(connection)
        pieces.append(piece)
        missing -= len(piece)
    return status, b"".join(pieces)


def _more(connection: socket.socket) -> bytes:
    piece = connection.recv(1 << 18)
    if not piece:
        raise ConnectionError("closed within the answer")
    return piece


def connected(port: int) -> socket.socket:
    """A connection to a port of this machine."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=SLOWEST)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _client(
    port: int, headers: Mapping[str, str], requests: Callable[[int], Request], numbers: range, seconds: float,
    pipe: Connection,
) -> None:  # fmt: skip
    """Requests with these numbers until the time is over; the last one is finished."""
    latencies: list[float] = []
    with connected(port) as connection:
        pipe.send("ready")
        pipe.recv()
        deadline = time.perf_counter() + seconds
        for number in numbers:
            request = requests(number)
            wire = encoded(request, headers)
            start = time.perf_counter()
            status, body = ask(connection, wire)
            end = time.perf_counter()
            if status != request.status:
                pipe.send(f"{request.method} {request.path}: {status} {body[:500]!r}")
                return
            latencies.append(end - start)
            if end >= deadline:
                break
    pipe.send(latencies)


def load(
    port: int, headers: Mapping[str, str], requests: Callable[[int], Request], clients: int, first: int, seconds: float
) -> Measured:
    """Ask `requests(first)`, `requests(first + 1)` and so on, by `clients` at once. Raises Unexpected."""
    context = multiprocessing.get_context("fork")
    pipes, processes = [], []
    for client in range(clients):
        mine, theirs = context.Pipe()
        numbers = range(first + client, 1 << 62, clients)
        arguments = (port, headers, requests, numbers, seconds, theirs)
        processes.append(context.Process(target=_client, args=arguments, daemon=True))
        pipes.append(mine)
        processes[-1].start()
    for pipe in pipes:
        pipe.recv()
    start = time.perf_counter()
    for pipe in pipes:
        pipe.send("go")
    answers = [pipe.recv() for pipe in pipes]
    took = time.perf_counter() - start
    for process in processes:
        process.join()
    for answer in answers:
        if isinstance(answer, str):
            raise Unexpected(answer)
    return Measured(took, [each for answer in answers for each in answer])
