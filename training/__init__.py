"""Mixtures, losses, recipes and figures: what trains and measures the separators.

Recipes and losses need torch. Clips, mixtures, lists of mixtures and metrics are numpy alone, since
``soloist demo`` and ``soloist evaluate`` use them in the plain install.
"""
