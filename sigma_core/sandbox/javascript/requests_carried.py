"""What others send to a program: the fields of a request or message, and the callbacks that take them."""

from __future__ import annotations

from sigma_core.sandbox.javascript.values import Call
from sigma_core.sandbox.observations import NO_LABELS, Labels, Source
from sigma_core.sandbox.vocabulary import name_set

_FIELDS = frozenset(
    f"{holder}.{field}"
    for holders, fields in (
        (
            "req request ctx.request c.req ctx.req event",
            "body query params headers cookies rawBody queryStringParameters",
        ),
        ("message msg ctx.message update.message", "content text body payload"),
    )
    for holder in holders.split()
    for field in fields.split()
)
ROUTING = name_set("get post put patch all use route")
_LISTENING = name_set("on once addListener addEventListener subscribe onMessage")
_PEERS = name_set("socket ws io client bot conn connection sock channel mqtt redis subscriber peer")
_MESSAGES = name_set("message messageCreate text command task job")
_NO_MESSAGES = name_set("error close end connect open connection ready drain timeout exit")


def carried(name: str) -> Labels:
    """The label of ``req.body``, ``message.content`` and their like."""
    return frozenset({(Source.REQUEST, name)}) if name in _FIELDS else NO_LABELS


def given_by_others(call: Call) -> Labels:
    """The label of what a call hands its callback, where the call gives it a route, or lets it listen to others."""
    event = call.first.constant or ""
    routes = call.method in ROUTING and event.startswith("/")
    holder = call.name.removesuffix(f".{call.method}").rpartition(".")[2]
    listens = call.method in _LISTENING and (
        event in _MESSAGES or (holder in _PEERS and bool(event) and event not in _NO_MESSAGES)
    )
    serves = call.method == "createServer" and call.root in {"http", "https", "http2", "net", "tls"}
    return frozenset({(Source.REQUEST, event[:40])}) if routes or listens or serves else NO_LABELS
