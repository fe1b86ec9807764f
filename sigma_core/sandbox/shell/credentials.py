"""Commands that print secrets: keychains, password stores, key rings, command-line clients that hand out their tokens."""

from __future__ import annotations

from collections.abc import Callable

from sigma_core.sandbox.observations import Ability, Source
from sigma_core.sandbox.shell.script import Script
from sigma_core.sandbox.shell.values import Call, Stream

# Command, then the beginnings of its operands, then the variable that the secret would stand in.
_TOKENS: dict[str, tuple[tuple[tuple[str, ...], str], ...]] = {
    "gh": ((("auth", "token"), "GITHUB_TOKEN"),),
    "gcloud": ((("auth", "print-access-token"), "GOOGLE_ACCESS_TOKEN"), (("auth", "print-identity-token"), "GOOGLE_ACCESS_TOKEN")),
    "az": ((("account", "get-access-token"), "AZURE_ACCESS_TOKEN"),),
    "aws": ((("configure", "get"), "AWS_SECRET_ACCESS_KEY"), (("secretsmanager", "get-secret-value"), "AWS_SECRET_ACCESS_KEY"), (("configure", "export-credentials"), "AWS_SECRET_ACCESS_KEY"), (("sts", "get-session-token"), "AWS_SESSION_TOKEN"), (("sts", "assume-role"), "AWS_SESSION_TOKEN"), (("ecr", "get-login-password"), "AWS_SESSION_TOKEN")),
    "kubectl": ((("get", "secret"), "KUBERNETES_SECRET"), (("get", "secrets"), "KUBERNETES_SECRET")),
    "op": ((("read",), "ONEPASSWORD_SECRET"), (("item", "get"), "ONEPASSWORD_SECRET")),
    "bw": ((("get", "password"), "BITWARDEN_PASSWORD"), (("list", "items"), "BITWARDEN_PASSWORD")),
    "vault": ((("kv", "get"), "VAULT_SECRET"), (("read",), "VAULT_SECRET")),
    "doppler": ((("secrets",), "DOPPLER_SECRET"),),
    "heroku": ((("auth:token",), "HEROKU_TOKEN"),),
    "npm": ((("token", "list"), "NPM_TOKEN"), (("config", "get", "//registry.npmjs.org/:_authToken"), "NPM_TOKEN")),
    "doctl": ((("auth", "token"), "DIGITALOCEAN_TOKEN"),),
    "firebase": ((("login:ci",), "FIREBASE_TOKEN"),),
    "flyctl": ((("auth", "token"), "FLY_TOKEN"),),
    "fly": ((("auth", "token"), "FLY_TOKEN"),),
    "glab": ((("auth", "status"), "GITLAB_TOKEN"),),
    "docker": ((("secret", "inspect"), "DOCKER_SECRET"),),
}  # fmt: skip
_STORES: dict[str, tuple[tuple[str, ...], str]] = {
    "security": (("find-", "dump-"), "keychain"),
    "secret-tool": (("lookup", "search"), "keyring"),
    "pass": (("show",), ".password-store"),
    "gopass": (("show",), ".password-store"),
    "gpg": (("--export-secret-keys", "--export-secret-subkeys"), ".gnupg"),
    "kwallet-query": (("-r",), "keyring"),
}


def _store(script: Script, call: Call) -> Stream | None:
    wanted, what = _STORES[call.name]
    if not any(text.startswith(wanted) for text in call.texts):
        return None
    script.can(Ability.SECRET_READ, what, call.node)
    return Stream(frozenset({(Source.SECRET_FILE, what)}))


def token(script: Script, call: Call) -> Stream | None:
    """What a client's own command hands out, as the variable that would hold it."""
    for words, variable in _TOKENS.get(call.name, ()):
        if tuple(call.operands[: len(words)]) == words:
            script.can(Ability.PROCESS, call.name, call.node)
            return Stream(frozenset({(Source.SECRET_VARIABLE, variable)}))
    return None


CREDENTIALS: dict[str, Callable[[Script, Call], Stream | None]] = {
    **dict.fromkeys(_TOKENS, token),
    **dict.fromkeys(_STORES, _store),
}
