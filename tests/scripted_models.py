"""A loopback server that speaks the OpenAI-compatible and the Anthropic API over real HTTP, and plays scripted faults.

Its models read the prompt they are sent: they list the files shown, echo the canary, and call a package UNSAFE, quoting the
line, where it pipes a download into a shell. A script is a list of `Step`s that are played one a request; then all is well.

``python -m tests.scripted_models LATENCY_MS`` serves until its input closes and prints its port first.
"""

from __future__ import annotations

import asyncio
import gzip
import html
import json
import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

MALICE = re.compile(r"(curl|wget)\b.*\|\s*(ba)?sh\b")
LONGEST_BODY = 64 * 1024 * 1024

Document = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """What one request gets. ``answer`` changes the model's answer, ``document`` the response around it."""

    name: str = "ok"
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    answer: Callable[[Document], Any] = lambda answer: answer
    text: Callable[[str], str] = lambda text: text
    document: Callable[[Document], Document] = lambda document: document
    wire: Callable[[bytes], bytes] = lambda raw: raw
    cut_after: int | None = None
    seconds: float = 0.0
    drip: float = 0.0
    """Seconds between two bytes of the response."""


OK = Step()


def error(status: int, retry_after: str | None = None) -> Step:
    """An error status, with a body as providers write them."""
    headers = (("retry-after", retry_after),) if retry_after is not None else ()
    return Step(f"http_{status}", status, headers, json.dumps({"error": {"message": "scripted", "type": "x"}}).encode())


def error_said(name: str, status: int, code: str) -> Step:
    """An error status with the provider's code of the error in its body."""
    return Step(name, status, body=json.dumps({"error": {"message": "scripted", "type": "x", "code": code}}).encode())


def changed(name: str, **fields: Any) -> Step:
    """A well-formed answer with other values in some fields."""
    return Step(name, answer=lambda answer: {**answer, **fields})


def without(field_name: str) -> Step:
    return Step(f"without_{field_name}", answer=lambda answer: {k: v for k, v in answer.items() if k != field_name})


def finished(reason: str) -> Step:
    """The response of a model that stopped for another reason than being done."""

    def document(made: Document) -> Document:
        if "choices" in made:
            made["choices"][0]["finish_reason"] = reason
            made["choices"][0]["message"]["content"] = "" if reason == "content_filter" else '{"verdict": "SA'
        else:
            made["stop_reason"] = {"length": "max_tokens", "content_filter": "refusal"}.get(reason, reason)
            made["content"] = []
        return made

    return Step(f"finish_{reason}", document=document)


def slow(seconds: float, then: Step = OK) -> Step:
    return Step(
        f"slow_{then.name}",
        then.status,
        then.headers,
        then.body,
        then.answer,
        then.text,
        then.document,
        seconds=seconds,
    )


def _broken_off(document: Document) -> Document:
    """A 200 whose answer is an error, as OpenRouter sends it when the host behind it fails."""
    if "choices" in document:
        document["choices"][0] |= {"finish_reason": "error", "error": {"code": 502, "message": "scripted"}}
        return document
    return {"type": "error", "error": {"type": "overloaded_error", "message": "scripted"}}


def _drop(name: str) -> Callable[[Document], Document]:
    return lambda document: {key: value for key, value in document.items() if key != name}


def _no_content(document: Document) -> Document:
    if "choices" in document:
        document["choices"][0]["message"]["content"] = ""
    else:
        document["content"] = []
    return document


def _refusal(document: Document) -> Document:
    if "choices" in document:
        document["choices"][0]["message"] = {
            "role": "assistant",
            "content": None,
            "refusal": "I cannot help with that.",
        }
        return document
    return {**document, "stop_reason": "refusal", "content": []}


FAULTS: dict[str, Step] = {
    step.name: step
    for step in (
        error(429),
        error(429, "0"),
        error(500),
        error(503),
        error(529),
        error(401),
        error(403),
        error(400),
        error(404),
        error_said("context_error", 400, "context_length_exceeded"),
        error_said("no_credit", 429, "insufficient_quota"),
        error(201),
        Step("error_200", body=b'{"error": {"message": "scripted", "code": 502}}'),
        Step("gzip_429", 429, (("content-encoding", "gzip"),), gzip.compress(b"a" * 1_000_000)),
        Step("huge_401", 401, body=b'{"x": "' + b"a" * 4_000_000 + b'"}'),
        Step("huge_headers", headers=tuple((f"x-{number}", "a" * 1_000) for number in range(200))),
        Step("redirect", 302, (("location", "http://127.0.0.1:9/"),), b""),
        Step("html_502", 502, (("content-type", "text/html"),), b"<html>Bad Gateway</html>"),
        Step("html_200", body=b"<html>please log in</html>"),
        Step("empty_body", body=b""),
        Step("not_an_object", body=b"[1, 2]"),
        Step("duplicate_keys", body=b'{"choices": [], "choices": []}'),
        Step("deep", body=b"[" * 100_000),
        Step("huge", body=b'{"x": "' + b"a" * 4_000_000 + b'"}'),
        Step("gzip_unasked", headers=(("content-encoding", "gzip"),), body=gzip.compress(b"a" * 1_000_000)),
        Step(
            "gzip_bomb",
            headers=(("content-encoding", "gzip"),),
            body=gzip.compress(gzip.compress(b"a" * 100_000_000)),
        ),
        Step("event_stream", headers=(("content-type", "text/event-stream"),), body=b'data: {"choices": []}\n\n'),
        Step(
            "cut_event_stream",
            headers=(("content-type", "text/event-stream"), ("transfer-encoding", "chunked")),
            body=b'data: {"choices": [{"delta": {"content": "{"}}]}\n\n' * 20,
            cut_after=300,
        ),
        Step("cut_before_headers", cut_after=0),
        Step("cut_in_body", cut_after=200),
        Step("cut_stream", headers=(("transfer-encoding", "chunked"),), cut_after=220),
        Step("other_model", document=lambda made: {**made, "model": "somebody-elses-model"}),
        Step("broken_off_200", document=_broken_off),
        Step("no_model", document=_drop("model")),
        Step("no_usage", document=_drop("usage")),
        Step("no_content", document=_no_content),
        Step("refusal", document=_refusal),
        finished("length"),
        finished("content_filter"),
        finished("who_knows"),
        Step("prose", text=lambda text: f"Here is what I think. {text}"),
        Step("fenced", text=lambda text: f"```json\n{text}\n```"),
        Step("half_an_answer", text=lambda text: text[: len(text) // 2]),
        Step("two_answers", text=lambda text: text + text),
        Step("answer_is_a_list", answer=lambda answer: [answer]),
        changed("bad_verdict", verdict="MOSTLY_SAFE"),
        changed("float_confidence", confidence=0.9),
        changed("confidence_out_of_range", confidence=101),
        changed("extra_field", approved=True),
        changed("findings_not_a_list", findings="none"),
        changed("finding_without_fields", findings=[{"severity": "HIGH"}]),
        without("canary_echo"),
        changed("missed_canary", canary_echo="sigma-000000000000"),
        changed("other_files", files_reviewed=["/etc/passwd"]),
        changed("no_files", files_reviewed=[]),
        changed("attack_seen_and_safe", verdict="SAFE", findings=[], injection_attempt_seen=True),
        changed(
            "unsafe_without_evidence",
            verdict="UNSAFE",
            findings=[
                {
                    "severity": "CRITICAL",
                    "category": "exfiltration",
                    "file": "SKILL.md",
                    "line_start": 1,
                    "line_end": 2,
                    "quote": "words that stand nowhere in it",
                    "rationale": "made up",
                    "confidence": 99,
                }
            ],
        ),
        changed("unsafe_without_findings", verdict="UNSAFE", findings=[]),
        changed("abstains", verdict="ABSTAIN", findings=[]),
    )
}


@dataclass
class Asked:
    """One request as it came in."""

    path: str
    headers: dict[str, str]
    document: Document

    @property
    def prompt(self) -> str:
        """All text of the user's message."""
        content = self.document["messages"][-1]["content"]
        return content if isinstance(content, str) else "\n\n".join(block["text"] for block in content)


@dataclass
class ScriptedModels:
    """The server: start it with `serving`."""

    latency: float = 0.0
    script: list[Step] = field(default_factory=list)
    by_model: dict[str, list[Step]] = field(default_factory=dict)
    latency_of_model: dict[str, float] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    answered_tokens: list[tuple[str, int, int]] = field(default_factory=list)
    port: int = 0
    keep: bool = True
    at_once: int = 0
    most_at_once: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def play(self, *steps: Step, model: str | None = None) -> None:
        """Play these next, to everybody or to one model's callers."""
        (self.script if model is None else self.by_model.setdefault(model, [])).extend(steps)

    async def serve(self) -> asyncio.Server:
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, limit=LONGEST_BODY)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) if ": " in line else (line, "") for line in head[1:] if line)
        original = dict(line.split(": ", 1) for line in head[1:] if ": " in line)
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        document = json.loads(body)
        asked = Asked(head[0].split(" ")[1], {name.lower(): value for name, value in original.items()}, document)
        if self.keep:
            self.asked.append(asked)
        model = document["model"]
        steps = self.by_model.get(model) or self.script
        step = steps.pop(0) if steps else OK
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(step.seconds + self.latency_of_model.get(model, self.latency))
        finally:
            self.at_once -= 1
        payload = step.body if step.body is not None else self._response(asked, step)
        raw = self._raw(step, payload)
        while step.drip and raw:
            writer.write(raw[:1])
            await writer.drain()
            await asyncio.sleep(step.drip)
            raw = raw[1:]
        writer.write(raw if step.cut_after is None else raw[: step.cut_after])
        await writer.drain()
        return step.cut_after is None

    def _raw(self, step: Step, payload: bytes) -> bytes:
        lines = [f"HTTP/1.1 {step.status} Scripted", *(f"{name}: {value}" for name, value in step.headers)]
        if ("transfer-encoding", "chunked") in step.headers:
            payload = b"%x\r\n%s\r\n0\r\n\r\n" % (len(payload), payload)
        else:
            lines.append(f"content-length: {len(payload)}")
        if not any(name == "content-type" for name, _ in step.headers):
            lines.append("content-type: application/json")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + payload

    def _response(self, asked: Asked, step: Step) -> bytes:
        answer = step.answer(judged(asked.prompt))
        tokens_in, tokens_out = len(asked.prompt) // 4, len(json.dumps(answer)) // 4
        if asked.path.endswith("/messages"):
            assert asked.headers["anthropic-version"]
            made: Document = {
                "type": "message",
                "model": asked.document["model"],
                "content": [_tool_use(step, answer)],
                "stop_reason": "tool_use",
                "usage": {
                    "input_tokens": tokens_in - tokens_in // 2,
                    "cache_read_input_tokens": tokens_in // 2,
                    "cache_creation_input_tokens": 0,
                    "output_tokens": tokens_out,
                },
            }
        else:
            made = {
                "model": asked.document["model"],
                "choices": [
                    {
                        "index": 0,
                        "finish_reason": "stop",
                        "message": {"role": "assistant", "content": step.text(json.dumps(answer))},
                    }
                ],
                "usage": {
                    "prompt_tokens": tokens_in,
                    "completion_tokens": tokens_out,
                    "prompt_tokens_details": {"cached_tokens": tokens_in // 2},
                    "completion_tokens_details": {"reasoning_tokens": tokens_out // 4},
                },
            }
        if self.keep:
            self.answered_tokens.append((asked.document["model"], tokens_in, tokens_out))
        return json.dumps(step.document(made)).encode()


def _tool_use(step: Step, answer: Any) -> Document:
    """What breaks an OpenAI-compatible answer as text breaks this one as another block."""
    if step.text("x") != "x":
        return {"type": "text", "text": step.text(json.dumps(answer))}
    return {"type": "tool_use", "id": "t1", "name": "report", "input": answer}


def judged(prompt: str) -> Document:
    """The answer of a model that reads: every file shown, and each download that is piped into a shell."""
    # The first list and the last canary: packages imitate both.
    shown = re.search(r"\nfiles shown: (\[.*\])\n", prompt)
    echo = re.findall(r"Canary: (\S+)", prompt)
    assert shown, "the prompt lists no files"
    findings = [
        {
            "severity": "HIGH",
            "category": "remote_code",
            "file": path,
            "line_start": number,
            "line_end": number,
            "quote": line.strip(),
            "rationale": "a download is run",
            "confidence": 90,
        }
        for path, number, line in shown_lines(prompt)
        if MALICE.search(line) and len(line.strip()) <= 400
    ]
    return {
        "verdict": "UNSAFE" if findings else "SAFE",
        "confidence": 90,
        "findings": findings[:40],
        "files_reviewed": json.loads(html.unescape(shown[1])),
        "canary_echo": echo[-1],
        "injection_attempt_seen": False,
    }


def shown_lines(prompt: str) -> Iterator[tuple[str, int, str]]:
    """``(path, line number, text)`` of every line in the prompt's package."""
    for block in re.finditer(r'<file-([0-9a-f]{16}) path="(.*?)" lines="[^"]*">\n(.*?)\n</file-\1>', prompt, re.DOTALL):
        for line in block[3].split("\n"):
            mark, _, text = line.partition("|")
            yield html.unescape(block[2]), int(mark.strip().partition(".")[0]), html.unescape(text)


@contextmanager
def serving(script: Iterable[Step] = (), *, latency: float = 0.0) -> Iterator[ScriptedModels]:
    """The server on a loopback port, in a thread of its own."""
    models = ScriptedModels(latency=latency, script=list(script))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(models.serve(), loop).result()

    async def stop() -> None:
        server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    try:
        yield models
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _serve_alone(latency_ms: int) -> None:
    models = ScriptedModels(latency=latency_ms / 1_000, keep=False)
    await models.serve()
    print(models.port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve_alone(int(sys.argv[1])))
