"""Paths: how they are put together, and what they are known to mean."""

from __future__ import annotations

import posixpath

import re2

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.observations import NO_LABELS, Labels, Source, join
from sigma_core.sandbox.python.values import MAX_TEXTS, UNKNOWN, Call, Value, text_value
from sigma_core.sandbox.vocabulary import name_set

PATH = "pathlib.Path"
ARGUMENT = "argument"
"""The origin of a file that whoever starts the program names."""
HOME_VARIABLES = {
    "HOME": "~",
    "USERPROFILE": "~",
    "HOMEPATH": "~",
    "APPDATA": "~/AppData/Roaming",
    "LOCALAPPDATA": "~/AppData/Local",
    "XDG_CONFIG_HOME": "~/.config",
    "TMPDIR": "/tmp",  # noqa: S108
    "TEMP": "/tmp",  # noqa: S108
}
_JOINING = name_set("os.path.join posixpath.join ntpath.join")
_SAME = name_set(
    "os.path.expanduser os.path.expandvars os.path.abspath os.path.realpath os.path.normpath os.fspath shlex.quote"
)
_SAME_METHODS = name_set("expanduser resolve absolute as_posix relative_to __str__ __fspath__ readlink")
_SITE = name_set("site.getsitepackages site.getusersitepackages sysconfig.get_path sysconfig.get_paths distutils.sysconfig.get_python_lib")  # fmt: skip
_TEMPORARY = name_set(
    "tempfile.mkdtemp tempfile.gettempdir tempfile.mktemp tempfile.NamedTemporaryFile tempfile.TemporaryDirectory tempfile.mkstemp"
)
_SECRET_PATTERN = re2.compile(
    r"(?i)(?:\.(?:pem|ppk|p12|pfx|kdbx|keystore|jks|ovpn|wallet|kwallet|rdp)|id_(?:rsa|dsa|ecdsa|ed25519)\*?|\bwallet\*?|\*(?:wallet|seed|mnemonic|password|passwd|secret|credential|token)\w*\*?[\w.*]*)$"
)
_PERSONAL_PLACES = re2.compile(
    r"(?i)^(?:~|/home|/Users|/root|\$HOME|C:[/\\]+Users|/home/[\w{}?.-]+|/Users/[\w{}?.-]+|/mnt|/media)(?:/(?:Documents|Desktop|Downloads|Pictures|Photos|Videos|Music|Movies|OneDrive|Dropbox|iCloud\w*|\{\}|\*+))?/?(?:\*\*?/?\*?(?:\.\*)?)?$|^/$|^[A-Z]:[/\\]*$"
)


def path_value(texts: tuple[str, ...], labels: Labels = NO_LABELS) -> Value:
    """A path object that is one of ``texts``."""
    return text_value(texts, labels, PATH)


def join_paths(left: Value, right: Value, unknown: str = "?") -> tuple[str, ...]:
    """The texts of two path parts joined; a part that is not known stands as ``unknown``, and an absolute right part replaces the left one."""
    if not left.paths and not right.paths:
        return ()
    lefts, rights = left.paths or (unknown,), right.paths or ("?",)
    return tuple(
        one if one.startswith(("/", "~")) else f"{other.rstrip('/')}/{one}" for other in lefts for one in rights
    )[:MAX_TEXTS]


def divided(left: Value, right: Value) -> Value:
    """``left / right`` of paths. An unknown folder is most often the person's own."""
    return path_value(join_paths(left, right, "~"), join(left.labels, right.labels))


def path_attribute(holder: Value, attribute: str) -> Value | None:
    """An attribute of a path object, or None for one that is no part of its text."""
    if attribute in {"parent", "parents"}:
        return path_value(tuple(_parent(text) for text in holder.paths), holder.labels)
    if attribute == "name" and holder.paths:
        return text_value([_name(text) for text in holder.paths], holder.labels)
    if attribute in {"stem", "suffix"} and holder.paths:
        halves = [posixpath.splitext(_name(text)) for text in holder.paths]
        return text_value([half[0 if attribute == "stem" else 1] for half in halves], holder.labels)
    return None


def _name(text: str) -> str:
    return text.rstrip("/").rpartition("/")[2]


def _parent(text: str) -> str:
    """The folder of a path; that of the module's own file is the working folder as far as anybody outside is concerned."""
    if text.endswith("__file__"):
        return "."
    return posixpath.dirname(text.rstrip("/")) or "."


def path_call(call: Call) -> Value | None:
    """What a call gives that makes a path out of paths, or None for any other call."""
    name, holder, labels = call.name, call.holder, join(call.labels, call.holder.labels)
    if name in _JOINING and call.arguments:
        joined = call.arguments[0]
        for part in call.arguments[1:]:
            joined = text_value(join_paths(joined, part), labels)
        return joined
    if name == PATH:
        joined = call.first
        for part in call.arguments[1:]:
            joined = text_value(join_paths(joined, part), labels)
        return path_value(joined.texts or ((".",) if not call.arguments else ()), labels)
    if name in {"pathlib.Path.home", "Path.home"}:
        return path_value(("~",))
    if name in {"pathlib.Path.cwd", "os.getcwd", "Path.cwd"}:
        return path_value((".",)) if "Path" in name else Value(".")
    if name in _SAME and call.arguments:
        return Value(call.first.constant, call.first.labels, "", call.first.folded, call.first.others)
    if name in {"os.path.dirname", "posixpath.dirname"}:
        return text_value([_parent(text) for text in call.first.texts], labels)
    if name in {"os.path.basename"}:
        return text_value([_name(text) for text in call.first.texts], labels)
    if name in _SITE:
        return Value("site-packages/lib", items=(Value("site-packages/lib"),))
    if name in _TEMPORARY:
        return Value(f"{HOME_VARIABLES['TMPDIR']}/?{call.keywords.get('suffix', UNKNOWN).text}", name="file:write")
    if name == "os.path.expanduser":
        return Value("~")
    if holder.name == PATH:
        if call.method in _SAME_METHODS:
            return holder
        if call.method == "joinpath":
            joined = holder
            for part in call.arguments:
                joined = divided(joined, part)
            return joined
        if call.method in {"with_name", "with_stem"}:
            return path_value(tuple(f"{_parent(text)}/{new}" for text in holder.paths for new in call.first.texts[:1]), labels)  # fmt: skip
        if call.method == "with_suffix":
            return path_value(tuple(f"{text.rpartition('.')[0] or text}{new}" for text in holder.paths for new in call.first.texts[:1]), labels)  # fmt: skip
    return None


def secret_of(path: str) -> str:
    """The part of a path or pattern that names secrets of the person, or empty. A pattern for keys and wallets counts like a name."""
    path = path[-4_096:]
    named = vocabulary.secret_file(path)
    if named:
        return named
    match = _SECRET_PATTERN.search(path) if "*" in path else None
    return match.group() if match else ""


def is_whole_place(path: str) -> bool:
    """Whether a listing of ``path`` is one of everything that a person has, rather than of one program's folder."""
    return bool(_PERSONAL_PLACES.search(path))


def file_source(secret: str) -> Source:
    """The source that a secret file is: settings files of a project are files, the person's keys are secrets."""
    return Source.FILE if secret.startswith(".env") else Source.SECRET_FILE


def outside_package(path: str) -> bool:
    """Whether a path leads out of the working folder."""
    return path.startswith(("~", "/", "$HOME")) or "/." in path or (path.startswith(".") and not path.startswith("./"))
