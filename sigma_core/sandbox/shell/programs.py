"""Every other program: files that it reads, writes, packs or destroys, and programs that were fetched before they are run."""

from __future__ import annotations

from itertools import pairwise

import re2

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.observations import NO_LABELS, Ability, Labels, Sink, Source, join, only
from sigma_core.sandbox.shell.machine import REGISTRATIONS, git_setting
from sigma_core.sandbox.shell.script import Script
from sigma_core.sandbox.shell.transfers import fetch_commits, push
from sigma_core.sandbox.shell.values import Call, Stream, path_labels
from sigma_core.sandbox.vocabulary import name_set

_READERS = name_set(
    "cat head tail less more tac nl strings sed awk grep egrep rg cut sort uniq xxd od base64 openssl jq tee bat dd gzip"
)
_PACKERS = name_set("tar zip unzip 7z cp mv ditto rsync ln install")
_INSTALLERS = name_set("npm pip pip3 yarn pnpm brew apt apt-get npx uvx gem cargo go")
_ENABLERS = name_set("chmod installer dpkg rpm msiexec open hdiutil")
"""Programs that turn a file into one that runs, or install it."""
_SHOWN = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".avif", ".svg", ".pdf", ".mp3", ".mp4", ".wav", ".mov", ".csv", ".json", ".txt")  # fmt: skip
_ARCHIVES = (".tar", ".tgz", ".gz", ".zip", ".7z")
_STANDARD_INPUT = frozenset({"-", "/dev/stdin"})
_ALIASED = re2.compile(r"-c\s+alias\.\S{1,40}=!(.+)")
_VITAL = frozenset({"", "~", "$HOME", "/home", "/Users", "/etc", "/usr", "/var", "/boot", "/bin", "/lib", "~/Documents", "~/Desktop", "/var/log", "/var/log/audit"})  # fmt: skip


def ordinary(script: Script, call: Call) -> Stream:
    """A call of a program that has no reader of its own."""
    name, texts, node = call.name, call.texts, call.node
    reading = join(
        call.labels,
        *(path_labels(text) for text in texts),
        *(script.written.get(text, NO_LABELS) for text in texts),
    )
    if name in REGISTRATIONS:
        REGISTRATIONS[name](script, call)
    elif name in _ENABLERS and _enables(call):
        for path in call.operands:
            fetched = only(script.written.get(path, NO_LABELS), Source.REMOTE, Source.DECODED)
            script.flow(fetched, Sink.EXECUTE, f"{name} {path}", node)
        return Stream()
    elif name in {"chmod", "chown"} or (name == "open" and texts):
        return Stream()
    elif name in _PACKERS and (name != "install" or any("/" in text for text in call.operands[-1:])):
        return _pack(script, call, reading)
    elif name == "tee" and texts:
        if call.operands:
            script.write(call.operands[0], call.stdin, node)
        return call.stdin
    elif name in {"rm", "shred", "srm"}:
        script.can(Ability.FILE_WRITE, " ".join(texts)[:80], node)
        if _destroys(call):
            script.hit("SIGMA-THREAT-010", " ".join([name, *texts])[:80], node)
    elif name == "find" and texts:
        return _find(script, call, reading)
    elif name == "git" and call.operands[:1] == ["config"]:
        git_setting(script, call)
    elif name == "git" and call.operands[:1] == ["push"]:
        push(script, call)
    elif name == "git" and call.operands[:1] in (["remote"], ["clone"], ["pull"], ["reset"]):
        fetch_commits(script, call)
    elif name == "git" and (aliased := _ALIASED.search(" ".join(texts))):
        script.embed("command", "shell", aliased.group(1).replace('\\"', '"'), node)
    elif (name in {"make", "gmake"} and "-f" in texts and _STANDARD_INPUT & set(texts)) or (
        name == "sed" and any(_sed_runs(text) for text in call.operands)
    ):
        script.flow(only(call.stdin.labels, Source.REMOTE, Source.DECODED), Sink.EXECUTE, name, node)
    elif name == "sed" and any(text.startswith(("-i", "--in-place")) for text in texts):
        _edit_in_place(script, call)
    elif name in _INSTALLERS:
        script.can(Ability.PROCESS, name, node)
    else:
        _run_program(script, call)
    if name in _READERS:
        return _read_files(script, call, reading)
    return Stream(
        join(only(call.stdin.labels, Source.SECRET_FILE, Source.ENVIRONMENT), only(reading, Source.SECRET_FILE))
    )


def _sed_runs(text: str) -> bool:
    """``s/x/y/e`` of GNU sed: the line that results is run."""
    pieces = text.split(text[1:2]) if text[:1] == "s" and not text[1:2].isalnum() and len(text) > 3 else []
    return len(pieces) == 4 and "e" in pieces[3][:4]


def _enables(call: Call) -> bool:
    """Whether the call makes a file run: `chmod` only where it sets an execute bit, `open` where the file is not one to look at."""
    if call.name == "open":
        return not all(path.lower().endswith(_SHOWN) for path in call.operands)
    return call.name != "chmod" or any(
        "x" in text.partition("+")[2] or text[-3:] in {"755", "777", "700", "775"} for text in call.texts
    )


def _run_program(script: Script, call: Call) -> None:
    fetched = script.origin_of(call.path) or script.written.get(call.name) or NO_LABELS
    script.flow(only(fetched, Source.REMOTE, Source.DECODED), Sink.EXECUTE, call.path, call.node)
    script.can(Ability.PROCESS, call.name, call.node)


def _read_files(script: Script, call: Call, reading: Labels) -> Stream:
    secrets = sorted(only(reading, Source.SECRET_FILE))
    if secrets:
        script.can(Ability.SECRET_READ, secrets[0][1], call.node)
    plain_file = call.name == "cat" and call.texts and not call.texts[-1].startswith("-") and not secrets
    files = frozenset({(Source.FILE, call.texts[-1])}) if plain_file else NO_LABELS
    text = None
    if call.name in {"tee", "cat"}:
        known = [script.contents[path] for path in call.operands if path in script.contents]
        text = call.stdin.text if not call.texts else known[0] if known else None
    return Stream(join(call.stdin.labels, reading, files), text)


def _pack(script: Script, call: Call, reading: Labels) -> Stream:
    if call.name in {"cp", "mv", "ln", "ditto", "install"} and call.texts:
        target = call.texts[-1]
    else:
        target = next((text for text in call.texts if text.endswith(_ARCHIVES)), "")
    content = Stream(only(reading, Source.SECRET_FILE, Source.REMOTE, Source.FILES))
    if call.name in {"tar", "unzip", "7z"}:
        _unpack(script, call, only(join(reading, call.stdin.labels), Source.REMOTE, Source.DECODED))
    secrets = sorted(only(reading, Source.SECRET_FILE))
    if secrets:
        script.can(Ability.SECRET_READ, secrets[0][1], call.node)
    if target:
        script.write(target, content, call.node)
    return Stream(content.labels)


def _unpack(script: Script, call: Call, fetched: Labels) -> None:
    """What was fetched and is unpacked into a named folder makes that folder fetched."""
    folder = next((value for flag, value in pairwise(call.texts) if flag in {"-C", "--directory", "-d"}), "").rstrip(
        "/"
    )
    if not fetched or folder in {"", "."}:
        return
    script.written[folder] = join(script.written.get(folder, NO_LABELS), fetched)
    agent = vocabulary.agent_file(folder + "/")
    if agent:
        script.can(Ability.AGENT_CONFIG, agent, call.node)
        script.flow(fetched, Sink.AGENT_FILE, agent, call.node)


def _edit_in_place(script: Script, call: Call) -> None:
    path = call.operands[-1] if call.operands else ""
    agent, place = vocabulary.agent_file(path), vocabulary.autostart_place(path)
    script.can(Ability.FILE_WRITE, path or "?", call.node)
    if agent:
        script.can(Ability.AGENT_CONFIG, agent, call.node)
        outside = path.startswith(("~", "/", "$", "..", "."))
        script.hit("SIGMA-THREAT-007" if outside else "SIGMA-THREAT-017", agent, call.node)
    if place:
        script.can(Ability.PERSISTENCE, place, call.node)
        script.hit("SIGMA-THREAT-016", place, call.node)


def _find(script: Script, call: Call, reading: Labels) -> Stream:
    start = call.texts[0]
    if (
        "-delete" in call.texts
        and (start.rstrip("/") or "") in _VITAL
        and not {"-name", "-iname", "-path"} & set(call.texts)
    ):
        script.hit("SIGMA-THREAT-010", " ".join(["find", *call.texts])[:80], call.node)
    secret = vocabulary.secret_file(" ".join(call.texts))
    if secret and not secret.startswith(".env"):
        reading = join(reading, frozenset({(Source.SECRET_FILE, secret)}))
    broad = start in {"/", "~", "/home", "/Users"} or start.startswith("~/")
    return Stream(join(reading, frozenset({(Source.FILES, start)}) if broad else NO_LABELS))


def _destroys(call: Call) -> bool:
    recursive = call.name != "rm" or any(text.startswith("-") and "r" in text.lower() for text in call.texts)
    return recursive and any(text.rstrip("*").rstrip("/") in _VITAL for text in call.operands)
