"""Mixtures made on the fly, losses and recipes that train what ``separators`` defines (torch)."""
