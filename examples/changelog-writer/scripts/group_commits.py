#!/usr/bin/env python3
"""Group commit subjects from standard input into one Keep a Changelog section on standard output."""

import argparse
import sys

SECTIONS = ("Breaking", "Security", "Added", "Fixed", "Changed", "Removed")
SECTION_OF_TYPE = {"feat": "Added", "fix": "Fixed", "revert": "Removed", "security": "Security"}
LEFT_OUT = {"docs", "test", "ci", "style", "chore"}


def split_subject(subject):
    """Return (type, breaking, text) of a Conventional Commits subject; type is empty for any other form."""
    head, colon, text = subject.partition(": ")
    breaking = head.endswith("!")
    kind = head.rstrip("!").partition("(")[0].strip().lower()
    if not colon or not kind.isalpha():
        return "", False, subject
    return kind, breaking, text.strip()


def group(subjects):
    """Return ({section: [lines]}, number of subjects left out)."""
    sections = {name: [] for name in SECTIONS}
    left_out = 0
    for subject in subjects:
        kind, breaking, text = split_subject(subject)
        line = text[:1].upper() + text[1:]
        if breaking:
            sections["Breaking"].append(line)
        if kind in LEFT_OUT:
            left_out += not breaking
        else:
            sections[SECTION_OF_TYPE.get(kind, "Changed")].append(line)
    return sections, left_out


def main():
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--version", required=True, help="the version that is released, such as 1.3.0")
    parser.add_argument("--date", required=True, help="its date, such as 2026-11-21")
    options = parser.parse_args()
    sections, left_out = group(line.strip() for line in sys.stdin if line.strip())
    print(f"## [{options.version}] - {options.date}")
    for name, lines in sections.items():
        if lines:
            print(f"\n### {name}\n")
            print("\n".join(f"- {line}" for line in lines))
    if left_out:
        print(f"\n_{left_out} commits to documentation, tests and tooling are not listed._")


if __name__ == "__main__":
    main()
