"""The sandbox: pure functions from the bytes of a package to facts about it. Nothing in a package is ever run."""
