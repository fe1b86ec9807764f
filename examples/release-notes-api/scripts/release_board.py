#!/usr/bin/env python3
"""Read and write release notes on a release board. Talks to one host; needs RELEASE_BOARD_TOKEN for writing."""

import argparse
import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

BOARD = "https://releases.example/v1"
TIMEOUT_SECONDS = 20


def call(method, path, document=None):
    """Send one request to the board and return its JSON answer."""
    headers = {"Accept": "application/json"}
    body = None
    if document is not None:
        body = json.dumps(document).encode()
        headers["Content-Type"] = "application/json"
        headers["Authorization"] = "Bearer " + os.environ["RELEASE_BOARD_TOKEN"]
    request = urllib.request.Request(BOARD + path, data=body, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
        return json.load(answer)


def main():
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="versions, newest first")
    commands.add_parser("show", help="the notes of one release").add_argument("version")
    for name, text in (
        ("publish", "publish the notes of a new release"),
        ("correct", "replace the notes of a release"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("version")
        command.add_argument("notes", type=Path, help="a Markdown file")
    options = parser.parse_args()

    if options.command == "list":
        for release in call("GET", "/releases")["releases"]:
            print(release["version"])
        return 0
    release_path = "/releases/" + urllib.parse.quote(options.version, safe="")
    if options.command == "show":
        print(call("GET", release_path)["notes"])
        return 0
    if "RELEASE_BOARD_TOKEN" not in os.environ:
        print("RELEASE_BOARD_TOKEN is not set", file=sys.stderr)
        return 1
    notes = options.notes.read_text(encoding="utf-8")
    if options.command == "publish":
        call("POST", "/releases", {"version": options.version, "notes": notes})
    else:
        call("PATCH", release_path, {"notes": notes})
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except urllib.error.HTTPError as error:
        print(f"the board answered {error.code}: {error.read(500).decode('utf-8', 'replace')}", file=sys.stderr)
        sys.exit(1)
    except urllib.error.URLError as error:
        print(f"the board cannot be reached: {error.reason}", file=sys.stderr)
        sys.exit(1)
