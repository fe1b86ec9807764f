"""Commands that only start another one: ``sudo``, ``env``, ``xargs``, ``find -exec`` …"""

from __future__ import annotations

from sigma_core.sandbox.observations import NO_LABELS, Source, join, only
from sigma_core.sandbox.shell.values import Stream, Word, base_name, path_labels
from sigma_core.sandbox.vocabulary import name_set

# The options of each that take the next word as their value.
_VALUED: dict[str, frozenset[str]] = {
    "sudo": name_set("-u -g -h -p -C -D -r -t -U --user --group --prompt --chdir"),
    "doas": name_set("-u -C"),
    "env": name_set("-u -C --unset --chdir"),
    "xargs": name_set("-I -n -P -L -d -s -E -a --max-args --max-procs --delimiter --arg-file --replace"),
    "parallel": name_set("-j --jobs -I -a --delay"),
    "timeout": name_set("-s -k --signal --kill-after"),
    "nice": name_set("-n --adjustment"),
    "ionice": name_set("-c -n -p"),
    "time": name_set("-f -o"),
    "stdbuf": name_set("-i -o -e"),
    "exec": name_set("-a"),
    "flock": name_set("-w -E -c"),
    "watch": name_set("-n -d --interval"),
    "caffeinate": name_set("-t -w"),
    "nsenter": name_set("-t --target -S -G"),
    "sshpass": name_set("-p -f -d -e"),
}
WRAPPERS = frozenset(_VALUED) | name_set(
    "nohup command builtin setsid then do busybox toybox unbuffer chronic proxychains proxychains4 torsocks torify pkexec arch"
)
_TAKES_ONE = name_set("timeout flock")
"""Wrappers whose first operand is their own."""
_EXEC = name_set("-exec -execdir -ok -okdir")


def unwrap(words: list[Word], stdin: Stream) -> list[Word]:
    """The command inside a wrapper; empty where there is none."""
    wrapper, words = base_name(words[0].text), words[1:]
    valued = _VALUED.get(wrapper, frozenset())
    placeholder = ""
    while words and (words[0].text.startswith("-") or (wrapper in {"env", "sudo"} and "=" in words[0].text)):
        option, taken = words[0].text, 1
        if wrapper == "env" and option in {"-S", "--split-string"} and len(words) > 1:
            return [Word(piece, words[1].labels) for piece in words[1].text.split()] + words[2:]
        if wrapper == "command" and option in {"-v", "-V"}:
            return []
        if option in valued:
            taken = 2
        if wrapper in {"xargs", "parallel"} and option.startswith("-I"):
            placeholder = option[2:] or (words[1].text if len(words) > 1 else "")
        words = words[taken:]
    if wrapper in _TAKES_ONE:
        words = words[1:]
    if wrapper not in {"xargs", "parallel"} or not words:
        return words
    given = Word(stdin.text or "", stdin.labels)
    if wrapper == "parallel" and not placeholder:
        placeholder = "{}"
    if placeholder and any(placeholder in word.text for word in words):
        return [_filled(word, placeholder, given) for word in words]
    return [*words, given]


def find_commands(arguments: list[Word], found: Stream) -> list[list[Word]]:
    """The command lines that ``find`` runs on what it finds."""
    commands: list[list[Word]] = []
    at = 0
    while at < len(arguments):
        if arguments[at].text in _EXEC:
            line: list[Word] = []
            at += 1
            while at < len(arguments) and arguments[at].text not in {";", "+"}:
                line.append(_filled(arguments[at], "{}", Word("{}", found.labels)))
                at += 1
            if line:
                commands.append(line)
        at += 1
    return commands


def _filled(word: Word, placeholder: str, given: Word) -> Word:
    if placeholder not in word.text:
        return word
    labels = join(given.labels, only(path_labels(given.text), Source.SECRET_FILE) if given.text else NO_LABELS)
    text = word.text.replace(placeholder, given.text) if len(given.text) <= 256 and given.text else word.text
    return Word(text, join(word.labels, labels), word.built)
