"""Programs other than HTTP clients that carry bytes to another machine."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import re2

from sigma_core.sandbox.observations import NO_LABELS, Ability, Labels, Sink, Source, join
from sigma_core.sandbox.shell.script import WAY_IN, Script
from sigma_core.sandbox.shell.values import Call, Stream, path_labels, sendable
from sigma_core.sandbox.vocabulary import name_set, urls_in

_CLOUD = {"s3": "amazonaws.com", "gs": "storage.googleapis.com", "az": "blob.core.windows.net"}
_CLOUD_UPLOADS = {
    "aws": ("s3",),
    "s3cmd": ("put", "sync"),
    "s5cmd": ("cp", "sync"),
    "gsutil": ("cp", "rsync", "mv"),
    "gcloud": ("storage",),
    "az": ("storage",),
    "rclone": ("copy", "copyto", "sync", "move", "rcat"),
    "mc": ("cp", "mirror", "pipe"),
}
_CODE_HOSTS = ("github.com", "gitlab.com", "bitbucket.org", "codeberg.org", "huggingface.co", "googlesource.com")
"""Hosts of everybody's code: what is cloned from there is judged by its address, not by being cloned."""
_LOCAL = re2.compile(r"(?i)^(?:localhost|127\.|\[?::1)|^(?:unix|/)")
_LOOPBACK = re2.compile(r"(?i)^(?:lo\d?|localhost|127\.[\d.]+|::1)$|\.sock$")
_OWN_LOGIN = re2.compile(r"^(?:[^:]*:)?\d*:(?:localhost|127\.0\.0\.1|\[::1\]|::1)?:?22$")
"""``2222:localhost:22``: the other end gets this machine's own login."""
_TO_FILL_IN = re2.compile(
    r"(?i)[$<>{}]|(?:^|[@.-])(?:your|my|user|example|host|server|remote|vps|bastion)(?:$|[.\W_-])"
)
_SSH_VALUED = name_set("-L -R -D -W -p -i -o -l -J -F -b -c -m -S -e -E -w")


def _sent(script: Script, call: Call) -> Labels:
    """What the arguments and the input of ``call`` hold of the person's."""
    files = (join(path_labels(text), script.written.get(text, NO_LABELS)) for text in call.operands)
    return sendable(join(call.stdin.labels, call.labels, *files))


def _socket(script: Script, call: Call) -> Stream:
    joined = " ".join(call.texts)
    script.can(Ability.NETWORK, joined or call.name, call.node)
    gives_program = (
        any(text in {"-e", "-c", "--exec", "--sh-exec"} for text in call.texts)
        or "exec:" in joined.lower()
        or "system:" in joined.lower()
    )
    if gives_program and any(word in joined for word in ("sh", "cmd", "powershell", "python")):
        script.hit("SIGMA-THREAT-004", f"{call.name} {joined}"[:120], call.node)
    target = call.operands[0] if call.operands else ""
    script.flow(sendable(call.stdin.labels), Sink.SEND, target, call.node)
    if not _LOCAL.search(target):
        script.sockets.add(target or "?")
    return Stream(frozenset({(Source.REMOTE, target or "?")}))


def secure_socket(script: Script, call: Call) -> Stream | None:
    """``openssl s_client -connect host:port``."""
    if "s_client" not in call.texts:
        return None
    at = call.texts.index("-connect") + 1 if "-connect" in call.texts else len(call.texts)
    target = call.texts[at] if at < len(call.texts) else "?"
    script.can(Ability.NETWORK, target, call.node)
    script.flow(sendable(call.stdin.labels), Sink.SEND, target, call.node)
    script.sockets.add(target)
    return Stream(frozenset({(Source.REMOTE, target)}))


def _display(script: Script, call: Call) -> Stream | None:
    """``xterm -display host:1``: the terminal of this machine on the screen of another one."""
    shown = next((value for flag, value in pairwise(call.texts) if flag in {"-display", "--display"}), "")
    host = shown.partition(":")[0]
    if host and not _LOCAL.search(host):
        script.can(Ability.NETWORK, host, call.node)
        script.hit("SIGMA-THREAT-004", f"{call.name} -display {shown}", call.node)
    return None


def _shared_terminal(script: Script, call: Call) -> Stream:
    """Programs that let others type on this machine: where they write the way in, that is a secret; where nothing keeps others out, it is a shell for all."""
    script.can(Ability.NETWORK, call.name, call.node)
    texts = set(call.texts)
    listens = call.name in {"gs-netcat", "blitz"} and any("l" in text for text in texts if text[:1] == "-" != text[1:2])
    writable = call.name in {"ttyd", "gotty"} and bool(texts & {"-W", "--writable", "-w", "--permit-write"})
    guarded = texts & {"-c", "--credential"} or any(_LOOPBACK.search(text) for text in texts)
    if listens or (writable and not guarded):
        script.hit("SIGMA-THREAT-004", " ".join([call.name, *call.texts])[:120], call.node)
    way_in = call.name in {"tmate", "upterm"} and bool(texts & {"display", "show-messages", "session", "current"})
    return Stream(frozenset({(Source.SECRET_FILE, WAY_IN)}) if way_in else NO_LABELS)


def _dial(script: Script, call: Call) -> Stream:
    """``ztcp host port`` of zsh: the connection's descriptor is in ``$REPLY``."""
    peer = ":".join(call.operands[:2])
    if peer and not _LOCAL.search(peer):
        script.can(Ability.NETWORK, peer, call.node)
        script.sockets.add(peer)
        script.written["&$REPLY"] = frozenset({(Source.REMOTE, peer)})
    return Stream()


def _copy(script: Script, call: Call) -> Stream:
    remote = next((text for text in call.texts if ":" in text or "@" in text), "")
    script.can(Ability.NETWORK, remote or call.name, call.node)
    if remote:
        sent = _sent(script, call)
        if call.name in {"scp", "rsync", "sftp"} and call.operands[-1:] == [remote]:
            sent = join(sent, frozenset({(Source.FILE, text) for text in call.operands[:-1][:4]}))
        script.flow(sent, Sink.SEND, remote, call.node)
        if call.name in {"scp", "rsync", "sftp"} and call.operands[-1:] != [remote]:
            host, _, path = remote.rpartition("@")[2].partition(":")
            script.written[path.rpartition("/")[2]] = frozenset({(Source.REMOTE, host)})
    return Stream()


def _remote_shell(script: Script, call: Call) -> Stream:
    """``ssh host 'cat > file'``: what is piped in leaves, and what comes out is what the other machine says."""
    takes = _SSH_VALUED | {"-M"} if call.name == "autossh" else _SSH_VALUED
    valued = {at + 1 for at, text in enumerate(call.texts) if text in takes}
    target = next((text for at, text in enumerate(call.texts) if at not in valued and not text.startswith("-")), "")
    script.can(Ability.NETWORK, target or "ssh", call.node)
    offered = any(flag == "-R" and _OWN_LOGIN.search(value) for flag, value in pairwise(_parted(call.texts)))
    if offered and target and not _TO_FILL_IN.search(target) and not _LOCAL.search(target.rpartition("@")[2]):
        script.hit("SIGMA-THREAT-004", f"{call.name} -R to {target}", call.node)
    script.flow(sendable(join(call.stdin.labels, call.labels)), Sink.SEND, target, call.node)
    return Stream(frozenset({(Source.REMOTE, target.rpartition("@")[2] or "?")}))


def _parted(texts: list[str]) -> list[str]:
    """The words of a call, ``-fNR`` and ``-R2222:…`` as flag and value."""
    parted: list[str] = []
    for text in texts:
        flags, found, value = text.partition("R")
        joined = found and flags[:1] == "-" and flags[1:].isalpha() is bool(flags[1:])
        parted += [word for word in ("-R", value) if word] if joined else [text]
    return parted


def _answered(script: Script, call: Call) -> Stream:
    """Programs that print what a server, queue or directory holds."""
    target = next((text.rpartition("@")[2] for text in call.operands if "." in text), "?")
    script.can(Ability.NETWORK, target, call.node)
    return Stream(frozenset({(Source.REMOTE, target)}))


def _cloud(script: Script, call: Call) -> Stream | None:
    if not call.operands or call.operands[0] not in _CLOUD_UPLOADS[call.name]:
        return None
    remote = next(
        (text for text in call.operands if "://" in text or (":" in text and call.name in {"rclone", "mc"})), ""
    )
    scheme, _, rest = remote.partition("://")
    bucket = rest.partition("/")[0]
    target = f"https://{bucket}.{_CLOUD[scheme]}/" if scheme in _CLOUD else remote
    script.can(Ability.NETWORK, target or call.name, call.node)
    script.can(Ability.PROCESS, call.name, call.node)
    script.flow(_sent(script, call), Sink.SEND, target or call.name, call.node)
    return Stream(frozenset({(Source.REMOTE, target)})) if call.texts[-1] == "-" and target else Stream()


def _gist(script: Script, call: Call) -> Stream | None:
    if call.texts[:2] == ["gist", "view"]:
        return Stream(frozenset({(Source.REMOTE, "https://gist.github.com/")}))
    if call.texts[:1] == ["api"] or call.texts[:2] in (["issue", "view"], ["pr", "view"]):
        return Stream(frozenset({(Source.REMOTE, "https://api.github.com/")}))
    if call.texts[:2] != ["gist", "create"]:
        return None
    script.can(Ability.NETWORK, "https://api.github.com/gists", call.node)
    script.flow(_sent(script, call), Sink.SEND, "https://api.github.com/gists", call.node)
    return Stream()


def _name_lookup(script: Script, call: Call) -> Stream:
    script.can(Ability.NETWORK, call.texts[-1] if call.texts else call.name, call.node)
    sent = sendable(join(call.labels, call.stdin.labels))
    script.flow(sent, Sink.NAME_LOOKUP, " ".join(call.texts)[:120], call.node)
    asked = next((text for text in call.operands if "." in text and not text.startswith("+")), "?")
    return Stream(frozenset({(Source.REMOTE, asked)}))


def push(script: Script, call: Call) -> None:
    """``git push`` to an address, or to a remote that this script set: the work of the person leaves, and what the address carries."""
    remote = next((text for text in call.operands[1:] if urls_in(text) or "@" in text), "")
    if not remote and len(call.operands) > 1:
        remote = script.contents.get(f"remote {call.operands[1]}", "")
    if remote:
        script.can(Ability.NETWORK, remote, call.node)
        script.flow(join(sendable(call.labels), frozenset({(Source.FILE, "commits")})), Sink.SEND, remote, call.node)


def fetch_commits(script: Script, call: Call) -> None:
    """``git clone`` makes a folder of fetched files, and ``git pull`` or ``reset`` one of a folder whose remote this script set to another place."""
    verb, given = call.operands[0], call.operands[1:]
    address = next((text for text in given if urls_in(text) or "@" in text), "")
    foreign = bool(address) and not any(host.endswith(_CODE_HOSTS) for _, _, _, host in urls_in(address))
    if verb == "remote" and len(given) > 2 and given[0] in {"add", "set-url"} and address:
        script.contents[f"remote {given[1]}"] = address
        if foreign and given[0] == "set-url":
            script.written["remote"] = frozenset({(Source.REMOTE, address)})
    elif verb == "clone" and foreign:
        script.can(Ability.NETWORK, address, call.node)
        folder = given[-1] if given[-1] != address else address.rstrip("/").rpartition("/")[2].removesuffix(".git")
        script.written[folder.rstrip("/")] = frozenset({(Source.REMOTE, address)})
    elif verb in {"pull", "reset"}:
        script.flow(script.written.get("remote", NO_LABELS), Sink.EXECUTE, f"git {verb}", call.node)


TRANSFERS: dict[str, Callable[[Script, Call], Stream | None]] = {
    **dict.fromkeys(name_set("nc ncat netcat socat telnet"), _socket),
    **dict.fromkeys(name_set("scp rsync sftp ftp lftp tftp mail mailx sendmail mutt"), _copy),
    **dict.fromkeys(name_set("dig nslookup host ping drill"), _name_lookup),
    **dict.fromkeys(_CLOUD_UPLOADS, _cloud),
    **dict.fromkeys(name_set("finger whois mosquitto_sub nats redis-cli smbclient"), _answered),
    **dict.fromkeys(name_set("xterm uxterm xfce4-terminal gnome-terminal konsole rxvt urxvt"), _display),
    **dict.fromkeys(name_set("gs-netcat blitz tmate upterm ttyd gotty"), _shared_terminal),
    **dict.fromkeys(("ssh", "autossh"), _remote_shell),
    "ztcp": _dial,
    "gh": _gist,
}
