"""Policies on synthetic populations."""
