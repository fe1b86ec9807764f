"""Requests, sockets, name lookups and mail: what a script sends, and what comes back."""

from __future__ import annotations

from sigma_core.sandbox.javascript.reader import Reader
from sigma_core.sandbox.javascript.values import UNKNOWN, Call, Value, sendable
from sigma_core.sandbox.observations import Ability, Sink, Source, join, only
from sigma_core.sandbox.vocabulary import name_set

_SENDERS = name_set(
    "fetch axios got request superagent needle node-fetch undici.fetch undici.request $fetch ky ofetch cross-fetch phin navigator.sendBeacon"
)
_METHODS = name_set("post put patch request get send write end sendBeacon emit delete stream sendMail")
_MODULES = name_set(
    "axios got http https http2 net tls dgram request superagent needle undici ws WebSocket XMLHttpRequest nodemailer node-fetch ky socket bent phin"
)
_POSTS = name_set("post put patch sendBeacon sendMail")
_CONNECTS = name_set(
    "net.connect net.createConnection tls.connect io socket.io-client Deno.connect Bun.connect net.Socket"
)
_CLIENTS = name_set("axios.create got.extend ky.create ky.extend needle.defaults request.defaults superagent.agent")
_ASKS = ("list", "get", "request", "paginate", "graphql")
_LOOKUPS = name_set("resolve4 resolve6 resolveTxt resolveMx resolveAny lookup resolve")


def network_of(reader: Reader, call: Call) -> Value | None:
    """What a call does on the network, or None for a call that does nothing there."""
    name, method, root = call.name.removeprefix("node:"), call.method, call.root
    if method in _LOOKUPS and root in {"dns", "Resolver"}:
        reader.flow(sendable(call.labels), Sink.NAME_LOOKUP, call.first.constant or "", call.node)
        return Value(labels=frozenset({(Source.REMOTE, "dns")}))
    if name in _CONNECTS:
        return socket(reader, call)
    if name in _CLIENTS:
        return Value(call.first.constant, name=root, headers=call.first.headers)
    if name == "nodemailer.createTransport":
        return Value(call.first.constant, name="nodemailer", labels=call.first.labels)
    if method == "open" and root == "XMLHttpRequest":
        return _send(reader, call, call.argument(1))
    if method == "pipe" and {"socket", "shell"} == {
        value.name.partition(".")[0] for value in (call.first, call.holder)
    }:
        reader.hit("SIGMA-THREAT-004", "socket to a shell", call.node)
    if name == "repl.start" and (call.first.fields or {}).get("input", UNKNOWN).name == "socket":
        reader.hit("SIGMA-THREAT-004", "socket to an interpreter", call.node)
    if root == "@octokit" and method.startswith(_ASKS):
        return Value(labels=frozenset({(Source.REMOTE, "https://api.github.com/")}))
    if name in _SENDERS or (root in _MODULES and method in _METHODS):
        return _send(reader, call, call.first)
    return None


def socket(reader: Reader, call: Call) -> Value:
    """A connection that stays open: what is written to it later is sent."""
    target = call.first.constant or "?"
    host = call.argument(1).constant
    if target.isdigit() and host:
        target = f"{host}:{target}"
    reader.can(Ability.NETWORK, target, call.node)
    # Whoever is at the other end commands for as long as the connection lasts: no place that hands out an installer.
    return Value(name="socket", labels=frozenset({(Source.REMOTE, target.removeprefix("https://"))}))


def _send(reader: Reader, call: Call, address: Value) -> Value:
    node, held = call.node, call.holder
    known = next((origin for source, origin in sorted(held.labels) if source is Source.REMOTE), "")
    target = known if call.root == "socket" and known else address.constant or known
    if held.constant and "://" in held.constant and "://" not in target:
        target = held.constant.rstrip("/") + "/" + target.lstrip("/")
    if target.startswith(("./", "../")):
        # The page's own origin.
        target = "localhost/" + target
    labels = call.labels
    headers = join(held.headers, *(value.headers for value in call.arguments))
    reader.can(Ability.NETWORK, target or "?", node)
    reader.flow(only(address.labels, Source.DECODED), Sink.SEND, target, node)
    reader.flow(sendable(labels), Sink.SEND, target, node)
    reader.flow(sendable(headers) - sendable(labels), Sink.SEND_HEADER, target, node)
    if call.method in _POSTS or any(value.name == "object:post" for value in call.arguments):
        reader.flow(frozenset({(Source.INPUT, call.method)}), Sink.SEND, target, node)
    stays_open = "connect" in call.method or (
        call.root in {"http", "https", "XMLHttpRequest"} and call.method in {"request", "open"}
    )
    return Value(labels=frozenset({(Source.REMOTE, target or "?")}), name="socket" if stays_open else "")
