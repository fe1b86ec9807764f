"""What a file is, from its name and its first bytes. The bytes win where they are certain."""

from __future__ import annotations

import re2

from sigma_core.sandbox.layers import FileKind

_MAGIC: tuple[tuple[bytes, FileKind], ...] = (
    (b"\x7fELF", FileKind.EXECUTABLE),
    (b"\xfe\xed\xfa\xce", FileKind.EXECUTABLE),
    (b"\xfe\xed\xfa\xcf", FileKind.EXECUTABLE),
    (b"\xcf\xfa\xed\xfe", FileKind.EXECUTABLE),
    (b"\xca\xfe\xba\xbe", FileKind.EXECUTABLE),
    (b"\x00asm", FileKind.EXECUTABLE),
    (b"PK\x03\x04", FileKind.ARCHIVE),
    (b"PK\x05\x06", FileKind.ARCHIVE),
    (b"\x1f\x8b", FileKind.ARCHIVE),
    (b"BZh", FileKind.ARCHIVE),
    (b"\xfd7zXZ\x00", FileKind.ARCHIVE),
    (b"7z\xbc\xaf\x27\x1c", FileKind.ARCHIVE),
    (b"Rar!\x1a\x07", FileKind.ARCHIVE),
    (b"(\xb5/\xfd", FileKind.ARCHIVE),
    (b"\x89PNG\r\n\x1a\n", FileKind.IMAGE),
    (b"\xff\xd8\xff", FileKind.IMAGE),
    (b"GIF8", FileKind.IMAGE),
    (b"\x00\x00\x01\x00", FileKind.IMAGE),
    (b"%PDF-", FileKind.DOCUMENT),
    (b"\xd0\xcf\x11\xe0", FileKind.DOCUMENT),
    (b"\x00\x01\x00\x00\x00", FileKind.FONT),
    (b"OTTO\x00", FileKind.FONT),
    (b"wOFF", FileKind.FONT),
    (b"wOF2", FileKind.FONT),
    (b"ID3", FileKind.MEDIA),
    (b"OggS", FileKind.MEDIA),
    (b"fLaC", FileKind.MEDIA),
)

_EXTENSIONS: dict[str, FileKind] = {
    **dict.fromkeys(("md", "markdown", "mdx", "mdc", "rst"), FileKind.MARKDOWN),
    **dict.fromkeys(("py", "pyw", "pyi", "pth"), FileKind.PYTHON),
    **dict.fromkeys(("sh", "bash", "zsh", "ksh", "command", "fish"), FileKind.SHELL),
    **dict.fromkeys(("js", "mjs", "cjs", "jsx", "ts", "tsx", "mts", "cts"), FileKind.JAVASCRIPT),
    **dict.fromkeys(("ps1", "psm1", "bat", "cmd", "vbs", "scpt", "applescript"), FileKind.POWERSHELL),
    **dict.fromkeys(
        (
            "php",
            "phtml",
            "rb",
            "rake",
            "gemspec",
            "pl",
            "pm",
            "go",
            "rs",
            "lua",
            "java",
            "kt",
            "kts",
            "swift",
            "cs",
            "scala",
            "groovy",
            "gradle",
            "tf",
            "hcl",
            "ex",
            "exs",
            "r",
            "jl",
            "dart",
            "sql",
            "awk",
            "tcl",
            "c",
            "cc",
            "cpp",
        ),
        FileKind.CODE,
    ),
    **dict.fromkeys(("json", "jsonc", "json5", "jsonl"), FileKind.JSON),
    **dict.fromkeys(("yaml", "yml"), FileKind.YAML),
    "toml": FileKind.TOML,
    "ipynb": FileKind.NOTEBOOK,
    **dict.fromkeys(("html", "htm", "svg", "xml", "xhtml"), FileKind.HTML),
    "pyc": FileKind.BYTECODE,
    **dict.fromkeys(("exe", "dll", "so", "dylib", "com", "scr", "msi"), FileKind.EXECUTABLE),
}

_SHEBANG = re2.compile(r"^#![^\n]{0,120}?\b(python|node|deno|bun|bash|zsh|ksh|dash|sh|pwsh|php|ruby|perl|lua)[0-9.]*\b")
_SHEBANG_KINDS = {
    "python": FileKind.PYTHON,
    "node": FileKind.JAVASCRIPT,
    "deno": FileKind.JAVASCRIPT,
    "bun": FileKind.JAVASCRIPT,
    "pwsh": FileKind.POWERSHELL,
    **dict.fromkeys(("php", "ruby", "perl", "lua"), FileKind.CODE),
}
_LANGUAGES: dict[str, FileKind] = {
    **dict.fromkeys(("python", "py", "python3"), FileKind.PYTHON),
    **dict.fromkeys(("bash", "sh", "shell", "zsh", "console", "terminal", "shell-session"), FileKind.SHELL),
    **dict.fromkeys(("javascript", "js", "typescript", "ts", "jsx", "tsx", "node", "mjs"), FileKind.JAVASCRIPT),
    **dict.fromkeys(("powershell", "ps1", "pwsh", "cmd", "bat", "batch", "dos", "applescript"), FileKind.POWERSHELL),
    **dict.fromkeys(
        (
            "php",
            "ruby",
            "rb",
            "perl",
            "go",
            "golang",
            "rust",
            "lua",
            "java",
            "kotlin",
            "swift",
            "csharp",
            "cs",
            "c",
            "cpp",
            "awk",
            "tcl",
        ),
        FileKind.CODE,
    ),
    **dict.fromkeys(("json", "jsonc"), FileKind.JSON),
    **dict.fromkeys(("yaml", "yml"), FileKind.YAML),
    "toml": FileKind.TOML,
    **dict.fromkeys(("html", "xml", "svg"), FileKind.HTML),
}

_SHELL_START = re2.compile(
    r"(?i)^\s*(?:[$#>]\s+)?(?:(?:sudo|nohup|env|exec|time)\s+)*(?:curl|env|printenv|xxd|ncat|xattr|history|sudo|wget|bash|sh|zsh|cat|echo|printf|eval|export|rm|cp|mv|mkdir|chmod|tar|nc|ncat|python3?|node|npm|npx|"
    r"pip3?|git|crontab|ssh|scp|openssl|base64|source|find|apt|apt-get|brew|iex|powershell|cd|sed|dig|nslookup|osascript|launchctl|systemctl)\s+[^\s:,]|^\s*/(?:usr/)?bin/\w+\s"
)
_PYTHON_START = re2.compile(
    r"(?m)^\s*(?:import [a-zA-Z_][\w.]*(?:\s*[,;]|\s+as\b|\s*$)|from [\w.]+ import |def \w+\(|exec\(|__import__\()"
)
_SCRIPT_START = re2.compile(
    r"(?m)(?:^\s*(?:const|let|var) [\w{ ,}]+ ?=|\brequire\(['\"]|^\s*import .{1,80} from ['\"]|=>\s*\{|\bfunction\s*\w*\()"
)


def kind_by_magic(data: bytes) -> FileKind | None:
    """The kind that the first bytes prove, or None."""
    if data[:2] == b"MZ" and b"\x00" in data[:64]:
        return FileKind.EXECUTABLE
    if data[:4] == b"RIFF" and len(data) > 12:
        return FileKind.IMAGE if data[8:12] == b"WEBP" else FileKind.MEDIA
    if data[4:8] == b"ftyp":
        return FileKind.MEDIA
    if data[257:262] == b"ustar":
        return FileKind.ARCHIVE
    return next((kind for magic, kind in _MAGIC if data.startswith(magic)), None)


def kind_by_name(path: str) -> FileKind | None:
    """The kind that a file name claims, or None."""
    name = path.rsplit("/", 1)[-1].lower()
    stem, dot, extension = name.rpartition(".")
    if name in {"makefile", "dockerfile", "justfile"}:
        return FileKind.SHELL
    if name in {"rakefile", "gemfile", "fastfile", "vagrantfile", "podfile"}:
        return FileKind.CODE
    if stem and dot and extension in {"tmpl", "example", "sample", "txt", "template"}:
        return FileKind.TEXT
    return _EXTENSIONS.get(extension) if dot else None


def is_git_hook(path: str) -> bool:
    """Whether git, or a tool that installs hooks for it, runs the file."""
    folder, _, name = path.lower().rpartition("/")
    return "." not in name and f"/{folder}".endswith(("/.git/hooks", "/.githooks", "/.husky", "/git-hooks"))


def kind_of_language(language: str) -> FileKind | None:
    """The kind that a code fence's info string names, or None for an unknown or missing one."""
    words = language.strip().lower().split()
    return _LANGUAGES.get(words[0].strip("{}.")) if words else None


def guess_text_kind(text: str) -> FileKind:
    """The kind of a text that has no name: what decoding uncovered, or a code fence without a language."""
    head = text[:4_000]
    shebang = _SHEBANG.search(head)
    if shebang:
        return _SHEBANG_KINDS.get(shebang.group(1), FileKind.SHELL)
    if _PYTHON_START.search(head):
        return FileKind.PYTHON
    if _SHELL_START.search(head):
        return FileKind.SHELL
    if _SCRIPT_START.search(head):
        return FileKind.JAVASCRIPT
    return FileKind.TEXT


def kind_of_text_file(path: str, text: str) -> FileKind:
    """The kind of a readable file: its name, else its shebang or first lines."""
    named = kind_by_name(path)
    if named is not None and named is not FileKind.TEXT:
        return named
    shebang = _SHEBANG.search(text[:200])
    if shebang:
        return _SHEBANG_KINDS.get(shebang.group(1), FileKind.SHELL)
    return FileKind.SHELL if path.rsplit("/", 1)[-1] == ".envrc" or is_git_hook(path) else FileKind.TEXT
