"""The models as a page of documentation: docs/models.md is what `models_page` gives (``python -m dbt_like_sql``)."""

from __future__ import annotations

from dbt_like_sql.loader import Model, ModelTest, Project


def models_page(project: Project) -> str:
    """Every source and model with its columns, tests and lineage, as Markdown."""
    lines = [
        "# SQL models",
        "",
        "Written by `python -m dbt_like_sql > docs/models.md`. Each model is a Parquet file under `<lake>/models`, an asset in",
        "Dagster with its tests as checks, and a table for `sigma query`. ppm are parts per million, micro-USD millionths of a US",
        "dollar, times UTC.",
        "",
    ]
    layers = list(dict.fromkeys(model.layer for model in project.models.values()))
    for layer in sorted(layers):
        lines += [f"- **{layer}**: " + ", ".join(f"[{name}](#{name})" for name in _of_layer(project, layer)), ""]
    for layer in sorted(layers):
        lines += [f"## {layer.capitalize()}", ""]
        for name in _of_layer(project, layer):
            lines += _model(project.models[name], [test for test in project.tests if test.model == name])
    lines += ["## Sources", "", "| table | what a row is | columns |", "| --- | --- | --- |"]
    for (source, name), table in sorted(project.sources.items()):
        columns = ", ".join(f"`{column.name}`" for column in table.columns)
        lines.append(f"| {source}.{name} | {_cell(table.description)} | {columns} |")
    return "\n".join(lines) + "\n"


def _of_layer(project: Project, layer: str) -> list[str]:
    return sorted(name for name, model in project.models.items() if model.layer == layer)


def _model(model: Model, tests: list[ModelTest]) -> list[str]:
    upstream = [f"[{name}](#{name})" for name in model.refs] + [f"{source}.{name}" for source, name in model.sources]
    built = f"incremental by `{model.unique_key}`" if model.unique_key else "built whole"
    lines = [
        f"### {model.name}",
        "",
        f"{model.description} From {', '.join(upstream)}; {built}.",
        "",
        "| column | what it is | tests |",
        "| --- | --- | --- |",
    ]
    for column, description in model.columns.items():
        kinds = ", ".join(test.test.kind for test in tests if test.column == column)
        lines.append(f"| `{column}` | {_cell(description)} | {kinds} |")
    return [*lines, ""]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
