"""Known names from owners that nobody knows: forks of well-known packages, actions and hooks of a stranger's branch, packages and programs that nothing in the package speaks of.

Read in the manifests, workflows and settings of a package, and in the listings of its documents.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

from sigma_core.sandbox.declared import DeclaredSurface
from sigma_core.sandbox.install_commands import Tool, install_commands
from sigma_core.sandbox.layers import FileKind
from sigma_core.sandbox.linear_pattern import linear_pattern
from sigma_core.sandbox.package_sources import named_dependencies
from sigma_core.sandbox.popular_names import Registry, extends, is_listed, is_popular
from sigma_core.sandbox.readings import Finding
from sigma_core.sandbox.settings_listings import settings_listings
from sigma_core.sandbox.started_commands import servers
from sigma_core.sandbox.text_places import TextPlaces
from sigma_core.sandbox.vocabulary import name_set
from sigma_core.sandbox.worded_pattern import WordedPattern

FORK = "SIGMA-SUPPLY-051"
ACTION = "SIGMA-SUPPLY-052"
RUN_AT_INSTALL = "SIGMA-SUPPLY-053"
UNNAMED = "SIGMA-MIS-019"
MOST = 200
"""Entries of one form that are looked at in one file."""
GIVEN = 300
"""Characters after a step's name that hold what it is given."""
MOST_NAMES = 12
"""Names of one manifest that are looked for in the other files."""
NEAR = 200
"""Characters before an entry, and after it in its line, whose comment may say why it is there."""
LEAST, FEW = 2, 3
"""Known dependencies of a manifest, in all and for each that nobody knows, beside which the latter stands out."""
_CODE_HOST = (
    r"(?:git\+)?(?:https?|ssh|git)://(?:git@)?(?:www\.)?(?:github\.com|gitlab\.com|bitbucket\.org|codeberg\.org)[/:]"
)
_REPOSITORY = r"([\w-]{1,60})/([\w.-]{1,80})"
_NODE = WordedPattern(
    rf"\"(@?[\w./-]{{2,80}})\"\s{{0,4}}:\s{{0,4}}\"(?:(?:github|gitlab|bitbucket):|{_CODE_HOST}|(?:git\+ssh://)?git@github\.com:){_REPOSITORY}([^\"\s]{{0,80}})\""
)
_NODE_ALIAS = WordedPattern(
    r"\"(@?[\w./-]{2,80})\"\s{0,4}:\s{0,4}\"npm:(@?[\w./-]{2,80}?)@?([\d^~][\w.^~-]{0,20}|latest|next)?\""
)
_PYTHON = WordedPattern(
    rf"(?m)(?:^|[\"'])\s{{0,4}}([A-Za-z0-9][\w.-]{{1,60}})(?:\[[\w, -]{{1,60}}\])?\s{{0,2}}@\s{{0,2}}{_CODE_HOST}{_REPOSITORY}([^\"'\s]{{0,80}})"
)
_TABLE = WordedPattern(
    rf"(?m)^\s{{0,8}}[\"']?([A-Za-z0-9][\w.-]{{1,60}})[\"']?\s{{0,4}}=\s{{0,4}}\{{[^}}\n]{{0,80}}\bgit\s{{0,2}}=\s{{0,2}}[\"']{_CODE_HOST}{_REPOSITORY}([^\n]{{0,120}})"
)
_GEM = WordedPattern(
    rf"(?m)^\s{{0,8}}(?:gem|pod)\s+[\"']([\w-]{{2,60}})[\"'][^\n]{{0,60}}(?:github:\s{{0,2}}[\"']|git(?:\s?=>|:)\s{{0,2}}[\"']{_CODE_HOST}){_REPOSITORY}([^\n]{{0,80}})"
)
_GO = WordedPattern(
    r"(?m)^[ \t]*(?:replace[ \t]+)?([a-z0-9-]+\.[a-z]{2,8}/[\w./-]{2,100})(?:[ \t]+v[\w.+-]{1,40})?[ \t]+=>[ \t]+[a-z0-9-]+\.[a-z]{2,8}/([\w-]{1,60})/([\w./-]{1,80})([ \t]+v[\w.+-]{1,60})"
)
_HOOKS = WordedPattern(
    rf"(?m)^\s{{0,8}}-\s{{0,3}}repo:\s{{0,3}}[\"']?{_CODE_HOST}{_REPOSITORY}[\"']?\s{{0,12}}\n\s{{0,12}}rev:\s{{0,3}}[\"']?([\w./-]{{1,60}})"
)
_ACTIONS = WordedPattern(
    r"(?m)^[ \t]*(?:-[ \t]+)?uses:[ \t]*[\"']?([\w-]{1,60})/([\w.-]{1,80})(/[\w./-]{1,120})?@([\w./-]{1,80})"
)
_COMMIT = linear_pattern(r"\b[0-9a-f]{40}\b")
_WHY = linear_pattern(
    r"(?i)(?:#|//|<!--)[^\n]{0,200}\b(?:fork\w*|patch\w*|fix\w*|until|issue|upstream|backport\w*|pull request|PR|unreleased|merged)\b"
)
"""A comment that says why a fork stands here."""
_SECRET = linear_pattern(r"\bsecrets\.(?:[A-FH-Z]|G[A-HJ-Z]|GI[A-SU-Z]|GIT[A-GI-Z])")
"""A secret other than the workflow's own token."""
_OWN = linear_pattern(r"(?i)^(?:your|my|our|the|org|owner|user(?:name)?|company|acme|example|org-?name|<|\$|\{)")
_BRANCHES = name_set("main master head develop dev latest trunk next edge nightly")
_CRATES = name_set(
    "serde serde_json tokio reqwest clap anyhow thiserror rand regex log syn quote hyper axum tracing chrono openssl rustls ring futures bytes libc itertools uuid sqlx diesel actix-web"
)
_GEMS = name_set(
    "rails nokogiri puma devise sidekiq rspec rack jekyll pg redis faraday json bundler rubocop bootsnap sinatra activerecord capybara"
)
_OWNERS_OF = {
    "react": "facebook", "lodash": "lodash", "dayjs": "iamkun", "zod": "colinhacks", "axios": "axios", "express": "expressjs", "vue": "vuejs", "next": "vercel", "typescript": "microsoft", "webpack": "webpack", "vite": "vitejs", "eslint": "eslint", "prettier": "prettier",
    "requests": "psf kennethreitz", "black": "psf", "flask": "pallets", "django": "django", "numpy": "numpy", "pandas": "pandas-dev", "transformers": "huggingface", "diffusers": "huggingface", "accelerate": "huggingface", "peft": "huggingface", "trl": "huggingface", "fastapi": "fastapi tiangolo",
    "pydantic": "pydantic samuelcolvin", "torch": "pytorch", "scipy": "scipy", "scikit-learn": "scikit-learn", "httpx": "encode", "starlette": "encode", "openai": "openai", "anthropic": "anthropics", "mcp": "modelcontextprotocol", "yt-dlp": "yt-dlp", "pip": "pypa", "setuptools": "pypa", "tokio": "tokio-rs", "serde": "serde-rs dtolnay",
    "pytest": "pytest-dev", "celery": "celery", "sqlalchemy": "sqlalchemy", "langchain": "langchain-ai hwchase17", "nokogiri": "sparklemotion", "rails": "rails", "jekyll": "jekyll", "openai-whisper": "openai", "streamlit": "streamlit", "gradio": "gradio-app",
}  # fmt: skip
"""Who keeps the repositories of packages whose owner has another name than they."""
_OWNERS = name_set(
    "actions github docker aws-actions google-github-actions azure hashicorp astral-sh pnpm oven-sh denoland codecov softprops peaceiris jamesives peter-evans dorny reviewdog golangci dtolnay actions-rs swatinem ruby shivammathur cypress-io sonarsource snyk aquasecurity anchore sigstore slsa-framework pypa ncipollo "
    "goreleaser changesets release-drafter googleapis marocchino crazy-max subosito gradle android-actions reactivecircus r0adkll apple-actions maxim-lobanov microsoft nick-fields nick-invision step-security treosh lycheeverse davidanson super-linter stefanzweifel ad-m appleboy easingthemes webfactory fastlane expo cloudflare "
    "vercel netlify amondnet firebaseextended superfly pulumi terraform-linters helm kubernetes-sigs engineerd bridgecrewio checkmarx trufflesecurity gitleaks semgrep returntocorp ossf enricomi mikepenz js-devtools cycjimmy rhysd haya14busa wagoid amannn pascalgn anthropics openai google google-gemini nixos determinatesystems "
    "cachix jetify-com mamba-org conda-incubator r-lib julia-actions haskell-actions erlef elixir-lang gleam-lang sbt coursier graalvm moonrepo nrwl graphite-project chromaui percy browserstack lighthouse-ci getsentry datadog newrelic launchdarkly slackapi 8398a rtcamp voxmedia ilammy msys2 lukka seanmiddleditch conan-io taiki-e "
    "baptiste0928 foundry-rs crytic trail-of-bits trailofbits zizmorcore woodruffw pre-commit psf pycqa asottile yelp codespell-project shellcheck-py commitizen-tools compilerla igorshubovych adrienverge koalaman scop antonbabenko tflint sqlfluff nbqa-dev kynan rbubley alessandrojcm biomejs tox-dev abravalheri executablebooks "
    "argoproj fluxcd istio tilt-dev chartmuseum redhat-actions openshift mathieudutour metcalfc phips28 anothrNick mxschmitt tj-actions fkirc styfle concourse opentofu gruntwork-io runs-on depot useblacksmith namespacelabs warpbuilds ludeeus sass ibiqlik jakejarvis lannonbr jwalton dawidd6 actions-cool hadolint oxsecurity"
)
"""Owners of actions and hooks that many projects use."""


def judge_strange_sources(declared: DeclaredSurface, place: TextPlaces) -> Iterator[Finding]:
    """Findings of forks that stand for well-known packages, and of branches of strangers' actions and hooks, whose owner nothing else in the package names. Time is linear in the text."""
    for name, owner, repository, rest, start, end in _replaced(place):
        if _is_fork(name, owner) and not _vouched(declared, place, owner, rest, start, end):
            yield place.at(FORK, f"{name} from {owner}/{repository}", start, end, place.command_context(start))
    if "uses:" not in place.text and "repo:" not in place.text:
        return
    found = [(match[1], match[2], match[4], match) for match in islice(place.matches(_ACTIONS), MOST)]
    found += [(match[1], match[2], match[3], match) for match in islice(place.matches(_HOOKS), MOST)]
    pinned = any(owner.lower() in _OWNERS for owner, _, version, _ in found if version.lower() not in _BRANCHES)
    for owner, repository, version, match in found:
        given = place.text[match.end() : match.end() + GIVEN].partition("uses:")[0]
        # A whole workflow of another repository has all of its caller's rights.
        whole = ".github/workflows" in match.group() and "secrets: inherit" in given
        # Documents show small projects' actions as they come; what gets a secret is another matter.
        shown = place.is_document and _SECRET.search(given) is None
        if (
            version.lower() in _BRANCHES
            and owner.lower() not in _OWNERS
            and (whole or (pinned and not shown))
            and not _vouched(declared, place, owner, "", match.start(), match.end())
        ):
            context = place.command_context(match.start())
            yield place.at(ACTION, f"{owner}/{repository}@{version}", match.start(), match.end(), context)


def _replaced(place: TextPlaces) -> Iterator[tuple[str, str, str, str, int, int]]:
    """``(name, owner, repository, what follows, start, end)`` of each package that an entry takes from a repository or under another name."""
    for pattern in (_NODE, _PYTHON, _TABLE, _GEM):
        for match in islice(place.matches(pattern), MOST):
            yield match[1], match[2], match[3].removesuffix(".git"), match[4], match.start(), match.end()
    for match in islice(place.matches(_GO), MOST):
        owner = match[1].split("/")[1]
        if owner.lower() != match[2].lower():
            yield match[1], match[2], match[3], match[4], match.start(), match.end()
    for match in islice(place.matches(_NODE_ALIAS), MOST) if not place.is_document else ():
        if not is_listed(Registry.NPM, match[2]) and not extends(match[2], match[1]):
            yield match[1], match[2].partition("/")[0], match[2], match[3] or "", match.start(), match.end()


def _is_fork(name: str, owner: str) -> bool:
    """Whether ``name`` is a package that everybody uses, and ``owner`` not the one who keeps it."""
    name, owner = name.lower(), owner.lower()
    if "/" in name and not name.startswith("@"):
        return True  # one Go module in the place of another
    known = any(is_popular(registry, name) for registry in (Registry.NPM, Registry.PYPI)) or name in _CRATES | _GEMS
    plain = name.rpartition("/")[2].replace("-", "").replace("_", "")
    keeper = owner.replace("-", "").replace("_", "")
    named_alike = keeper in {
        plain,
        f"{plain}js",
        f"{plain}org",
        f"{plain}hq",
        f"{plain}project",
        f"{plain}dev",
    } or keeper == name.lstrip("@").partition("/")[0].replace("-", "")
    return known and not named_alike and owner not in _OWNERS_OF.get(name, "").split() and owner not in _OWNERS


def _vouched(declared: DeclaredSurface, place: TextPlaces, owner: str, rest: str, start: int, end: int) -> bool:
    """Whether the owner is to be filled in, spoken of elsewhere, or the entry fixed to a commit or explained beside it."""
    if _OWN.search(owner) or _COMMIT.search(rest):
        return True
    if _WHY.search(f"{place.text[max(0, start - NEAR) : end]}{place.text[end : end + NEAR].partition(chr(10))[0]}"):
        return True
    low = owner.lower().lstrip("@")
    here = place.text[start:end].lower().count(low) if place.kind is FileKind.MARKDOWN else 0
    return low in declared.title or declared.text.count(low) > here


def judge_unnamed_packages(
    declared: DeclaredSurface, place: TextPlaces, places: Mapping[str, TextPlaces]
) -> Iterator[Finding]:
    """Findings of packages that no list knows and that no other text of the package names: beside known ones in a manifest, as a server's program, or run when the package is installed."""
    registry, names = named_dependencies(place.path, place.text)
    unknown = [name for name in islice(names, MOST) if not is_listed(registry, name)][:MOST_NAMES]
    if len(names) - len(unknown) >= max(LEAST, FEW * len(unknown) - 1):
        for name in unknown:
            if not _is_named(declared, places, place, name):
                yield place.of(UNNAMED, name, names[name])
    for match in islice(place.matches(_AT_INSTALL), MOST) if place.path.lower().endswith("package.json") else ():
        for name in _fetched(match[1]):
            if not _is_named(declared, places, place, name):
                yield place.at(RUN_AT_INSTALL, name, match.start(), match.end())
    for settings in settings_listings(place) if "ervers" in place.text and "command" in place.text else ():
        for server in servers(settings.text):
            for name in _fetched(" ".join(server.command)):
                if settings.whole and not name.startswith("@") and not _is_named(declared, places, place, name):
                    at = settings.start + server.start
                    yield place.at(UNNAMED, name, at, settings.start + server.end, settings.context)


_AT_INSTALL = WordedPattern(r"\"(?:pre|post)?(?:install|prepare)\"\s{0,4}:\s{0,4}\"([^\"\n]{4,400})\"")


def _fetched(command: str) -> Iterator[str]:
    """Packages that ``command`` fetches and runs, and that no list knows."""
    for found in install_commands(command[:1_000]):
        registry = {Tool.NPM: Registry.NPM, Tool.PIP: Registry.PYPI}.get(found.tool)
        for wanted in found.wanted:
            if found.runs and registry is not None and wanted.name and not is_listed(registry, wanted.name):
                yield wanted.name


def _is_named(declared: DeclaredSurface, places: Mapping[str, TextPlaces], place: TextPlaces, name: str) -> bool:
    """Whether any other text of the package has the name, as it is written or as it is imported."""
    low = name.lower()
    forms = {low, low.replace("-", "_"), low.replace("_", "-")}
    owner = low.lstrip("@").partition("/")[0] if low.startswith("@") else ""
    if any(form in declared.title for form in forms) or (len(owner) > 2 and owner in declared.text):
        return True
    return any(
        any(form in other.text.lower() for form in forms) for path, other in places.items() if path != place.path
    )
