"""Validators' plugins: third-party hypotheses that a seat's prompt may carry, as escaped XML, counted and logged.

`surfaces` says which plugin goes where, `injection` builds the XML, `augmentation` is the older and separate way in which a
validator's skills reach its prompt. Plugins advise; no verdict rule reads them.
"""
