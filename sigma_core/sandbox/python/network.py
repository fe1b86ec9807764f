"""The network: what is sent where, what comes back, and what leaves in the names that are looked up."""

from __future__ import annotations

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.observations import NO_LABELS, SENDABLE, Ability, Sink, Source, join, only
from sigma_core.sandbox.python.call_names import (
    BROWSER_CALLS,
    CARRYING_VERBS,
    CONNECTIONS,
    NAME_LOOKUPS,
    RECEIVING,
    SEND_CALLS,
    SENDS_FILE,
    SERVICE_ADDRESSES,
)
from sigma_core.sandbox.python.files import file_labels
from sigma_core.sandbox.python.paths import ARGUMENT
from sigma_core.sandbox.python.state import State
from sigma_core.sandbox.python.values import UNKNOWN, Call, Value, text_value

_HEADERS = frozenset({"headers", "auth", "cookies", "api_key", "token"})
_NO_BODY = _HEADERS | {"timeout", "cert", "verify", "proxies"}
_BY_ADDRESS = ("socket.", "smtplib.", "ssl.", "http.client", "httplib", "ftplib", "paramiko", "websocket", "telnetlib", "asyncio.", "yagmail")  # fmt: skip
_CONNECTING = frozenset({"connect", "connect_ex", "create_connection", "open_connection", "Transport", "Telnet"})


def connected(state: State, call: Call) -> Value | None:
    """A client that is made: it keeps the address that it was given."""
    if call.name not in CONNECTIONS:
        return None
    state.sockets |= call.name == "socket.socket"
    address = call.argument(0, "base_url", "host", "url")
    if call.method == "wrap_socket":
        address = call.argument(2, "server_hostname")
        return text_value((address.text,) if address.text else (), only(call.first.labels, Source.REMOTE), call.name)
    texts = tuple(text for text in address.texts if "." in text or "://" in text)
    service = SERVICE_ADDRESSES.get(call.name.partition(".")[0])
    headers = join(*(value.labels for key, value in call.keywords.items() if key in _HEADERS))
    if service and call.name.startswith(("boto3", "telegram", "telebot")):
        texts = ()
    return text_value(texts or ((service,) if service else ()), only(headers, *SENDABLE), call.name)


def sent(state: State, call: Call) -> Value | None:
    """A request or a message: what it carries flows to its address, and what returns comes from there."""
    if call.name not in SEND_CALLS and not _posts_to_url(call):
        return None
    url, targets = _targets(call)
    target = targets[0]
    if call.method in _CONNECTING:
        state.sockets |= call.name.startswith("socket")
        state.absorb(call.node.func, frozenset({(Source.REMOTE, target or "socket")}))
    for text in dict.fromkeys(targets):
        state.can(Ability.NETWORK, text or "?", call.node)
    state.flow(only(url.labels, Source.DECODED), Sink.SEND, target, call.node)
    headers = join(
        *(value.labels for key, value in call.keywords.items() if key in _HEADERS),
        call.holder.labels if call.holder.name in CONNECTIONS else NO_LABELS,
    )
    body = join(
        *(value.labels for key, value in call.keywords.items() if key not in _NO_BODY),
        *(value.labels for value in call.arguments),
    )
    if call.name in SENDS_FILE:
        body = join(body, *(file_labels(state, path, call.node) for path in call.first.paths))
    body, headers = only(body, *SENDABLE), only(headers, *SENDABLE)
    if any(source is Source.SECRET_VARIABLE for source, _ in headers):
        # A request that shows a key is a client's, and a file that the person names is what a client is given.
        body -= {(Source.FILE, ARGUMENT)}
    for at, text in enumerate(dict.fromkeys(targets)):
        # A key belongs to one of several addresses; which one is not known, so it is taken to go to the first.
        kept = body if at == 0 else frozenset(label for label in body if label[0] is not Source.SECRET_VARIABLE)
        state.flow(kept, Sink.SEND, text, call.node)
    state.flow(headers - body, Sink.SEND_HEADER, target, call.node)
    if call.method in CARRYING_VERBS - {"emit", "publish"} or any(
        key in call.keywords for key in ("data", "json", "files")
    ):
        state.flow(frozenset({(Source.INPUT, call.method)}), Sink.SEND, target, call.node)
    if call.method in {"urlretrieve", "download"} and (saved := call.argument(1, "filename", "out")).texts:
        for path in saved.texts:
            state.remember(path, frozenset({(Source.REMOTE, target)}))
    if call.name.endswith(".Request"):
        return text_value(targets if target else (), join(body, headers))
    if call.name == "asyncio.open_connection":
        peer = frozenset({(Source.REMOTE, target or "socket")})
        return Value(name="list", items=(Value(name="socket.reader", labels=peer), Value(name="socket.writer", labels=peer)))  # fmt: skip
    if call.method in _CONNECTING or call.name in {"websockets.connect", "websockets.sync.client.connect"}:
        return text_value((target,) if target else (), frozenset({(Source.REMOTE, target or "socket")}), call.name)
    return Value(labels=frozenset({(Source.REMOTE, target or "?")}), name="response")


def _posts_to_url(call: Call) -> bool:
    return call.method in {"post", "put", "patch"} and "://" in call.first.text


def _targets(call: Call) -> tuple[Value, tuple[str, ...]]:
    """The value that is the address, and its texts (one empty text where it is not known)."""
    url = call.argument(0, "url")
    if call.method in {"request", "stream"} and len(call.arguments) > 1 and not call.name.startswith("http"):
        url = call.arguments[1]
    if "url" in call.keywords:
        url = call.keywords["url"]
    texts = tuple(text for text in url.texts if "://" in text)
    remote = next((origin for source, origin in sorted(url.labels) if source is Source.REMOTE), "")
    if texts:
        return url, texts
    if call.name.startswith(_BY_ADDRESS):
        known = next((origin for source, origin in sorted(call.holder.labels) if source is Source.REMOTE), "")
        if call.method in _CONNECTING:
            address = url.items[0] if url.items else url
            known = address.text or known
        return url, (known or call.holder.text or remote,)
    if call.holder.name in CONNECTIONS and call.holder.text:
        base = call.holder.text.rstrip("/")
        return url, tuple(f"{base}/{text.lstrip('/')}" for text in url.texts if text.startswith("/")) or (base,)
    service = SERVICE_ADDRESSES.get(call.name.partition(".")[0], "")
    return url, (service or url.text,) if (url.text or service) else (remote,)


def received(_: State, call: Call) -> Value | None:
    """What arrives over a connection that the code has opened or accepted."""
    if call.method == "accept" and call.holder.name.startswith("socket"):
        caller = next((origin for source, origin in sorted(call.holder.labels) if source is Source.REMOTE), "socket")
        peer = Value(name="socket.socket", labels=frozenset({(Source.REMOTE, caller)}))
        return Value(name="list", items=(peer, UNKNOWN))
    if call.method in RECEIVING and call.holder.comes_from(Source.REQUEST):
        return Value(labels=only(call.holder.labels, Source.REQUEST))
    if call.method not in RECEIVING or not call.holder.name.startswith((*_BY_ADDRESS, "aiohttp", "socketio")):
        return None
    target = next((origin for source, origin in sorted(call.holder.labels) if source is Source.REMOTE), "")
    return Value(labels=frozenset({(Source.REMOTE, target or call.holder.text or "socket")}), name="response")


def looked_up(state: State, call: Call) -> Value | None:
    """Name lookups of a name that is put together from data, and pages opened with data in their address."""
    carried = only(call.first.labels, *SENDABLE)
    if call.name in NAME_LOOKUPS:
        name = call.first.text
        state.can(Ability.NETWORK, name or "?", call.node)
        if "." in name:
            state.flow(carried, Sink.NAME_LOOKUP, name, call.node)
        return Value(labels=frozenset({(Source.REMOTE, name or "?")}) if name else call.labels)
    if call.name in BROWSER_CALLS:
        urls = vocabulary.urls_in(call.first.text)
        if urls and carried:
            state.can(Ability.NETWORK, urls[0][2], call.node)
            state.flow(carried, Sink.SEND, urls[0][2], call.node)
        return UNKNOWN
    return None
