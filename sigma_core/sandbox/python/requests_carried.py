"""What others send to a program: the fields of a request or message, and the parameters of the functions that take them."""

from __future__ import annotations

import ast
from collections.abc import Container, Set

from sigma_core.sandbox.observations import NO_LABELS, Labels, Source
from sigma_core.sandbox.python.values import UNKNOWN, Value
from sigma_core.sandbox.vocabulary import name_set

_REQUEST_FIELDS = name_set("args form values json data body headers cookies files GET POST query_params query params get_json get_data")  # fmt: skip
_MESSAGE_FIELDS = name_set("content text clean_content payload data body get_payload caption")
_CARRIERS = {
    **dict.fromkeys(("request", "req"), _REQUEST_FIELDS),
    **dict.fromkeys(("message", "msg", "update", "event"), _MESSAGE_FIELDS),
}
CHATS = name_set(
    "discord nextcord disnake telebot telegram aiogram pyrogram telethon slack_bolt slack_sdk socketio nio simplematrixbotlib mattermostdriver twitchio irc pydle slixmpp paho nats pika zulip websocket"
)
"""Libraries by which others write to a program."""
_EVENTS = name_set(
    "message_handler command on message event on_message listen listener handler subscribe callback_query_handler channel_post_handler edited_message_handler hybrid_command on_command register"
)
_HANDED = name_set(
    "MessageHandler CommandHandler WebSocketApp add_handler subscribe basic_consume message_callback_add add_event_handler on"
)
_ROUTING = name_set("route get post put api_route websocket websocket_route")


def carried(node: ast.Attribute, holder: Value) -> Labels:
    """The label of ``request.args``, ``message.content`` and their like, where nothing else is known of the request or message."""
    if holder is not UNKNOWN and holder.name.rpartition(".")[2] != "request":
        return NO_LABELS
    within = node.value
    name = within.id if isinstance(within, ast.Name) else within.attr if isinstance(within, ast.Attribute) else ""
    if node.attr not in _CARRIERS.get(name, ()):
        return NO_LABELS
    return frozenset({(Source.REQUEST, f"{name}.{node.attr}")})


def route_of(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> str:
    """The route that a decorator gives a function (``@app.post("/x")``), or empty: others choose the arguments of a routed function."""
    if isinstance(function, ast.Lambda):
        return ""
    for call in function.decorator_list:
        if (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and call.func.attr in _ROUTING
            and call.args
            and isinstance(call.args[0], ast.Constant)
            and str(call.args[0].value).startswith("/")
        ):
            return str(call.args[0].value)
    return ""


def listens(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, imported: Set[str]) -> str:
    """The event for which a decorator has a library of `CHATS` call the function with what others write, or empty."""
    if isinstance(function, ast.Lambda) or not imported & CHATS:
        return ""
    marks = (mark.func if isinstance(mark, ast.Call) else mark for mark in function.decorator_list)
    return next((mark.attr for mark in marks if isinstance(mark, ast.Attribute) and mark.attr in _EVENTS), "")


def handed_over(name: str, imported: Set[str]) -> bool:
    """Whether a call has a library of `CHATS` call a function that it is given with what others write."""
    return bool(imported & CHATS) and name.rpartition(".")[2] in _HANDED


def of_caller(attribute: str, owner: str, functions: Container[str]) -> Labels:
    """The label of ``self.rfile``, ``self.request`` and ``self.path`` in a class that answers those who connect."""
    serves = f"{owner}/handle" in functions or any(f"{owner}/do_{verb}" in functions for verb in ("GET", "POST", "PUT"))
    if owner and serves and attribute in {"rfile", "request", "path"}:
        return frozenset({(Source.REQUEST, f"self.{attribute}")})
    return NO_LABELS


def argument_of(route: str, name: str) -> Labels:
    """The label of a routed function's argument; what stands in the route itself (``/jobs/{name}``) only chooses."""
    return (
        frozenset({(Source.REQUEST, route[:80])})
        if route and f"{name}}}" not in route and f"{name}>" not in route
        else NO_LABELS
    )
