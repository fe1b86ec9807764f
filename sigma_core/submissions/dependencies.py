"""What a package asks installers to fetch, held against the rule that the public index alone must resolve it.

Problems are data, not errors: whether they refuse a submission is the caller's decision. Nothing is looked up or
fetched; a range "resolves" when some version can satisfy it.
"""

from __future__ import annotations

from sigma_core.submissions.dependency_problem import DependencyProblem
from sigma_core.submissions.node_dependencies import node_config_problems, package_json_problems
from sigma_core.submissions.package import Package
from sigma_core.submissions.python_dependencies import (
    pip_config_problems,
    pyproject_problems,
    requirements_problems,
    script_problems,
)


def dependency_problems(package: Package) -> list[DependencyProblem]:
    """Every dependency rule that the package's own files break, sorted by file and line.

    Read are requirements files and what they include, ``pyproject.toml``, inline script metadata (PEP 723),
    ``package.json`` and the configuration files of pip, npm and yarn, in any folder.
    """
    problems: list[DependencyProblem] = []
    requirements_files = []
    for file in package.files:
        name = file.path.rpartition("/")[2].lower()
        if "requirements" in name and name.endswith((".txt", ".in")):
            requirements_files.append(file)
        elif name == "pyproject.toml":
            problems.extend(pyproject_problems(file))
        elif name.endswith(".py"):
            problems.extend(script_problems(file))
        elif name == "package.json":
            problems.extend(package_json_problems(file))
        elif name in {"pip.conf", "pip.ini"}:
            problems.extend(pip_config_problems(file))
        elif name in {".npmrc", ".yarnrc", ".yarnrc.yml"}:
            problems.extend(node_config_problems(file))
    problems += requirements_problems(requirements_files, package.by_path)
    return sorted(problems)
