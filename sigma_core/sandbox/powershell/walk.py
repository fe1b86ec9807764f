"""The walk over the tokens of a PowerShell text: statements, pipes, commands and expressions."""

from __future__ import annotations

from dataclasses import dataclass, field

from sigma_core.sandbox.observations import join
from sigma_core.sandbox.powershell.call import Call
from sigma_core.sandbox.powershell.commands import run
from sigma_core.sandbox.powershell.members import call_member, cast, static_member
from sigma_core.sandbox.powershell.script import Script
from sigma_core.sandbox.powershell.texts import format_text, interpolate, unquote, variable
from sigma_core.sandbox.powershell.tokens import Token
from sigma_core.sandbox.shell.values import Word

MAX_DEPTH = 40
_VALUES = frozenset(
    {"single", "double", "here", "variable", "type", "open", "word", "option", "plus", "member", "other"}
)
_GLUED = _VALUES | {"assign"}
_ENDS = frozenset({"line", "stop", "pipe", "close"})
_KEYWORDS = frozenset({"if", "elseif", "while", "foreach", "for", "switch", "return", "else", "try", "catch", "finally", "do", "until", "function", "filter", "param", "in", "trap", "throw", "begin", "process", "end"})  # fmt: skip


@dataclass
class Walk:
    """One pass over the tokens. What is nested too deep is read for itself, apart from what is around it."""

    script: Script
    tokens: list[Token]
    at: int = 0
    depth: int = 0
    postponed: list[tuple[int, int]] = field(default_factory=list)

    def read(self) -> None:
        """Read all statements."""
        self.postponed = [(0, len(self.tokens))]
        while self.postponed:
            self.at, end = self.postponed.pop()
            self.depth = 0
            self._statements(end)

    def _statements(self, end: int) -> Word:
        """Statements up to the token number ``end``; the result is what the last one writes."""
        result = Word("")
        while self.at < end:
            token = self.tokens[self.at]
            if token.kind in _ENDS or token.kind in {"comma", "assign"}:
                self.at += 1
                continue
            written = self._pipeline(end)
            if written.text or written.labels:
                result = Word(written.text, join(result.labels, written.labels), written.built, written.items)
        return result

    def _pipeline(self, end: int) -> Word:
        stream = Word("")
        first = True
        while self.at < end:
            stream = self._element(end, stream, first)
            first = False
            if self.at < end and self.tokens[self.at].kind == "pipe":
                self.at += 1
                while self.at < end and self.tokens[self.at].kind == "line":
                    self.at += 1
                continue
            break
        return stream

    def _element(self, end: int, stdin: Word, first: bool) -> Word:
        while self.at + 1 < end and self.tokens[self.at].kind == "word" and self.tokens[self.at + 1].kind == "assign":
            # The key of a table: its value may be a command.
            self.at += 2
        if self.at >= end:
            return Word("")
        token = self.tokens[self.at]
        if token.kind == "word" and token.text.lower() in _KEYWORDS:
            self.at += 1
            return Word("")
        if token.kind == "variable" and first and self._assigns(end):
            return Word("")
        if token.kind == "call" or (token.kind == "member" and token.text == "." and self._next_spaced()):
            self.at += 1
            return self._command(end, stdin, called=True)
        path = token.kind == "member" and self.at + 1 < end and self.tokens[self.at + 1].text[0] in "\\/"
        if token.text[0].isdigit():
            return self._expression(end)
        if path or token.kind in {"word", "option"} or (token.kind == "open" and token.text == "{"):
            if token.kind == "open":
                return self._group(token)
            return self._command(end, stdin, called=False)
        value = self._expression(end)
        if self.at < end and self.tokens[self.at].kind == "redirect":
            self._redirect(end, value)
        return value

    def _next_spaced(self) -> bool:
        return self.at + 1 < len(self.tokens) and self.tokens[self.at + 1].spaced

    def _assigns(self, end: int) -> bool:
        """Whether assignments stand here; they are read then: ``$a = $b = value``."""
        targets: list[tuple[str, bool]] = []
        while (
            self.at + 1 < end and self.tokens[self.at].kind == "variable" and self.tokens[self.at + 1].kind == "assign"
        ):
            targets.append(
                (self.tokens[self.at].text.lstrip("$@").strip("{}").lower(), self.tokens[self.at + 1].text == "+=")
            )
            self.at += 2
        if not targets:
            return False
        value = self._pipeline(end) if self.at < end else Word("")
        for name, adds in targets:
            before = self.script.variables.get(name)
            if adds and before is not None:
                value = Word(before.text + value.text, join(before.labels, value.labels), True)
            value = self.script.variables[name] = self.script.within_budget(value)
        return True

    def _command(self, end: int, stdin: Word, *, called: bool) -> Word:
        """A command with its arguments."""
        start = self.at
        if self.at >= end:
            return Word("")
        name = self._argument(end, opens=called)
        arguments: list[Word] = []
        while self.at < end and self.tokens[self.at].kind not in _ENDS:
            token = self.tokens[self.at]
            if token.kind == "redirect":
                break
            if token.kind == "comma":
                self.at += 1
                continue
            if token.kind == "call":
                self.at += 1
                break
            arguments.append(self._argument(end))
        last = self.tokens[max(start, self.at - 1)]
        span = self.tokens[start].start, last.end
        written = run(self.script, Call(name, arguments, stdin, span, called))
        if self.at < end and self.tokens[self.at].kind == "redirect":
            self._redirect(end, written)
            return Word("")
        return written

    def _redirect(self, end: int, content: Word) -> None:
        token = self.tokens[self.at]
        self.at += 1
        if "&" in token.text or token.text[0] in "2345" or self.at >= end:
            if "&" not in token.text and self.at < end:
                self._argument(end)
            return
        path = self._argument(end)
        if path.text.lower() not in {"$null", "nul"}:
            self.script.write(path.text, content, (token.start, token.end))

    def _argument(self, end: int, *, opens: bool = True) -> Word:
        """One argument: everything up to the next blank, or up to a bracket where it does not ``opens``."""
        value = self._operand(end)
        while self.at < end and not self.tokens[self.at].spaced and self.tokens[self.at].kind in _GLUED:
            if self.tokens[self.at].kind == "open" and not opens:
                break
            more = self._operand(end, glued=True)
            value = Word(value.text + more.text, join(value.labels, more.labels), value.built or more.built)
        return self.script.within_budget(value)

    def _expression(self, end: int) -> Word:
        """Terms joined by ``-f``, ``-join``, ``-replace`` and other operators."""
        value = self._terms(end)
        while self.at < end and self.tokens[self.at].kind == "option":
            operator = self.tokens[self.at].text.lower()
            self.at += 1
            follows = self.at < end and self.tokens[self.at].kind not in _ENDS | {"option", "redirect"}
            value = self.script.within_budget(format_text(operator, value, self._terms(end) if follows else Word("")))
        return value

    def _terms(self, end: int) -> Word:
        """Operands that are added up; commas make a list."""
        items = [self._operand(end)]
        while self.at < end:
            kind = self.tokens[self.at].kind
            if kind == "plus" and self.at + 1 < end:
                self.at += 1
                left, right = items[-1], self._operand(end)
                items[-1] = self.script.within_budget(
                    Word(left.text + right.text, join(left.labels, right.labels), True)
                )
            elif kind in {"comma", "plus"}:
                self.at += 1
                if self.at < end and self.tokens[self.at].kind not in _ENDS:
                    items.append(self._operand(end))
            elif kind in _VALUES and kind != "option":
                items.append(self._operand(end))
            else:
                break
        return self.script.within_budget(items[0] if len(items) == 1 else _listed(items))

    def _operand(self, end: int, *, glued: bool = False) -> Word:
        """One value with what is called on it."""
        token = self.tokens[self.at]
        self.at += 1
        span = token.start, token.end
        value: Word
        if token.kind in {"single", "double", "here"}:
            value = unquote(token.text) if token.kind != "double" else interpolate(self.script, token.text)
        elif token.kind == "variable":
            value = variable(self.script, token.text, span)
        elif token.kind == "type" and token.text.endswith("::"):
            value = self._static(end, token)
        elif token.kind == "type":
            return self._cast(end, token)
        elif token.kind == "open":
            self.at -= 1
            value = self._group(token)
        else:
            plain = token.text.replace("`", "")
            return Word(plain, built=plain != token.text and plain.isascii())
        if glued and token.kind != "variable":
            return value
        while self.at < end and not self.tokens[self.at].spaced:
            following = self.tokens[self.at]
            if (
                following.kind == "member"
                and self.at + 1 < end
                and self.tokens[self.at + 1].kind in {"word", "single", "double", "variable"}
            ):
                method = self.tokens[self.at + 1].text.strip("'\"").replace("`", "")
                self.at += 2
                given = self._arguments_of(end)
                value = self.script.within_budget(
                    call_member(self.script, value, method, given, (token.start, self.tokens[self.at - 1].end))
                )
            elif following.kind == "open" and following.text == "[":
                index = self._group(following)
                number = index.text if index.text.lstrip("-").isdigit() else ""
                value = (
                    value.items[int(number)]
                    if number and -len(value.items) <= int(number) < len(value.items)
                    else Word(value.text if not value.items else "", value.labels)
                )
            else:
                break
        return value

    def _cast(self, end: int, token: Token) -> Word:
        """``[char]99``; of several types in a row the last one counts."""
        while self.at < end and self.tokens[self.at].kind == "type" and not self.tokens[self.at].text.endswith("::"):
            token = self.tokens[self.at]
            self.at += 1
        if self.at >= end or self.tokens[self.at].kind not in _VALUES:
            return Word("")
        return cast(token.text, self._operand(end))

    def _static(self, end: int, token: Token) -> Word:
        """``[Type]::Member`` and ``[Type]::Method(…)``."""
        name = ""
        if self.at < end and self.tokens[self.at].kind in {"word", "single", "double"}:
            name = self.tokens[self.at].text.strip("'\"").replace("`", "")
            self.at += 1
        # `UTF8.GetString` is one word to the tokens.
        name, *rest = name.split(".")
        given = self._arguments_of(end)
        span = token.start, self.tokens[self.at - 1].end
        if rest:
            return call_member(
                self.script, static_member(self.script, token.text, name, None, span), rest[-1], given, span
            )
        return static_member(self.script, token.text, name, given, span)

    def _arguments_of(self, end: int) -> list[Word] | None:
        """The arguments in brackets that follow, or None where none follow."""
        if self.at >= end or self.tokens[self.at].text != "(" or self.tokens[self.at].spaced:
            return None
        value = self._group(self.tokens[self.at])
        return list(value.items) or [value]

    def _group(self, token: Token) -> Word:
        """What stands in brackets."""
        inside, close = self.at + 1, min(token.mate, len(self.tokens))
        self.at = min(close + 1, len(self.tokens))
        after = self.at
        if self.depth >= MAX_DEPTH:
            self.postponed.append((inside, close))
            return Word("")
        self.depth += 1
        self.at = inside
        value = self._statements(close)
        self.at = after
        self.depth -= 1
        if token.text.endswith("{"):
            end = self.tokens[close].start if close < len(self.tokens) else len(self.script.text)
            code = self.script.text[token.end : end] if end - token.end <= 4_096 else ""
            return self.script.within_budget(Word(code, value.labels))
        return value


def _listed(items: list[Word]) -> Word:
    text = " ".join(item.text for item in items[:256])
    return Word(text, join(*(item.labels for item in items[:256])), items=tuple(items[:256]))
