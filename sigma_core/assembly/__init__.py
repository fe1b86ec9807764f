"""The assembly: two panels that cannot copy each other, drawn by a lottery that nobody can grind, and a replay for
everyone.

Start with `sigma_core.assembly.round`: it is the protocol from top to bottom. Each step has a module of its own:

- `beacon`, `drand`: the value that did not exist when the package was submitted
- `population`, `weights`, `merkle`: who can be drawn, with which weight, under which published root
- `selection`: seed, tickets, panels and their relaxations
- `commit_reveal`: sealed votes
- `consensus`: votes and facts to an outcome
- `independence`: what the votes are worth together
- `replay_document`, `replay`: the public record and its recomputation
- `transcript`: how fields become one hash

Everything in here is pure: no database, no clock, no network. Storage is the caller's.
"""
