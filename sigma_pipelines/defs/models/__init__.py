"""The lake and the SQL models over it."""
