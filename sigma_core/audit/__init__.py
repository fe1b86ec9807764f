"""Audit models: the engines that validators run, and the code that holds their answers against the bytes."""
