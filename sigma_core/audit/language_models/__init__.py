"""Language-model families behind `AuditModel`: an OpenAI-compatible or Anthropic API asked for one closed answer.

What stands here, in the order in which one seat's audit runs:

======================  ==================================================================================
`families`              which families this deployment can ask, and why not the others
`packing`               the package as marked text, in one prompt or several, nothing left out
`prompt`                rules, package, facts, plugins, task: the bytes that a model is shown
`dialects`              those as a provider's request, and the provider's response as ours
`faults`                what went wrong, in words to act on, and the key taken out of what came back
`outcomes`              what a response means for its call: an answer, another try, or the end of it
`caller`                attempts: limits, retries, breaker, hedging, deadlines, budget, one record each
`answer`                the closed schema, parsed strictly
`judge`                 one seat: prompts out, answers in, the riskiest one decides
======================  ==================================================================================

The boundary is in this code and in `sigma_core.audit.grounding`, not in the prompt: a model has no tools, can only fill
the schema, and whatever is out of order (a missing canary, another file list, a refusal) is an ABSTAIN.
Nothing here is imported unless a family has a key; only `transport` reaches out.
"""
