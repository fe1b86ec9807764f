"""Certificates: canonical payload, signed envelope, bundle, and a verifier that needs nothing but bundle and key."""
