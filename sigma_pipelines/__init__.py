"""The Dagster project: a submission is a partition, its audit round a chain of assets, standing and marts downstream."""
