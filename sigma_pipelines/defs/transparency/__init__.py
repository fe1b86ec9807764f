"""The public log of certificates and their status lists."""
