"""What happens to a submission, stage by stage: the pure domains applied to what the databases and blobs hold.

Each stage is idempotent by (submission, round, stage): it may be killed at any point and run again.
"""
