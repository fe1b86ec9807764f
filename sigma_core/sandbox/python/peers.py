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
    "nats.connect": ("servers",),
}
"""Calls that open a connection, and the name of their first argument, which is its address."""
_FEEDS = name_set(
    "kafka.KafkaConsumer aiokafka.AIOKafkaConsumer confluent_kafka.Consumer pulsar.Client feedparser.parse github.Github gitlab.Gitlab jira.JIRA praw.Reddit imap_tools.MailBox pika.BlockingConnection"
)
"""Calls whose result gives what others have written, message by message."""
_ARRIVES = name_set(
    "fetch uid retr recv recv_bytes recv_string recv_json recv_multipart recv_pyobj listen get_message blpop brpop lpop rpop xread subscribe next_msg accept"
)
_HANDS_OUT = name_set("register_function register_instance register_task add_method add_function register_handler")
_ALL_CODE = name_set("rpyc.core.SlaveService rpyc.SlaveService rpyc.ClassicService rpyc.core.service.SlaveService rpyc.core.service.ClassicService")  # fmt: skip
_LOCAL = re2.compile(r"(?i)^(?:\w+://)?(?:[^@/]*@)?(?:localhost|127\.|\[?::1)|^(?:ipc|inproc|unix)://|^/")
_MESSAGES: Labels = frozenset({(Source.REQUEST, "message")})
_OF_PEERS = ("redis.", "zmq.", "imaplib.", "poplib.", "multiprocessing.connection.", "nats.")
_PARTS = name_set("pubsub socket Context instance")


def peered(state: State, call: Call) -> Value | None:
    """A connection to a peer, what arrives over it, or a function handed to peers; None for anything else."""
    if call.name in _OPENED:
        peer = _text(call.argument(0, *_OPENED[call.name]))
        state.can(Ability.NETWORK, peer or "?", call.node)
        return Value(name=call.name, labels=frozenset() if _LOCAL.search(peer) else _MESSAGES)
    if call.name in _FEEDS:
        return Value(labels=_MESSAGES)
    if call.name == "socket.create_server":
        return Value(name=call.name, labels=_callers(call.first))
    holder = call.holder
    if call.method == "bind" and holder.name.startswith("socket.socket"):
        state.absorb(call.node.func, _callers(call.first))
        return UNKNOWN
    if holder.name.startswith(_OF_PEERS):
        if call.method in {"bind", "connect"}:
            state.absorb(call.node.func, frozenset() if _LOCAL.search(_text(call.first)) else _MESSAGES)
            return UNKNOWN
        if call.method in _ARRIVES:
            name = "multiprocessing.connection.Client" if call.method == "accept" else ""
            return Value(name=name, labels=only(holder.labels, Source.REQUEST))
    if call.method in _PARTS and call.name.startswith(_OF_PEERS):
        return Value(name=call.name, labels=only(holder.labels, Source.REQUEST))
    if call.method == "receive_message" and holder.name.startswith("boto3."):
        return Value(labels=_MESSAGES)
    if call.method in _HANDS_OUT:
        for given in (*call.arguments, *call.keywords.values()):
            if given.name in RUNNABLE:
                request = frozenset({(Source.REQUEST, call.method)})
                state.flow(request, Sink.EXECUTE, given.name, call.node)
    if any(given.name in _ALL_CODE for given in call.arguments):
        state.hit("SIGMA-THREAT-004", "service that runs what any caller sends", call.node)
    return None


def _text(value: Value) -> str:
    """The address that a value is: a text, or the first of a pair."""
    return value.items[0].text if value.items else value.text


def _callers(address: Value) -> Labels:
    """The label of what those send who reach the ``address`` that a socket listens at; none where only this machine does, or nothing is known of it."""
    host = address.items[0] if address.items else address
    anybody = host.constant is not None and not _LOCAL.search(host.text)
    return frozenset({(Source.REMOTE, "?")}) if anybody else frozenset()
