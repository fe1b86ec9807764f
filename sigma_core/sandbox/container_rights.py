"""Containers that get the whole machine: services of a compose file or template that may do everything, from an image that no known registry publishes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import re2

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.configuration_listings import configuration_listings, may_hold_configuration
from sigma_core.sandbox.readings import Finding
from sigma_core.sandbox.text_places import TextPlaces
from sigma_core.sandbox.vocabulary import name_set
from sigma_core.sandbox.worded_pattern import WordedPattern
from sigma_core.sandbox.yaml_texts import MAX_DEPTH, MAX_NODES, YamlNode, yaml_documents

ENOUGH_RIGHTS = 2
"""Rights over the machine that a stranger's container must hold: one alone is a common need."""
MAX_SERVICES = 200
_MARKS = ("privileged", "docker.sock", "/:/", "network_mode", "cap_add", "pid:", "hostPath", "hostPID", "hostNetwork")
PUBLIC_REGISTRIES = name_set(
    "docker.io docker.com ghcr.io gcr.io pkg.dev quay.io mcr.microsoft.com azurecr.io public.ecr.aws amazonaws.com registry.k8s.io k8s.gcr.io nvcr.io registry.gitlab.com docker.elastic.co lscr.io cgr.dev "
    "docker.n8n.io registry.redhat.io registry.access.redhat.com container-registry.oracle.com registry.opensource.zalan.do registry.suse.com icr.io ocir.io docker.gitea.com codeberg.org docker.getoutline.com aliyuncs.com digitalocean.com"
)
"""Registries that vendors and projects publish in for everyone."""
_OWN = name_set("localhost example.com example.org local internal lan corp test example invalid")
_HOST_ROOT = re2.compile(r"^(?:/|/etc|/root|/home|/var/run/docker\.sock|/run/docker\.sock|/proc|/dev):")
_RUN = WordedPattern(r"\b(?:docker|podman|nerdctl)\s+(?:container\s+)?run\b((?:\\\n|[^\n`;|&]){1,600})")
_CLOUD_KEY = re2.compile(
    r"^(?:-e|--env=)?[\"']?(AWS_SECRET_ACCESS_KEY|AWS_SESSION_TOKEN|AZURE_CLIENT_SECRET|GOOGLE_APPLICATION_CREDENTIALS|GCP_\w{0,20}KEY|DIGITALOCEAN_\w{0,20}TOKEN|HCLOUD_TOKEN|CLOUDFLARE_API_\w{3,5})\b"
)
_HOMES = frozenset({"~", "~/", "$HOME", "${HOME}", "$HOME/"})
_CAPABILITIES = frozenset({"ALL", "SYS_ADMIN", "SYS_PTRACE", "SYS_MODULE", "DAC_READ_SEARCH"})


def judge_containers(place: TextPlaces) -> Iterator[Finding]:
    """A finding for each service of a stranger's image that holds at least `ENOUGH_RIGHTS` rights over the machine."""
    if not may_hold_configuration(place) or "image" not in place.text or not any(mark in place.text for mark in _MARKS):
        return
    for listing in configuration_listings(place):
        for name, service, of_pod in _services(listing.text):
            values = dict(service.parts)
            image = values["image"].text if "image" in values else None
            rights = sorted({*_rights(values), *of_pod})
            if image and is_strange_image(image) and len(rights) >= ENOUGH_RIGHTS:
                at = max(listing.text.find(image), 0) + listing.start
                subject = f"{name}: {image} ({', '.join(rights)})"
                yield place.at("SIGMA-SUPPLY-037", subject, at, at + len(image), listing.context)


def rights_of_command(words: Sequence[str]) -> list[str]:
    """The rights over the machine that the options of ``docker run`` give."""
    options = [f"{word}={following}" for word, following in pairwise([*words, ""])] + list(words)
    return sorted({right for option in options if (right := _right_of_option(option))})


def _right_of_option(option: str) -> str:
    if option == "--privileged" or option in {"--cap-add=ALL", "--cap-add=SYS_ADMIN"}:
        return option
    name, _, value = option.partition("=")
    if value == "host" and name in {"--pid", "--net", "--network", "--ipc", "--userns"}:
        return option
    if name in {"-v", "--volume", "--mount"}:
        place = value.removeprefix("type=bind,").partition("source=")[2].partition(",")[0] or value.partition(":")[0]
        if _HOST_ROOT.search(f"{place}:") or place in _HOMES or vocabulary.secret_file(place + "/"):
            return f"mounts {place}"
    return ""


def judge_container_commands(place: TextPlaces) -> Iterator[Finding]:
    """Findings of each ``docker run`` of a stranger's image with at least `ENOUGH_RIGHTS` rights over the machine, and of any image with one and a cloud's keys."""
    for count, match in enumerate(place.matches(_RUN)):
        if count >= MAX_SERVICES:
            return
        words = match[1].replace("\\\n", " ").split()
        image = next((word for word in words if is_strange_image(word)), "")
        rights = rights_of_command(words)
        keys = sorted({found[1] for word in words if (found := _CLOUD_KEY.search(word)) is not None})
        if rights and keys:
            subject = f"{', '.join(rights)} + {', '.join(keys)}"
            context = place.command_context(match.start())
            yield place.at("SIGMA-SUPPLY-044", subject, match.start(), match.end(), context)
        if not image:
            continue
        if len(rights) >= ENOUGH_RIGHTS:
            context = place.command_context(match.start())
            yield place.at("SIGMA-SUPPLY-037", f"{image} ({', '.join(rights)})", match.start(), match.end(), context)


def _services(text: str) -> Iterator[tuple[str, YamlNode, list[str]]]:
    """``(name, container, rights of its pod)`` of each service of a compose file and each container of a Kubernetes pod."""
    if "image" not in text:
        return
    opened = [(root, 0) for root in yaml_documents(text)]
    seen: set[int] = set()
    while opened and len(seen) < MAX_NODES:
        node, depth = opened.pop()
        if id(node) in seen or depth > MAX_DEPTH:
            continue
        seen.add(id(node))
        values = dict(node.parts)
        if "services" in values and depth == 0:
            yield from ((name, service, []) for name, service in values["services"].parts[:MAX_SERVICES])
        elif "containers" in values:
            of_pod = sorted(_rights_of_pod(values))
            for key in ("containers", "initContainers"):
                for _, part in values[key].parts[:MAX_SERVICES] if key in values else ():
                    yield _text(dict(part.parts), "name"), part, of_pod
        else:
            opened += [(part, depth + 1) for _, part in node.parts if part.text is None]


def _rights_of_pod(values: dict[str, YamlNode]) -> Iterator[str]:
    for key in ("hostPID", "hostNetwork", "hostIPC"):
        if _text(values, key).lower() == "true":
            yield key
    for _, volume in values["volumes"].parts if "volumes" in values else ():
        mounted = dict(volume.parts)
        path = _text(dict(mounted["hostPath"].parts), "path") if "hostPath" in mounted else ""
        if _HOST_ROOT.search(f"{path}:"):
            yield f"mounts {path}"


def is_strange_image(image: str) -> bool:
    """Whether ``image`` names a registry, and none that is known or the person's own."""
    registry, slash, _ = image.partition("/")
    host = registry.partition(":")[0].lower()
    if not slash or "." not in host or host.startswith(("$", "{", "<")):
        return False
    labels = host.split(".")
    owners = {".".join(labels[at:]) for at in range(len(labels))}
    return not owners & (PUBLIC_REGISTRIES | _OWN) and not host.replace(".", "").isdigit()


def _rights(values: dict[str, YamlNode]) -> Iterator[str]:
    security = dict(values["securityContext"].parts) if "securityContext" in values else {}
    if "true" in {_text(values, "privileged").lower(), _text(security, "privileged").lower()}:
        yield "privileged"
    for key in ("pid", "network_mode", "ipc"):
        if _text(values, key) == "host":
            yield f"{key} of the machine"
    for volume in _items(values, "volumes"):
        if _HOST_ROOT.search(volume):
            yield f"mounts {volume.partition(':')[0]}"
    for capability in _items(values, "cap_add"):
        if capability.upper().removeprefix("CAP_") in _CAPABILITIES:
            yield f"capability {capability}"


def _text(values: dict[str, YamlNode], key: str) -> str:
    return (values[key].text or "") if key in values else ""


def _items(values: dict[str, YamlNode], key: str) -> list[str]:
    """The texts of a list; of a mount in its long form its two ends as in the short one."""
    items = []
    for _, part in values[key].parts if key in values else ():
        ends = dict(part.parts)
        items.append(part.text if part.text is not None else f"{_text(ends, 'source')}:{_text(ends, 'target')}")
    return items
