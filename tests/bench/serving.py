"""The public plane over HTTP: CPU of a verify answer beside a C floor and nginx, latencies at half load and while statuses change.

./sigma bench serving
"""

from __future__ import annotations

import http.client
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import insert, inspect

from sigma_api.caching import Answer
from sigma_api.public.snapshot import Kept, Snapshot
from sigma_core.certificates.bundle import issue
from sigma_core.certificates.payload import Payload
from sigma_core.certificates.verify import open_bundle
from sigma_core.certificates.vocabulary import CertificateStatus
from sigma_core.deployment import Deployment
from sigma_core.identifiers import certificate_id, round_id
from sigma_core.lifecycle.certificate_status import change_status
from sigma_core.lifecycle.opening import open_deployment
from sigma_core.storage.protocol import CertificateRow, RoundRow, SubmissionRow
from tests.sigma_api.certified_for_real import SKILL, certify

FOLDER = Path(__file__).parent
SIZES = (10_000, 1_000_000)
ASKED = 10_000
"""Certificates that are asked for, at either size, each as often as any."""
ROUNDS = 7
REQUESTS = 20_000
CONNECTIONS = 32
WINDOWS = 7
WINDOW_SECONDS = 3
CHANGES_A_SECOND = 5
BATCH = 10_000
IN_MEMORY = 20_000


@dataclass(frozen=True)
class Server:
    """A process that answers on ``port``; ``pids`` are those that do the work."""

    port: int
    pids: list[int]

    def cpu_seconds(self) -> float:
        ticks = 0
        for pid in self.pids:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self) -> int:
        return sum(
            int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
            for pid in self.pids
        )


def main() -> None:
    """Both sizes in turn, each in a deployment of its own."""
    if sys.platform != "linux":
        print("needs Linux: CPU time of the servers is read from /proc")
        return
    for size in SIZES:
        with tempfile.TemporaryDirectory() as home:
            os.environ.update(SIGMA_HOME=home, SIGMA_PUBLIC_RATE_REQUESTS="1000000000")
            _measure(size)
    _memory()


def _measure(size: int) -> None:
    deployment = open_deployment()
    began = time.perf_counter()
    asked = certificates(deployment, size)
    print(f"\n{size:,} certificates on record ({time.perf_counter() - began:.0f} s to write), {len(asked):,} asked for")
    with ExitStack() as stack:
        sigma = stack.enter_context(_sigma())
        etags, body = _first_answers(sigma, asked)
        paths = {path: [path] for path in etags}
        servers: dict[str, tuple[Server, dict[str, str]]] = {"sigma": (sigma, etags)}
        floor = stack.enter_context(_floor(len(body)))
        nginx = stack.enter_context(_nginx(body))
        if floor is not None:
            servers["floor"] = (floor, dict.fromkeys(paths, '"0"'))
        if nginx is not None:
            servers["nginx"] = (nginx, {"/verify.json": _first_answer(nginx, "/verify.json")[0]})
        capacity = _cpu(servers)
        _latencies(deployment, servers, rate=int(capacity / 2), asked=asked)
    deployment.close()


def certificates(deployment: Deployment, size: int) -> list[str]:
    """Ids of the `ASKED` certificates with signed bundles; the others have their rows in the database and no more."""
    first = certify(deployment, SKILL)
    with deployment.read_sessions() as session:
        submission, round_row = (
            session.get_one(SubmissionRow, first.submission_id),
            session.get_one(RoundRow, first.round_id),
        )
    document = open_bundle(deployment.blobs.get(first.bundle_sha256), deployment.trusted_keys).payload.document
    asked: list[str] = []
    for start in range(1, size, BATCH):
        rows: dict[Any, list[dict[str, Any]]] = {SubmissionRow: [], RoundRow: [], CertificateRow: []}
        for number in range(start, min(size, start + BATCH)):
            names = {"submission_id": f"sub_{number:026d}"}
            names["round_id"] = round_id(names["submission_id"], 1)
            identifier = certificate_id(names["round_id"])
            bundle = first.bundle_sha256
            if len(asked) < ASKED:
                sealed = Payload.of(
                    {
                        **document,
                        "certificateId": identifier,
                        "submissionId": names["submission_id"],
                        "roundId": names["round_id"],
                    }
                )
                bundle = deployment.blobs.put(issue(sealed, deployment.signing_key).to_bytes())
                asked.append(identifier)
            rows[SubmissionRow].append({**_values(submission), "id": names["submission_id"]})
            rows[RoundRow].append(
                {**_values(round_row), "id": names["round_id"], "submission_id": names["submission_id"]}
            )
            rows[CertificateRow].append({**_values(first), "id": identifier, **names, "bundle_sha256": bundle})
        with deployment.sessions.begin() as session:
            for table, values in rows.items():
                session.execute(insert(table), values)
    return asked


def _values(row: Any) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in inspect(type(row)).columns}


def _first_answers(sigma: Server, asked: list[str]) -> tuple[dict[str, str], bytes]:
    """Ask for every certificate once: what it costs to answer without the memory, and what the memory takes then."""
    etags, latencies, body = {}, [], b""
    memory, cpu, began = sigma.resident_bytes(), sigma.cpu_seconds(), time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", sigma.port)
    for identifier in asked:
        path, sent = f"/api/v1/public/certificates/{identifier}/verify", time.perf_counter()
        etags[path], body = _first_answer(sigma, path, connection)
        latencies.append((time.perf_counter() - sent) * 1e6)
    connection.close()
    print(
        f"first answer, from database and bundle: {(sigma.cpu_seconds() - cpu) / len(asked) * 1e6:,.0f} µs CPU; all "
        f"{len(asked):,} in {time.perf_counter() - began:.1f} s, one after the other; {_quantiles(latencies)}; "
        f"then {(sigma.resident_bytes() - memory) / len(asked):,.0f} bytes of memory for each (answers of {len(body):,})"
    )
    return etags, body


def _first_answer(server: Server, path: str, connection: http.client.HTTPConnection | None = None) -> tuple[str, bytes]:
    connection = connection or http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise AssertionError(f"{path}: {answer.status}")
    return str(answer.headers["etag"]), body


def _cpu(servers: dict[str, tuple[Server, dict[str, str]]]) -> float:
    """CPU of a 200 and of a 304 of each server, in turn and over and over; returns SIGMA's requests a second."""
    found: dict[tuple[str, int], list[float]] = {}
    rates = []
    for _ in range(ROUNDS):
        for name, (server, etags) in servers.items():
            for status in (200, 304):
                cpu, told = server.cpu_seconds(), _load(server, etags, REQUESTS, known=status == 304)
                found.setdefault((name, status), []).append((server.cpu_seconds() - cpu) / REQUESTS * 1e6)
                if told["statuses"] != {str(status): REQUESTS}:
                    raise AssertionError(f"{name} answered {told['statuses']}")
                if (name, status) == ("sigma", 200):
                    rates.append(REQUESTS / told["seconds"])
    print(f"CPU per request, median of {ROUNDS} rounds of {REQUESTS:,} on {CONNECTIONS} connections that stay open")
    for (name, status), microseconds in sorted(found.items()):
        median, ratio = statistics.median(microseconds), ""
        if "floor" in servers and name != "floor":
            ratio = f"   {median / statistics.median(found['floor', status]):5.1f} × floor"
        spread = f"{min(microseconds):.1f} to {max(microseconds):.1f}"
        print(f"  {name:6} {status}   {median:6.1f} µs ({spread}){ratio}")
    return statistics.median(rates)


def _latencies(
    deployment: Deployment, servers: dict[str, tuple[Server, dict[str, str]]], *, rate: int, asked: list[str]
) -> None:
    """Half load with nothing changing, with statuses changing in every snapshot, and on the floor: what the machine adds itself."""
    print(
        f"latency at half load, {rate:,} requests a second, from when each was due; a new snapshot every second; "
        f"{WINDOWS} windows of {WINDOW_SECONDS} s each, in turn: all their requests, and in brackets the median of their p99"
    )
    changing = f"sigma, {CHANGES_A_SECOND} statuses change a second"
    loads = {"sigma, nothing changes": "sigma", changing: "sigma"} | ({"floor": "floor"} if "floor" in servers else {})
    found: dict[str, list[list[float]]] = {name: [] for name in loads}
    for _ in range(WINDOWS):
        for name, server in loads.items():
            with _changing(deployment, asked) if name == changing else _nothing():
                told = _load(*servers[server], rate * WINDOW_SECONDS, rate=rate)
            found[name].append(told["latencies"])
    for name, windows in found.items():
        together = [latency for window in windows for latency in window]
        usual = statistics.median(_quantile(window, 0.99) for window in windows)
        print(f"  {name:34} {_quantiles(together)} ({usual / 1e3:.2f} ms)")


@contextmanager
def _nothing() -> Iterator[None]:
    yield


@contextmanager
def _changing(deployment: Deployment, asked: list[str]) -> Iterator[None]:
    """Suspend one certificate after the other meanwhile."""
    done = threading.Event()

    def change() -> None:
        for identifier in random.Random(6).sample(asked, len(asked)):
            if done.wait(1 / CHANGES_A_SECOND):
                return
            change_status(deployment, identifier, CertificateStatus.SUSPENDED, actor="operator:ada", reason="measured")

    thread = threading.Thread(target=change)
    thread.start()
    yield
    done.set()
    thread.join()


def _load(server: Server, etags: dict[str, str], count: int, *, known: bool = False, rate: int = 0) -> dict[str, Any]:
    """What `http_load` says of ``count`` requests for paths drawn from ``etags``."""
    paths = random.Random(count).choices(sorted(etags), k=count)
    lines = [json.dumps({"path": path, "etag": etags[path]} if known else {"path": path}) for path in paths]
    command = [sys.executable, FOLDER / "http_load.py", str(server.port), str(CONNECTIONS), str(rate)]
    told = subprocess.run(command, input="\n".join(lines), capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(told.stdout)
    return answer


def _quantiles(microseconds: list[float]) -> str:
    p50, p99 = (_quantile(microseconds, share) / 1e3 for share in (0.5, 0.99))
    return f"p50 {p50:.2f} ms, p99 {p99:.2f} ms, maximum {max(microseconds) / 1e3:.1f} ms"


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[int(len(values) * share)]


def _memory() -> None:
    """The snapshot alone: memory of an answer beside its bytes, and a swap with many answers in it."""
    tracemalloc.start()
    standing, content = Snapshot(2**34), b"x" * 4_000
    before = tracemalloc.get_traced_memory()[0]
    for number in range(IN_MEMORY):
        identifier = certificate_id(round_id(f"sub_{number:026d}", 1))
        kept = Kept(Answer.of(content + b"%d" % number), None, identifier)
        key = (f"/api/v1/public/certificates/{identifier}/verify", b"")
        standing.keep(key, kept)
        kept.answer._raw_headers  # noqa: B018 - made when it is first sent
    each = (tracemalloc.get_traced_memory()[0] - before) / IN_MEMORY - len(content)
    tracemalloc.stop()
    began = time.perf_counter()
    for number in range(1_000):
        standing = standing.next({f"cert_{number % 100}"})
    swap = (time.perf_counter() - began) / 1_000 * 1e6
    print(
        f"\nthe snapshot alone: {each:,.0f} bytes for each of {IN_MEMORY:,} answers beside its own; swapped in {swap:,.0f} µs"
    )


@contextmanager
def _sigma() -> Iterator[Server]:
    """The API as ``sigma up`` starts it."""
    port = _free_port()
    arguments = ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    with _running([sys.executable, "-m", "uvicorn", "sigma_api.app:app", *arguments], port) as server:
        yield server


@contextmanager
def _floor(length: int) -> Iterator[Server | None]:
    """`http_floor.c`, where a compiler is."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        print("no C compiler here: no floor to compare with")
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        program, port = Path(folder) / "http_floor", _free_port()
        subprocess.run([compiler, "-O2", "-o", program, FOLDER / "http_floor.c"], check=True)
        with _running([str(program), str(port), str(length)], port) as server:
            yield server


@contextmanager
def _nginx(body: bytes) -> Iterator[Server | None]:
    """nginx with one worker and the same bytes as a file, where it is installed."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if program is None:
        print("no nginx here (apt install nginx-light): not compared with")
        yield None
        return
    with tempfile.TemporaryDirectory() as place:
        folder, port = Path(place), _free_port()
        folder.chmod(0o755)
        (folder / "verify.json").write_bytes(body)
        (folder / "nginx.conf").write_text(
            f"daemon off; worker_processes 1; pid {folder}/pid; error_log stderr crit; events {{ worker_connections 1024; }}\n"
            "http { access_log off; keepalive_requests 1000000000; types { application/json json; }\n"
            + "".join(
                f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            )
            + f"server {{ listen 127.0.0.1:{port}; root {folder}; }} }}\n",
            encoding="utf-8",
        )
        with _running([program, "-c", str(folder / "nginx.conf")], port) as master:
            [pid] = master.pids
            workers = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
            yield Server(port, [int(worker) for worker in workers])


@contextmanager
def _running(command: list[str], port: int) -> Iterator[Server]:
    process = subprocess.Popen(command)
    try:
        while process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
            except ConnectionRefusedError:
                time.sleep(0.05)
            else:
                break
        if process.poll() is not None:
            raise RuntimeError(f"{command[0]} ended with {process.returncode}")
        yield Server(port, [process.pid])
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
