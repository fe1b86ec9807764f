"""The Dagster project: a submission is a partition, its audit round a chain of assets, standing and marts downstream."""

import warnings

import dagster as dg

# Batches (backfill policies) and partitioned checks are what the design rests on. Dagster is pinned to one release and our tests
# cover both, so its notice that they may change in another release is noise to every user of the CLI.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)
