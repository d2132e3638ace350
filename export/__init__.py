"""Checkpoint -> network -> bundle: the only door between torch and the live plane."""
