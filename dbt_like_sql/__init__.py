"""The analysts' SQL models, in dbt's dialect, and the thin loader that builds and tests them without dbt."""
