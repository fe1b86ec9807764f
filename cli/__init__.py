"""``sigma``: the command line over the deployment; every command speaks JSON with ``--json``."""
