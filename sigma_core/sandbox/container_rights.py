"""Containers that get the whole machine: services of a compose file or template that may do everything, from an image that no known registry publishes."""

from __future__ import annotations

from collections.abc import Iterator

import re2

from sigma_core.sandbox.configuration_listings import configuration_listings
from sigma_core.sandbox.readings import Finding
from sigma_core.sandbox.text_places import TextPlaces
from sigma_core.sandbox.vocabulary import name_set
from sigma_core.sandbox.yaml_texts import YamlNode, yaml_documents

ENOUGH_RIGHTS = 2
"""Rights over the machine that a stranger's container must hold: one alone is a common need."""
MAX_SERVICES = 200
_MARKS = ("privileged", "docker.sock", "/:/", "network_mode", "cap_add", "pid:")
_REGISTRIES = name_set(
    "docker.io docker.com ghcr.io gcr.io pkg.dev quay.io mcr.microsoft.com azurecr.io public.ecr.aws amazonaws.com registry.k8s.io k8s.gcr.io nvcr.io registry.gitlab.com docker.elastic.co lscr.io cgr.dev "
    "docker.n8n.io registry.redhat.io registry.access.redhat.com container-registry.oracle.com registry.opensource.zalan.do registry.suse.com icr.io ocir.io docker.gitea.com codeberg.org docker.getoutline.com aliyuncs.com digitalocean.com"
)
"""Registries that vendors and projects publish in for everyone."""
_OWN = name_set("localhost example.com example.org local internal lan corp test example invalid")
_HOST_ROOT = re2.compile(r"^(?:/|/etc|/root|/home|/var/run/docker\.sock|/run/docker\.sock|/proc|/dev):")
_CAPABILITIES = frozenset({"ALL", "SYS_ADMIN", "SYS_PTRACE", "SYS_MODULE", "DAC_READ_SEARCH"})


def judge_containers(place: TextPlaces) -> Iterator[Finding]:
    """A finding for each service of a stranger's image that holds at least `ENOUGH_RIGHTS` rights over the machine."""
    if "image" not in place.text or not any(mark in place.text for mark in _MARKS):
        return
    for listing in configuration_listings(place):
        for name, service in _services(listing.text):
            values = dict(service.parts)
            image = values["image"].text if "image" in values else None
            rights = sorted(_rights(values))
            if image and _is_strange(image) and len(rights) >= ENOUGH_RIGHTS:
                at = max(listing.text.find(image), 0) + listing.start
                subject = f"{name}: {image} ({', '.join(rights)})"
                yield place.at("SIGMA-SUPPLY-037", subject, at, at + len(image), listing.context)


def _services(text: str) -> Iterator[tuple[str, YamlNode]]:
    if "image" not in text:
        return
    for root in yaml_documents(text):
        for key, part in root.parts:
            if key == "services":
                yield from part.parts[:MAX_SERVICES]


def _is_strange(image: str) -> bool:
    """Whether ``image`` names a registry, and none that is known or the person's own."""
    registry, slash, _ = image.partition("/")
    host = registry.partition(":")[0].lower()
    if not slash or "." not in host or host.startswith(("$", "{", "<")):
        return False
    labels = host.split(".")
    owners = {".".join(labels[at:]) for at in range(len(labels))}
    return not owners & (_REGISTRIES | _OWN) and not host.replace(".", "").isdigit()


def _rights(values: dict[str, YamlNode]) -> Iterator[str]:
    if _text(values, "privileged").lower() == "true":
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
