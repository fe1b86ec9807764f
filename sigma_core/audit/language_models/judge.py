"""One seat's audit by a language model: prompts out, answers in, and the riskiest part of the package decides.

Whatever is out of order is an ABSTAIN with its reason: no answer in time, a refusal, an empty or over-long answer, one that
breaks the schema twice, reads other files than it was shown, misses the canary, or says SAFE although it saw an attack on
itself. The judge sees the package, the facts and its own plugins, never another judge's words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sigma_core.audit.language_models.answer import Answer, AnswerMalformed, as_in_the_file, parse_answer
from sigma_core.audit.language_models.attempts import SIGNS_PER_TOKEN, Call
from sigma_core.audit.language_models.caller import Caller, Settled
from sigma_core.audit.language_models.dialects import request_body
from sigma_core.audit.language_models.families import PROVIDERS, SeatPlace
from sigma_core.audit.language_models.packing import Chunk, pack, uncovered
from sigma_core.audit.language_models.prompt import PROMPT_REVISION, Prompt, audit_prompt, canary, reduce_prompt
from sigma_core.audit.model import AuditRequest, AuditResult, Finding, Verdict
from sigma_core.policy import PPM, AuditRules, LanguageModelRules, Rung


@dataclass(frozen=True, slots=True)
class _Part:
    """What became of one prompt: an answer that can be believed, or why there is none; ``unanswered`` where the model said nothing at
    all."""

    answer: Answer | None
    flaw: str = ""
    unanswered: bool = False


class Judge:
    """An `AuditModel` for one seat. ``advice`` is the XML of the validator's plugins, or empty."""

    def __init__(
        self,
        rung: Rung,
        rules: LanguageModelRules,
        audit_rules: AuditRules,
        caller: Caller,
        place: SeatPlace,
        advice: str = "",
    ) -> None:
        self._rung = rung
        self._rules = rules
        self._audit_rules = audit_rules
        self._caller = caller
        self._place = place
        self._advice = advice
        self.unanswered = ""
        """Why the model said nothing in the last audit, to this prompt or that; empty where it answered, whatever its answer is worth."""

    @property
    def family(self) -> str:
        """The ladder's family."""
        return self._rung.family

    @property
    def revision(self) -> str:
        """Provider, model and prompt revision."""
        return f"{self._rung.provider}/{self._rung.model}#{PROMPT_REVISION}"

    def audit(self, request: AuditRequest) -> AuditResult:
        """Ask about every part of the package at once, then about minor findings together where there were several parts.

        Raises only what the ledger raises (Unavailable).
        """
        self.unanswered = ""
        chunks = pack(request.package, self._rules.chunk_characters, self._rules.overlap_lines)
        if len(chunks) > self._rules.max_chunks:
            return self._abstained(
                request, f"the package takes {len(chunks)} prompts, more than {self._rules.max_chunks}"
            )
        if unread := uncovered(request.package, chunks):
            return self._abstained(request, f"{unread[0][:200]} was not packed whole")
        prompts = [self._prompt(request, chunk, number, len(chunks)) for number, chunk in enumerate(chunks, start=1)]
        parts = self._answers(prompts, "audit" if len(prompts) == 1 else "chunk")
        findings = self._findings(request, parts)
        for part in parts:
            if part.answer is None:
                return self._abstained(request, part.flaw, findings)
        answers = [part.answer for part in parts if part.answer is not None]
        if len(chunks) > 1 and findings and all(answer.verdict is Verdict.SAFE for answer in answers):
            reduced = self._reduced(request, findings)
            if reduced.answer is None:
                return self._abstained(request, reduced.flaw, findings)
            answers.append(reduced.answer)
        return self._result(request, answers, findings)

    def _prompt(self, request: AuditRequest, chunk: Chunk, number: int, count: int) -> Prompt:
        place = self._place
        return audit_prompt(
            request,
            chunk,
            (number, count),
            seed=place.seed,
            echo=canary(place.seed, place.validator_id, place.phase, number),
            advice=self._advice,
            max_facts=self._rules.max_facts,
        )

    def _reduced(self, request: AuditRequest, findings: Sequence[Finding]) -> _Part:
        """Whether findings of several parts, none of which was UNSAFE alone, are so together. It can only raise the verdict."""
        place = self._place
        echo = canary(place.seed, place.validator_id, place.phase, 0)
        prompt = reduce_prompt(request, findings, seed=place.seed, echo=echo, max_facts=self._rules.max_facts)
        part = self._answers([prompt], "reduce")[0]
        if part.answer is None or part.answer.verdict is not Verdict.UNSAFE:
            return part
        known = {(finding.file, finding.line_start, finding.quote) for finding in findings}
        repeated = [as_in_the_file(finding, request.package, self._audit_rules) for finding in part.answer.findings]
        if any((finding.file, finding.line_start, finding.quote) in known for finding in repeated):
            return part
        return _Part(None, "UNSAFE together, without one of the findings that it was asked about")

    def _answers(self, prompts: Sequence[Prompt], purpose: str) -> list[_Part]:
        """One part for each prompt. What breaks the schema is asked for once more, where the policy allows it."""
        calls = [self._call(prompt, f"{purpose}{number}", purpose) for number, prompt in enumerate(prompts, start=1)]
        parts = [_part(settled, prompt) for settled, prompt in zip(self._caller.ask_all(calls), prompts, strict=True)]
        broken = [number for number, part in enumerate(parts) if isinstance(part, AnswerMalformed)]
        if broken and self._rules.repairs:
            repaired = [prompts[number].repaired(str(parts[number])) for number in broken]
            again = [
                self._call(prompt, f"{purpose}{number + 1}r", "repair")
                for number, prompt in zip(broken, repaired, strict=True)
            ]
            for number, prompt, settled in zip(broken, repaired, self._caller.ask_all(again), strict=True):
                parts[number] = _part(settled, prompt)
        done = [
            part if isinstance(part, _Part) else _Part(None, f"the answer breaks the schema: {part}") for part in parts
        ]
        self.unanswered = self.unanswered or next((part.flaw for part in done if part.unanswered), "")
        return done

    def _call(self, prompt: Prompt, name: str, purpose: str) -> Call:
        place, rung = self._place, self._rung
        provider = PROVIDERS[rung.provider]
        body = request_body(provider, rung.model, prompt, self._rules.max_output_tokens)
        return Call(
            key=f"{place.round_id}/{place.phase}/{place.number}/{place.validator_id}/{'planted-' if place.planted else ''}{name}",
            round_id=place.round_id,
            submission_id=place.submission_id,
            phase=place.phase,
            validator_id=place.validator_id,
            purpose="canary" if place.planted else purpose,
            provider=rung.provider,
            model=rung.model,
            body=body,
            tokens_in=len(body) // SIGNS_PER_TOKEN + 1,
            tokens_out=self._rules.max_output_tokens,
            local=provider.local,
        )

    def _findings(self, request: AuditRequest, parts: Sequence[_Part]) -> tuple[Finding, ...]:
        """Every finding, as the files have it, each once; `grounding` throws out what stands nowhere."""
        found: dict[tuple[str, str, int, str], Finding] = {}
        for part in parts:
            for finding in part.answer.findings if part.answer is not None else ():
                plain = as_in_the_file(finding, request.package, self._audit_rules)
                found.setdefault((plain.category, plain.file, plain.line_start, plain.quote), plain)
        return tuple(found.values())

    def _result(self, request: AuditRequest, answers: Sequence[Answer], findings: tuple[Finding, ...]) -> AuditResult:
        verdicts = {answer.verdict for answer in answers}
        verdict = next(each for each in (Verdict.UNSAFE, Verdict.ABSTAIN, Verdict.SAFE) if each in verdicts)
        sure = [answer.confidence_ppm for answer in answers if answer.verdict is verdict]
        score = max(sure) if verdict is Verdict.UNSAFE else PPM - min(sure) if verdict is Verdict.SAFE else 0
        return AuditResult(
            verdict=verdict,
            findings=findings,
            files_reviewed=tuple(file.path for file in request.package.files),
            score_ppm=score,
            family=self.family,
            revision=self.revision,
            reason="the model abstained" if verdict is Verdict.ABSTAIN else "",
        )

    def _abstained(self, request: AuditRequest, reason: str, findings: tuple[Finding, ...] = ()) -> AuditResult:
        return AuditResult(
            verdict=Verdict.ABSTAIN,
            findings=findings,
            files_reviewed=tuple(file.path for file in request.package.files),
            score_ppm=0,
            family=self.family,
            revision=self.revision,
            reason=reason,
        )


def _part(settled: Settled, prompt: Prompt) -> _Part | AnswerMalformed:
    if settled.reply is None:
        return _Part(None, settled.fault, unanswered=True)
    if settled.reply.flaw:
        return _Part(None, settled.reply.flaw)
    try:
        answer = parse_answer(settled.reply.content)
    except AnswerMalformed as malformed:
        return malformed
    anomaly = answer.anomaly(prompt.files, prompt.canary)
    return _Part(None, anomaly) if anomaly else _Part(answer)
