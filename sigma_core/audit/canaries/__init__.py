"""Canaries: packages and files whose truth we know, shown to validators who do not.

- `bank`: the texts and how a seed makes a package or file of them. Knows no label.
- `labels`: what each text is. Nothing that makes a prompt or an engine's request may import it (import-linter checks).
- `planting`: which seat gets a file planted into its view, and what its answer says.

``packages/`` and ``files/`` hold the texts under names that tell nothing, ``labels.json`` the truth about them.
"""
