"""Submissions as dynamic partitions: the partition key is the submission id."""

from __future__ import annotations

import dagster as dg

SUBMISSIONS = dg.DynamicPartitionsDefinition(name="submission")
"""Keys are added in contiguous batches, by the intake sensor or by a CLI audit; never by an asset."""
