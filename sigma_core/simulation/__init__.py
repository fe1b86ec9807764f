"""Synthetic populations on the protocol's own code: selection, consensus, points, accuracy, reputation, weights, payouts."""
