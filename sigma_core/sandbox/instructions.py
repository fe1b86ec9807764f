"""Instructions in prose, read as frames: who is to do what, to which thing, with which destination, how openly, and how often.

A *term* is a class of words (``send``, ``secret``, ``covert``); a *frame* of a rule is a set of terms that must stand together in one sentence or in a few that follow each
other, in any order. So a rule names the thing that is asked for, not one of the many ways to word it. Lines of a frame read
``send & secret & remote`` or ``(send|paste) & private & covert``; ``span`` is how many sentences it may reach over.

A term can have *exceptions*: an occurrence that one of them describes, from what stands before it and after it, is not meant ("tell the user" is no transfer). No one word
meets a verb and another term of a frame.

Every term is one RE2 search over the document's prose; everything after that works on bit sets, so the cost is linear in the text.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import re2

from sigma_core.sandbox.linear_pattern import MAX_MEMORY, linear_pattern
from sigma_core.sandbox.sentences import Sentence
from sigma_core.sandbox.use_or_mention import PLAIN_QUOTES, TOLD, prose_context

MAX_SPAN_CHARACTERS = 900
"""Sentences further apart than this are not one instruction."""
_MAX_OCCURRENCES = 2_000
"""Occurrences of one term that are looked at in one text; a text with more is a word list."""
ACTIONS = frozenset(
    {
        "send",
        "collect",
        "include",
        "run",
        "fetch",
        "install",
        "write",
        "delete",
        "disable",
        "alter",
        "prefer",
        "ask",
        "deny",
    }
)
"""Terms that are verbs. A frame is an instruction only where one of its verbs stands where an order stands."""
OTHER_VERBS = frozenset({"override", "obey", "paste"})
"""Terms that are verbs but not what a frame asks for first."""
MANNERS = frozenset({"authority", "covert", "unasked", "unaware", "disguised", "lasting", "beyond"})
"""Terms that say how a thing is to be done. They carry their own negations, so they are never a mention by themselves."""
SEVERAL = {"secret_files": ("secret_file", "hard_secret")}
"""Terms of sentences that hold two different matches of the terms named."""
HERE = "▸"
"""Marks in an exception's pattern where the occurrence begins."""
_MEMORY_PER_CHARACTER = 768
"""Bytes that the automaton of a term may keep for each character of its pattern: with fewer, the long ones start over so often that the slower search takes their place."""
_EXCEPTION_REACH = 80
"""Characters before an occurrence, and from its beginning on, that its exceptions see."""
UNSEEN = "unseen"
"""The term of sentences in comments and other places that a reader of the page does not see; it has no words of its own."""
_ORDER_POSITION = re2.compile(
    r"(?i)(?:^\W*(?:\d{1,3}[.)])?|[.!?:;,(|>—–→]|\s-\s|\b(?:and|or|then|also|always|must|should|shall|will|please|first|next|finally|lastly|now|just|simply|immediately|automatically|silently|quietly|"
    r"secretly|you|agent|assistant|claude|it|to|call|can|may|instead|additionally|afterwards?|before|after|that|step|need|needs|by|them|is|are|be|gets|being|agents?|assistants?))[\s*_`\"'#>]*$"
)
_CONDITION_FIRST = re2.compile(
    r"(?i)^[\s*_`\"'#>|\d.)(+-]*(?:after|before|when|whenever|whilst|while|at the|on|once|every|each|during|if|for|upon|as soon as|prior to|to|in order to|following|until)\b"
)
"""A sentence that opens with its condition puts its verb anywhere after it."""
_NEGATED_MANNER = re2.compile(
    r"(?i)\b(?:(?:never|not|don'?t|doesn'?t|won'?t|cannot|can'?t|isn'?t|rather than|instead of|must not|avoid|no|should|could|may|might|would|can|will)\s+(?:be\s+|have\s+)?"
    r"|(?:never|do not|don'?t|must not|avoid)\s+(?:[\w/-]+\s+){1,3})$"
)
_TOLD_TO_ACT = re2.compile(r"(?i)^\W{0,2}\s*to\s+\W?[a-z]")
"""After "never tell the user": what they are not to be asked to do is nothing that is kept from them."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a rule: each mask must share a bit with what the sentences hold."""

    rule_id: str
    masks: tuple[int, ...]
    span: int


@dataclass(frozen=True, slots=True)
class Instruction:
    """A frame that was met: character range in the layer, the words, ``use``, ``mention`` or ``told``, the destinations named in it, and, where the frame
    asks for one, those that words of it are ``linked`` to."""

    rule_id: str
    start: int
    end: int
    text: str
    context: str
    remotes: tuple[str, ...]
    linked: tuple[str, ...]


class FrameError(ValueError):
    """A frame line that names an unknown term or breaks the form."""


class FrameBook:
    """All terms and frames, compiled."""

    def __init__(
        self,
        terms: Mapping[str, str],
        frames: Iterable[tuple[str, str, int]],
        exceptions: Mapping[str, str] | None = None,
    ) -> None:
        """``terms`` maps names to RE2 patterns; ``frames`` are ``(rule id, line, span)``; ``exceptions`` maps names of terms to patterns in which `HERE` stands where the
        occurrence begins. Raises FrameError."""
        self.names = tuple(sorted(terms))
        self._bits = {name: 1 << at for at, name in enumerate((*self.names, UNSEEN, *SEVERAL))}
        self._searches = tuple(
            linear_pattern("(?i)" + terms[name], max(MAX_MEMORY, _MEMORY_PER_CHARACTER * len(terms[name])))
            for name in self.names
        )
        unknown = sorted(set(exceptions or {}) - set(terms))
        if unknown:
            raise FrameError(f"exceptions are given for the unknown term {unknown[0]!r}")
        self._exceptions = {
            self._bits[name]: linear_pattern("(?i)" + pattern) for name, pattern in (exceptions or {}).items()
        }
        all_frames = tuple(self._frame(*frame) for frame in frames)
        longest = max((frame.span for frame in all_frames), default=1)
        self._frames = tuple(tuple(frame for frame in all_frames if frame.span > reach) for reach in range(longest))
        self._manners = _union(self._bits[name] for name in MANNERS & set(terms))
        self._actions = _union(self._bits[name] for name in ACTIONS & set(terms))
        self._verbs = _union(self._bits[name] for name in (ACTIONS | OTHER_VERBS) & set(terms))

    def _frame(self, rule_id: str, line: str, span: int) -> Frame:
        masks = []
        for part in line.split("&"):
            names = part.strip().strip("()").split("|")
            unknown = [name for name in names if name not in self._bits]
            if unknown:
                raise FrameError(f"rule {rule_id}: frame {line!r} names the unknown term {unknown[0]!r}")
            masks.append(sum(self._bits[name] for name in names))
        return Frame(rule_id, tuple(masks), span)

    def read(self, sentences: Sequence[Sentence]) -> Iterator[Instruction]:
        """Every frame met in ``sentences``, once per rule and place, in order of place."""
        if not sentences:
            return
        sentences = _plain(sentences)
        view = "\n".join(sentence.text for sentence in sentences)
        starts = _starts(sentences)
        held, places = self._occurrences(sentences, view, starts)
        done: set[tuple[str, int]] = set()
        for at in range(len(sentences)):
            if not held[at]:
                continue
            seen, last = 0, at
            for reach, frames in enumerate(self._frames):
                last = at + reach
                if last >= len(sentences) or starts[last] - starts[at] > MAX_SPAN_CHARACTERS:
                    break
                if reach and sentences[last].apart:
                    break
                before, seen = seen, seen | held[last]
                if reach and before == seen:
                    continue
                for frame in frames:
                    if not all(seen & mask for mask in frame.masks) or (frame.rule_id, at) in done:
                        continue
                    if self._one_word(frame, at, last, view, places):
                        continue
                    if reach and not self._together(frame, held[at : last + 1]):
                        continue
                    if (frame.rule_id, last) in done:
                        continue
                    if not self._ordered(frame, at, last, view, starts, places):
                        continue
                    done |= {(frame.rule_id, place) for place in range(at, last + 1)}
                    yield self._instruction(frame, sentences, at, last, view, starts, places)

    def terms_of(self, sentences: Sequence[Sentence]) -> list[frozenset[str]]:
        """The names of the terms that each sentence holds."""
        if not sentences:
            return []
        view = "\n".join(sentence.text for sentence in sentences)
        held, _ = self._occurrences(sentences, view, _starts(sentences))
        names = tuple(self._bits)
        return [frozenset(name for at, name in enumerate(names) if bits >> at & 1) for bits in held]

    def _occurrences(
        self, sentences: Sequence[Sentence], view: str, starts: Sequence[int]
    ) -> tuple[list[int], dict[tuple[int, int], list[tuple[int, int]]]]:
        """The terms that each sentence holds as bits, and where they stand in ``view``: a few places for each."""
        unseen = self._bits[UNSEEN]
        held = [unseen if sentence.unseen else 0 for sentence in sentences]
        places: dict[tuple[int, int], list[tuple[int, int]]] = {}
        # RE2 works on bytes: where they are the characters, nothing has to be translated back.
        subject = view.encode() if view.isascii() else view
        for name, search in zip(self.names, self._searches, strict=True):
            bit = self._bits[name]
            exception = self._exceptions.get(bit)
            for count, match in enumerate(search.finditer(subject)):
                if count >= _MAX_OCCURRENCES:
                    break
                spot = match.span() if exception is None else _meant(search, exception, view, *match.span())
                if spot is None:
                    continue
                start, end = spot
                if bit & self._manners and (
                    _NEGATED_MANNER.search(view[max(0, start - 40) : start])
                    or ("tell" in view[start:end].lower() and _TOLD_TO_ACT.search(view[end : end + 8]))
                ):
                    continue
                at = bisect_right(starts, start) - 1
                held[at] |= bit
                spots = places.setdefault((at, bit), [])
                if len(spots) < 4:
                    spots.append(spot)
        for several, names in SEVERAL.items():
            for at in range(len(sentences)):
                spots = sorted({spot for name in names for spot in places.get((at, self._bits.get(name, 0)), ())})
                if (
                    len({view[start:end].lower().strip("~/` ") for start, end in spots}) > 1
                    and spots[0][1] <= spots[-1][0]
                ):
                    held[at] |= self._bits[several]
                    places[(at, self._bits[several])] = spots[:4]
        return held, places

    def _together(self, frame: Frame, held: Sequence[int]) -> bool:
        """Whether several sentences are one instruction: its first two terms share a sentence, both ends add to it, and what is unseen is unseen throughout."""
        if self._bits[UNSEEN] & frame.masks[0]:
            return all(bits & self._bits[UNSEEN] for bits in held)
        core = frame.masks[:2]
        if not core[1] & ~self._manners:
            core = core[:1]
        inner = 0
        for bits in held[1:]:
            inner |= bits
        head = 0
        for bits in held[:-1]:
            head |= bits
        return (
            any(all(bits & mask for mask in core) for bits in held)
            and not all(inner & mask for mask in frame.masks)
            and not all(head & mask for mask in frame.masks)
        )

    def _one_word(
        self, frame: Frame, first: int, last: int, view: str, places: Mapping[tuple[int, int], list[tuple[int, int]]]
    ) -> bool:
        """Whether one word alone meets two terms of the frame, one of them a verb: "e-mail them" names no e-mail. A manner holds its verb, and compounds of other scripts
        hold several words."""
        met = [
            (
                bool(mask & self._verbs),
                {spot for at in range(first, last + 1) for bit in _bits_of(mask) for spot in places.get((at, bit), ())},
            )
            for mask in frame.masks
            if not mask & self._manners
        ]
        for number, (verb, one) in enumerate(met):
            for other_verb, other in met[:number]:
                begun = {start for start, _ in one | other}
                plain = all(view[start:end].isascii() for start, end in one | other)
                if (verb or other_verb) and one and other and len(begun) == 1 and plain:
                    return True
        return False

    def _ordered(
        self,
        frame: Frame,
        first: int,
        last: int,
        view: str,
        starts: Sequence[int],
        places: Mapping[tuple[int, int], list[tuple[int, int]]],
    ) -> bool:
        """Whether the frame's main verb stands where an order stands: at the head of a clause, or after "then", "must", "you" and the like."""
        main = next((mask for mask in frame.masks if mask & self._actions), 0)
        if not main:
            return True
        for at in range(first, last + 1):
            for bit in _bits_of(main):
                for start, end in places.get((at, bit), ()):
                    if not bit & self._actions or not view[start:end].isascii():
                        return True
                    before = view[max(starts[at], start - 160) : start]
                    if _ORDER_POSITION.search(before[-40:]) or _CONDITION_FIRST.search(before):
                        return True
        return False

    def _instruction(
        self,
        frame: Frame,
        sentences: Sequence[Sentence],
        first: int,
        last: int,
        view: str,
        starts: Sequence[int],
        places: Mapping[tuple[int, int], list[tuple[int, int]]],
    ) -> Instruction:
        context = "use"
        memory = self._bits.get("memory", 0)
        # What is quoted beside a memory or rule file is what is to stand there.
        quoted = not any((at, memory) in places for at in range(first, last + 1))
        for mask in frame.masks:
            if not mask & ~self._manners & ~self._bits[UNSEEN]:
                continue
            spots = [
                (spot, sentences[at])
                for at in range(first, last + 1)
                for bit in _bits_of(mask)
                for spot in places.get((at, bit), ())
            ]
            contexts = {
                # A path or address in backticks is meant, not shown; in what nobody sees, nothing is shown.
                prose_context(
                    view,
                    *spot,
                    sentence.cautionary,
                    quotes=PLAIN_QUOTES if quoted and not sentence.unseen else "",
                )
                for spot, sentence in spots
            }
            if contexts <= {"mention"}:
                context = "mention"
                break
            if "use" not in contexts:
                context = TOLD
        remote, bare = self._bits.get("remote", 0), self._bits.get("any_host", 0)
        named = [spot for at in range(first, last + 1) for spot in places.get((at, remote), ())]
        if not named and any(mask & bare for mask in frame.masks):
            named = [spot for at in range(first, last + 1) for spot in places.get((at, bare), ())]
        # The target of a link is where words are explained, not where something goes. It matters to a frame that asks for a destination.
        linked = [(start, end) for start, end in named if view.endswith("](", 0, start)]
        explains = linked if any(mask & remote and not mask & ~(remote | bare) for mask in frame.masks) else []
        end = starts[last] + len(sentences[last].text)
        return Instruction(
            frame.rule_id,
            sentences[first].start,
            sentences[last].end,
            view[starts[first] : end].replace("\n", " "),
            context,
            tuple(view[start:end] for start, end in named if (start, end) not in linked),
            tuple(view[start:end] for start, end in explains),
        )


def _meant(search: Any, exception: Any, view: str, start: int, end: int) -> tuple[int, int] | None:
    """The occurrence ``start:end`` of a term, or the first that begins within its words and that no exception describes: what is excepted covers nothing else."""
    while exception.search(_surroundings(view, start)):
        end = min(end, start + _EXCEPTION_REACH)
        again = search.search(view[start : end + _EXCEPTION_REACH], 1)
        if again is None or start + again.start() >= end:
            return None
        start, end = start + again.start(), start + again.end()
    return start, end


def _surroundings(view: str, start: int) -> str:
    """What an exception sees: the sentence before the occurrence, `HERE`, and the sentence from the occurrence on; an ellipsis where there is more of it."""
    before = view[max(0, start - _EXCEPTION_REACH) : start]
    after = view[start : start + _EXCEPTION_REACH]
    head, tail = before.rpartition("\n")[2], after.partition("\n")[0]
    more_before = head == before and start > _EXCEPTION_REACH
    more_after = tail == after and start + _EXCEPTION_REACH < len(view)
    return ("…" if more_before else "") + head + HERE + tail + ("…" if more_after else "")


def _plain(sentences: Sequence[Sentence]) -> list[Sentence]:
    """The sentences without the marks of strong emphasis, which stand between words that belong together."""
    return [
        replace(sentence, text=sentence.text.replace("**", "")) if "**" in sentence.text else sentence
        for sentence in sentences
    ]


def _starts(sentences: Sequence[Sentence]) -> list[int]:
    """Where each sentence begins in the view: all of them, a line each."""
    starts = [0]
    for sentence in sentences[:-1]:
        starts.append(starts[-1] + len(sentence.text) + 1)
    return starts


def _union(masks: Iterable[int]) -> int:
    union = 0
    for mask in masks:
        union |= mask
    return union


def _bits_of(mask: int) -> Iterator[int]:
    while mask:
        bit = mask & -mask
        yield bit
        mask ^= bit
