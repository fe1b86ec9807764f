"""Benchmarks: each module with a ``main()`` prints one table of figures. Run them with ``./sigma bench [NAME]``."""
