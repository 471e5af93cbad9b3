# SPDX-License-Identifier: Apache-2.0
"""A member: HTTP on one port, lines over TCP on another, on all addresses. Arguments: NAME HTTP_PORT TCP_PORT.

HTTP: 200 with the member's name; `/slow` takes half a second, `/echo` answers with the request's head, `/status/CODE`
with that status. TCP: greets with the name, then echoes.
"""

import asyncio
import sys

NAME, HTTP_PORT, TCP_PORT = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            method, path, _ = head.split(b" ", 2)
            length = next(
                (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
            )
            if length:
                await reader.readexactly(length)
            status, body = 200, f"{NAME}\n".encode()
            if path == b"/slow":
                await asyncio.sleep(0.5)
            elif path == b"/echo":
                body = head
            elif path.startswith(b"/status/"):
                status = int(path[8:])
            if method == b"HEAD":
                body = b""
            writer.write(
                b"HTTP/1.1 %d X\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nX-Member: %s\r\n\r\n"
                % (status, len(body), NAME.encode())
                + body
            )
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, ValueError):
        pass
    finally:
        writer.close()


async def tcp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        writer.write(f"{NAME}\n".encode())
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def main() -> None:
    await asyncio.start_server(http, None, HTTP_PORT, backlog=512)
    await asyncio.start_server(tcp, None, TCP_PORT, backlog=512)
    await asyncio.Event().wait()


asyncio.run(main())
