"""An HTTP client that costs little: requests that are ready as bytes, on connections that stay open.

``http_load.py PORT CONNECTIONS RATE < REQUESTS`` sends the requests (each a line of JSON, `{"path", "etag"}`) in turn: each connection
its next as soon as it has its answer, or, with a RATE, so many a second whoever waits (so that waiting counts). It prints
``{"requests", "seconds", "statuses", "latencies"}``, latencies in microseconds of when each request was due, in that order.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from collections import Counter, deque

HEAD_END = b"\r\n\r\n"


class Connection:
    """One open connection: the bytes of an answer as far as they have come, and when its request was due."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answer = b""
        self.due = 0

    def send(self, request: bytes, due: int) -> None:
        self.answer, self.due = b"", due
        self.socket.send(request)

    def receive(self) -> int | None:
        """The status once the answer is whole."""
        received = self.socket.recv(262_144)
        if not received:
            raise ConnectionError("the server closed the connection")
        self.answer += received
        head = self.answer.find(HEAD_END)
        if head < 0:
            return None
        status = int(self.answer[9:12])
        if status != 304:
            lower = self.answer[:head].lower()
            at = lower.find(b"content-length:")
            if len(self.answer) < head + 4 + int(lower[at + 15 :].partition(b"\r\n")[0]):
                return None
        return status


def send_all(port: int, count: int, rate: int) -> None:
    """Send what standard input says; print what was measured."""
    requests = deque(request_of(**json.loads(line)) for line in sys.stdin)
    total, statuses, latencies = len(requests), Counter[int](), []
    poll, connections = select.epoll(), {}
    for _ in range(count):
        connection = Connection(port)
        connections[connection.socket.fileno()] = connection
        poll.register(connection.socket.fileno(), select.EPOLLIN)
    idle = deque(connections.values())
    began, sent = time.perf_counter_ns(), 0
    gap = 1_000_000_000 // rate if rate else 0
    while len(latencies) < total:
        now = time.perf_counter_ns()
        while idle and requests and began + sent * gap <= now:
            idle.popleft().send(requests.popleft(), began + sent * gap if rate else now)
            sent += 1
        wait = max(0.0, (began + sent * gap - now) / 1e9) if rate and idle and requests else -1
        for fd, _ in poll.poll(wait):
            connection = connections[fd]
            status = connection.receive()
            if status is not None:
                latencies.append((time.perf_counter_ns() - connection.due) // 1_000)
                statuses[status] += 1
                idle.append(connection)
    seconds = (time.perf_counter_ns() - began) / 1e9
    json.dump({"requests": total, "seconds": seconds, "statuses": statuses, "latencies": latencies}, sys.stdout)


def request_of(path: str, etag: str | None = None) -> bytes:
    """The request as bytes, with the headers that an agent's client would send."""
    condition = "" if etag is None else f"If-None-Match: {etag}\r\n"
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nAccept: */*\r\n{condition}\r\n".encode()


if __name__ == "__main__":
    send_all(*(int(argument) for argument in sys.argv[1:4]))
