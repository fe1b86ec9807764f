"""Files that a script reads, writes, copies and removes."""

from __future__ import annotations

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.javascript.reader import Reader
from sigma_core.sandbox.javascript.values import UNKNOWN, Call, Value
from sigma_core.sandbox.observations import NO_LABELS, Ability, Labels, Sink, Source, join, only
from sigma_core.sandbox.vocabulary import name_set

_READS = name_set("readFileSync readFile createReadStream readTextFile readTextFileSync readJson readJsonSync")
_WRITES = name_set(
    "writeFileSync writeFile appendFileSync appendFile createWriteStream writeTextFile writeTextFileSync outputFile outputFileSync"
)
_COPIES = name_set("copyFileSync copyFile cpSync cp copySync copy renameSync rename")
_REMOVES = name_set("rmSync rm rmdirSync rmdir removeSync remove rimraf")
_LISTS = name_set("readdirSync readdir")
_MODULES = name_set("fs fs-extra graceful-fs Deno rimraf fsp fsPromises")
_VITAL = frozenset({"~", "/", "/home", "/Users", "/etc", "~/Documents", "~/Desktop"})


def file_access_of(reader: Reader, call: Call) -> Value | None:
    """What a call does to files, or None for a call that does nothing to them."""
    method, of_files = call.method, call.root in _MODULES
    if call.name == "Bun.file" or (method in _READS and call.root != "FileReader") or _reads_secret(call):
        return _read(reader, call)
    if call.name == "Bun.write" or method in _WRITES:
        return _write(reader, call)
    if method in {"write", "end"} and call.holder.name == "file" and call.holder.constant and call.arguments:
        return write_file(reader, call.holder.constant, call.first, call)
    if of_files and method in _COPIES:
        content = only(_content(reader, call.first.constant or ""), Source.SECRET_FILE, Source.FILES, Source.REMOTE)
        return write_file(reader, call.argument(1).constant or "", Value(labels=content), call)
    if of_files and method in _REMOVES:
        path = (call.first.constant or "?").rstrip("/") or "/"
        reader.can(Ability.FILE_WRITE, path, call.node)
        if path in _VITAL and "recursive" in (call.argument(1).fields or {}):
            reader.hit("SIGMA-THREAT-010", f"{method} {path}", call.node)
        return UNKNOWN
    if of_files and method in _LISTS and (call.first.constant or "") in _VITAL:
        return Value(labels=frozenset({(Source.FILES, call.first.constant or "")}))
    return None


def _reads_secret(call: Call) -> bool:
    """Whether something whose name begins with "read" is given the path of a file of secrets."""
    return call.method.startswith("read") and bool(vocabulary.secret_file(call.first.constant or ""))


def _content(reader: Reader, path: str) -> Labels:
    secret = vocabulary.secret_file(path)
    if secret:
        return frozenset({(Source.FILE if secret.startswith(".env") else Source.SECRET_FILE, secret)})
    return join(reader.written.get(path, NO_LABELS), frozenset({(Source.FILE, path or "?")}))


def _read(reader: Reader, call: Call) -> Value:
    path = call.first.constant or ""
    secret = vocabulary.secret_file(path)
    if secret:
        reader.can(Ability.SECRET_READ, secret, call.node)
        return Value(labels=_content(reader, path))
    reader.can(Ability.FILE_READ, path or "?", call.node)
    return Value(labels=join(only(call.labels, Source.FILES, Source.SECRET_FILE), _content(reader, path)))


def _write(reader: Reader, call: Call) -> Value:
    path = call.first.constant or ""
    if call.method == "createWriteStream":
        write_file(reader, path, UNKNOWN, call)
        return Value(path or None, name="file")
    return write_file(reader, path, call.argument(1), call)


def write_file(reader: Reader, path: str, content: Value, call: Call) -> Value:
    """A file at ``path`` gets ``content``."""
    node = call.node
    reader.can(Ability.FILE_WRITE, path or "?", node)
    if path and (content.labels or path not in reader.written):
        reader.written[path] = content.labels
    agent = vocabulary.agent_file(path)
    if agent:
        reader.can(Ability.AGENT_CONFIG, agent, node)
        outside = path.startswith(("~", "/", ".")) or "/." in path
        reader.hit("SIGMA-THREAT-007" if outside else "SIGMA-THREAT-017", agent, node)
        if content.constant:
            reader.embed("agent-file", "markdown", content.constant, node)
        reader.flow(only(content.labels, Source.REMOTE, Source.DECODED), Sink.AGENT_FILE, agent, node)
    place = vocabulary.autostart_place(path)
    if place:
        reader.can(Ability.PERSISTENCE, place, node)
        reader.hit("SIGMA-THREAT-044" if vocabulary.acts_unasked(place) else "SIGMA-THREAT-006", place, node)
    return UNKNOWN
