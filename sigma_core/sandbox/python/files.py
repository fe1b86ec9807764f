"""Files: what is read, written, copied, packed, listed and destroyed, and what that means by the path."""

from __future__ import annotations

import ast
from dataclasses import replace

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.observations import NO_LABELS, Ability, Labels, Sink, Source, join, only
from sigma_core.sandbox.python.paths import (
    ARGUMENT,
    PATH,
    file_source,
    is_whole_place,
    outside_package,
    path_value,
    secret_of,
)
from sigma_core.sandbox.python.state import State
from sigma_core.sandbox.python.values import UNKNOWN, Call, Value, text_value
from sigma_core.sandbox.vocabulary import name_set

_OPENING = name_set(
    "open os.open os.fdopen pathlib.Path.open gzip.open bz2.open lzma.open io.FileIO tarfile.open zipfile.ZipFile sqlite3.connect "
    "configparser.ConfigParser.read configparser.RawConfigParser.read dotenv.dotenv_values dotenv.main.dotenv_values linecache.getline linecache.getlines pandas.read_csv pandas.read_json "
    "numpy.fromfile numpy.genfromtxt mmap.mmap plyvel.DB"
)
_PATH_METHODS = name_set("read_text read_bytes write_text write_bytes")
_ARCHIVES = name_set("tarfile.open zipfile.ZipFile")
_LISTING = name_set("glob.glob glob.iglob os.listdir os.scandir")
_LISTING_METHODS = name_set("rglob glob iterdir")
_COPYING = name_set("copy copyfile copy2 move copytree symlink link rename replace symlink_to hardlink_to copy_into move_into")  # fmt: skip
_COPY_CALLS = name_set("os.rename os.replace os.link os.symlink shutil.copy shutil.copyfile shutil.copy2 shutil.move shutil.copytree")  # fmt: skip
_DUMPERS = name_set("json.dump pickle.dump yaml.dump yaml.safe_dump toml.dump tomli_w.dump plistlib.dump marshal.dump csv.writer numpy.save torch.save")  # fmt: skip
_REMOVERS = name_set("os.remove os.unlink os.rmdir os.truncate shutil.rmtree send2trash.send2trash")
_REMOVER_METHODS = name_set("unlink rmdir")
_WRITE_METHODS = name_set("write writelines")
_PACKING = name_set("write add writestr addfile")
_TREE_ROOTS = name_set("~ / /home /Users /etc /usr /var C: C:\\ /root /boot /bin /lib /opt $HOME")
_CHANGING = name_set("os.chmod os.chown")


def opened(state: State, call: Call) -> Value | None:
    """``open`` and its like, and the methods of a path that read or write the whole file."""
    if call.name == "shutil.make_archive":
        return _packed_folder(state, call)
    if call.name not in _OPENING and call.method not in _PATH_METHODS and not _path_opens(call):
        return None
    of_path = call.method in _PATH_METHODS or call.holder.name == PATH
    path, modes = (call.holder, 0) if of_path else (call.first, 1)
    if call.name in {"dotenv.dotenv_values", "dotenv.main.dotenv_values"} and not path.paths:
        path = Value(".env")
    mode = call.argument(modes, "mode").text if call.method not in _PATH_METHODS else ""
    writing = call.method.startswith("write_") or any(letter in mode for letter in "wax+") or "O_WRONLY" in _flags(call)
    if call.name in _ARCHIVES:
        archive = replace(_stored(state, path, call.node), name="archive")
        if not writing:
            return _read(state, path, call)
        return archive
    if not writing:
        return _read(state, path, call)
    written_to(state, path, call.node)
    if call.method.startswith("write_"):
        write_content(state, path, call.first, call.node)
    return text_value(path.paths, path.labels, "file:write")


def _path_opens(call: Call) -> bool:
    return call.method == "open" and call.holder.name == PATH


def _flags(call: Call) -> str:
    return call.arguments[1].name if call.name == "os.open" and len(call.arguments) > 1 else ""


def _stored(state: State, path: Value, node: ast.AST) -> Value:
    """A place that bytes can be put into: a path, or a buffer by the expression that made it."""
    if path.paths or path.name == "buffer":
        return path
    return Value(f"<buffer {state.span(node)[0]}>")


def _read(state: State, path: Value, call: Call) -> Value:
    labels = only(path.labels, Source.FILES, Source.SECRET_FILE, Source.PERSONAL)
    if not path.paths and path.comes_from(Source.INPUT):
        state.can(Ability.FILE_READ, "?", call.node)
        return Value(labels=join(labels, frozenset({(Source.FILE, ARGUMENT)})), name="file:read")
    for text in path.paths or ("",):
        labels = join(labels, file_labels(state, text, call.node))
    return text_value(path.paths, labels, "file:read")


def file_labels(state: State, path: str, node: ast.AST) -> Labels:
    """What the bytes of a file are; reports that they are read."""
    if path.startswith("<buffer"):
        return state.written.get(path, NO_LABELS)
    kept = state.labels_at(path)
    secret = secret_of(path)
    if secret:
        state.can(Ability.SECRET_READ, secret, node)
        return join(kept, frozenset({(file_source(secret), secret)}))
    state.can(Ability.FILE_READ, path or "?", node)
    if path in {"/etc/hostname", "/etc/machine-id", "/proc/cpuinfo", "/var/lib/dbus/machine-id"}:
        return frozenset({(Source.HOST_DATA, path)})
    return join(kept, frozenset({(Source.FILE, path or "?")}))


def written_to(state: State, path: Value, node: ast.AST) -> None:
    """Report a write by its path."""
    for text in path.paths or ("",):
        state.can(Ability.FILE_WRITE, text or "?", node)
        agent = vocabulary.agent_file(text)
        if agent:
            state.can(Ability.AGENT_CONFIG, agent, node)
            state.hit("SIGMA-THREAT-007" if outside_package(text) else "SIGMA-THREAT-017", agent, node)
        place = vocabulary.autostart_place(text)
        if place:
            state.can(Ability.PERSISTENCE, place, node)
            state.hit("SIGMA-THREAT-044" if vocabulary.acts_unasked(place) else "SIGMA-THREAT-006", place, node)
        if text.endswith("__file__"):
            state.hit("SIGMA-THREAT-012", "__file__", node)


def write_content(state: State, path: Value, content: Value, node: ast.AST) -> None:
    """What is written to ``path`` goes where the path leads: to an agent, to a place that starts programs, or to be run or sent later."""
    text = content.text or "".join(item.text for item in content.items or ())
    for place in path.paths:
        state.remember(place, content.labels)
        state.remember_content(place, text)
        if vocabulary.agent_file(place):
            state.embed("agent-file", "markdown", text, node)
            state.flow(only(content.labels, Source.REMOTE, Source.DECODED), Sink.AGENT_FILE, place, node)
        autostart = vocabulary.autostart_place(place)
        if autostart:
            state.embed("written-file", "python" if place.endswith((".py", ".pth")) else "shell", text, node)
            state.flow(only(content.labels, Source.REMOTE, Source.DECODED), Sink.AUTOSTART, place, node)
    if content.name == "encrypted" and path.comes_from(Source.FILES):
        state.hit("SIGMA-THREAT-010", "encrypts the person's files", node)


def wrote(state: State, call: Call) -> Value | None:
    """Writing to something that was opened, packing into an archive, dumping an object into a file."""
    holder, first = call.holder, call.first
    if holder.name == "archive" and call.method in _PACKING:
        labels = join(call.labels, *(_packed(state, text, call.node) for text in first.paths if call.method != "writestr"))  # fmt: skip
        for place in holder.paths:
            state.remember(place, labels)
        return UNKNOWN
    if call.method in _WRITE_METHODS and holder.name in {"file:write", "buffer"}:
        write_content(state, holder, first, call.node)
        return UNKNOWN
    if call.name == "shutil.copyfileobj":
        write_content(state, call.argument(1), first, call.node)
        return UNKNOWN
    if call.name == "os.write":
        write_content(state, first, call.argument(1), call.node)
        return UNKNOWN
    if call.method in {"extractall", "extract", "unpack_archive"} and (holder.labels or first.labels):
        for place in call.argument(1 if call.method != "extractall" else 0, "path", "extract_dir").paths or (".",):
            state.remember(place, join(holder.labels, first.labels))
        return UNKNOWN
    if (call.name in _DUMPERS or call.method == "dump") and len(call.arguments) > 1:
        target, content = call.arguments[1], call.arguments[0]
        if call.name in {"numpy.save", "torch.save"}:
            target, content = content, target
        write_content(state, target, content, call.node)
        return UNKNOWN
    if call.method == "save" and first.paths and holder.labels:
        for place in first.paths:
            state.remember(place, holder.labels)
        return UNKNOWN
    if call.name in {"io.BytesIO", "io.StringIO"}:
        place = f"<buffer {state.span(call.node)[0]}>"
        state.remember(place, call.labels)
        return Value(place, call.labels, "buffer")
    if holder.name == "buffer" and call.method in {"getvalue", "read", "getbuffer", "readlines", "seek"}:
        return Value(labels=join(holder.labels, *(state.written.get(place, NO_LABELS) for place in holder.paths)))
    return None


def _packed(state: State, path: str, node: ast.AST) -> Labels:
    """What a file or folder brings into an archive."""
    secret = secret_of(path) or (secret_of(f"{path.rstrip('/')}/*") if path.startswith(("~", "/")) else "")
    if secret:
        state.can(Ability.SECRET_READ, secret, node)
        return frozenset({(file_source(secret), secret)})
    return frozenset({(Source.FILES if is_whole_place(path) else Source.FILE, path or "?")})


def _packed_folder(state: State, call: Call) -> Value:
    """``shutil.make_archive(base, format, root)``."""
    root = call.argument(2, "root_dir")
    labels = join(root.labels, *(_packed(state, text, call.node) for text in root.paths))
    kind = call.argument(1, "format").text
    archives = tuple(f"{base}.{'tar.gz' if kind == 'gztar' else kind or 'zip'}" for base in call.first.paths)
    for archive in archives:
        state.remember(archive, labels)
        state.can(Ability.FILE_WRITE, archive, call.node)
    return text_value(archives, labels)


def copied(state: State, call: Call) -> Value | None:
    """Copies, moves and links: what was there is now here too."""
    of_path = call.holder.name == PATH and call.method in _COPYING
    if call.name not in _COPY_CALLS and not of_path:
        return None
    if of_path and not (call.arguments or call.keywords):
        return None
    source, target = (call.holder, call.first) if of_path else (call.first, call.argument(1, "dst", "target"))
    if of_path and call.method in {"symlink_to", "hardlink_to"}:
        source, target = target, source
    labels = only(source.labels, Source.FILES, Source.SECRET_FILE, Source.REMOTE, Source.DECODED)
    for text in source.paths:
        secret = secret_of(text)
        if secret:
            state.can(Ability.SECRET_READ, secret, call.node)
            labels = join(labels, frozenset({(Source.SECRET_FILE, secret)}))
        labels = join(labels, state.written.get(text, NO_LABELS))
    written_to(state, target, call.node)
    for text in target.paths:
        state.remember(text, labels)
        if vocabulary.autostart_place(text):
            state.flow(only(labels, Source.REMOTE, Source.DECODED), Sink.AUTOSTART, text, call.node)
    if not target.paths:
        return Value(labels=labels)
    return path_value(target.paths, labels)


def listed(state: State, call: Call) -> Value | None:
    """Listings: their elements are paths below what was listed."""
    if call.name in {"os.walk", "os.fwalk"} or (call.method == "walk" and call.holder.name == PATH):
        root = call.holder if call.holder.name == PATH else call.first
        labels = _listing_labels(state, root, "/*", call.node)
        names = text_value((), labels, "listing")
        return Value(labels=labels, name="list", items=(Value(name="list", items=(text_value(root.paths, labels), names, names)),))  # fmt: skip
    by_method = call.method in _LISTING_METHODS and call.holder.name == PATH
    if call.name not in _LISTING and not by_method and call.method not in {"rglob", "iterdir"}:
        return None
    if call.name in _LISTING and not call.name.startswith("glob"):
        labels = _listing_labels(state, call.first, "/*", call.node)
        return text_value((), labels, "listing" if call.name != "os.scandir" else f"listing {PATH}")
    root = call.holder if call.name not in _LISTING else call.first
    pattern = "/*" if call.method == "iterdir" or root is call.first else f"/{call.first.text or '*'}"
    if root is call.first:
        pattern = ""
    labels = _listing_labels(state, root, pattern, call.node)
    texts = tuple(f"{text.rstrip('/')}{pattern}" for text in root.paths)
    return text_value(texts, labels, f"listing {PATH}" if root is call.holder else "listing ")


def _listing_labels(state: State, root: Value, pattern: str, node: ast.AST) -> Labels:
    labels = root.labels
    for text in root.paths or ("?",):
        secret = secret_of(f"{text.rstrip('/')}{pattern}")
        if secret:
            labels = join(labels, frozenset({(file_source(secret), secret)}))
            state.can(Ability.SECRET_READ, secret, node)
            continue
        broad = text.startswith(("~", "/home", "/Users", "/", "C:"))
        labels = join(labels, frozenset({(Source.FILES if broad else Source.FILE, text)}))
    return labels


def destroyed(state: State, call: Call) -> Value | None:
    """Removals: of a whole tree of the person's, or of what a listing of one gave."""
    of_path = call.holder.name == PATH and call.method in _REMOVER_METHODS
    if call.name in _CHANGING:
        state.can(Ability.FILE_WRITE, call.first.text or "?", call.node)
        return UNKNOWN
    if call.name not in _REMOVERS and not of_path:
        return None
    path = call.holder if of_path else call.first
    for text in path.paths or ("?",):
        state.can(Ability.FILE_WRITE, text, call.node)
        if call.name == "shutil.rmtree" and (text.rstrip("/") or "/") in _TREE_ROOTS:
            state.hit("SIGMA-THREAT-010", text, call.node)
    if any(source is Source.FILES and is_whole_place(origin) for source, origin in path.labels):
        state.hit("SIGMA-THREAT-010", "removes what a listing of the person's files gave", call.node)
    return UNKNOWN
