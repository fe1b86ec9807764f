"""Peers other than web servers: sockets that listen, mailboxes, queues and buses; what arrives over them, and functions that are handed to whoever calls."""

from __future__ import annotations

import re2

from sigma_core.sandbox.observations import Ability, Labels, Sink, Source, only
from sigma_core.sandbox.python.call_names import RUNNABLE
from sigma_core.sandbox.python.state import State
from sigma_core.sandbox.python.values import UNKNOWN, Call, Value
from sigma_core.sandbox.vocabulary import name_set

_OPENED = {
    **dict.fromkeys(name_set("imaplib.IMAP4 imaplib.IMAP4_SSL poplib.POP3 poplib.POP3_SSL"), ("host",)),
    **dict.fromkeys(name_set("redis.Redis redis.StrictRedis redis.asyncio.Redis"), ("host",)),
    **dict.fromkeys(name_set("redis.from_url redis.Redis.from_url redis.asyncio.from_url"), ("url",)),
    **dict.fromkeys(name_set("multiprocessing.connection.Client multiprocessing.connection.Listener"), ("address",)),
    **dict.fromkeys(name_set("socket.create_server"), ("address",)),
    "nats.connect": ("servers",),
}
"""Calls that open a connection, and the name of their first argument, which is its address."""
_FEEDS = {
    "kafka.KafkaConsumer": "bootstrap_servers",
    "aiokafka.AIOKafkaConsumer": "bootstrap_servers",
    "pulsar.Client": "service_url",
}
"""Calls whose result is gone through message by message, and the name of the argument that is its address."""
_ARRIVES = name_set(
    "fetch uid retr recv recv_bytes recv_string recv_json recv_multipart recv_pyobj listen get_message blpop brpop lpop rpop xread subscribe next_msg accept"
)
_HANDS_OUT = name_set("register_function register_instance register_task add_method add_function register_handler")
_ALL_CODE = name_set("rpyc.core.SlaveService rpyc.SlaveService rpyc.ClassicService rpyc.core.service.SlaveService rpyc.core.service.ClassicService")  # fmt: skip
_LOCAL = re2.compile(r"(?i)^(?:\w+://)?(?:[^@/]*@)?(?:localhost|127\.|\[?::1)|^(?:ipc|inproc|unix)://|^/")
_ANYBODY = re2.compile(r"^(?:tcp://)?(?:\*|0\.0\.0\.0|::)?(?::\d+)?$")


def peered(state: State, call: Call) -> Value | None:
    """A connection to a peer, what arrives over it, or a function handed to peers; None for anything else."""
    if call.name in _OPENED:
        peer = _peer(call, *_OPENED[call.name])
        state.can(Ability.NETWORK, peer or "?", call.node)
        return Value(name=call.name, labels=_from(peer))
    if call.name in _FEEDS:
        return Value(name="", labels=_from(_text(call.keywords.get(_FEEDS[call.name], UNKNOWN))))
    holder = call.holder
    if call.method in {"bind", "connect"} and holder.name.startswith(("socket.socket", "zmq.")) and call.arguments:
        if call.method == "bind" or holder.name.startswith("zmq."):
            state.absorb(call.node.func, _from(_text(call.first)))
        return UNKNOWN if holder.name.startswith("zmq.") or call.method == "bind" else None
    if call.method in _ARRIVES and (holder.name in _OPENED or holder.name.startswith(("redis.", "zmq.", "imaplib."))):
        arrived = only(holder.labels, Source.REMOTE)
        if call.method == "accept":
            return Value(name="multiprocessing.connection.Client", labels=arrived) if "multi" in holder.name else None
        return Value(labels=arrived)
    if call.method in {"pubsub", "socket"} and holder.name.startswith(("redis.", "zmq.")):
        return Value(name=f"{holder.name}.{call.method}", labels=only(holder.labels, Source.REMOTE))
    if call.method in _HANDS_OUT:
        for given in (*call.arguments, *call.keywords.values()):
            if given.name in RUNNABLE:
                request = frozenset({(Source.REQUEST, call.method)})
                state.flow(request, Sink.EXECUTE, given.name, call.node)
    if any(given.name in _ALL_CODE for given in call.arguments):
        state.hit("SIGMA-THREAT-004", "service that runs what any caller sends", call.node)
    return None


def _peer(call: Call, keyword: str) -> str:
    return _text(call.argument(0, keyword))


def _text(value: Value) -> str:
    """The address that a value is: a text, the first of a pair, or ``?`` where anybody may be the peer; empty where nothing is known."""
    text = value.items[0].text if value.items else value.text
    known = bool(value.items and value.items[0].constant is not None) or value.constant is not None
    return "?" if known and _ANYBODY.search(text) else text


def _from(peer: str) -> Labels:
    """The label of what ``peer`` sends; none where the peer is this machine, or nothing is known of it."""
    return frozenset() if not peer or _LOCAL.search(peer) else frozenset({(Source.REMOTE, peer.partition("://")[2] or peer)})
