"""The HTTP surface: one ASGI application for each plane, wired by `sigma_api.app`. Knows the core; never the orchestrator."""
