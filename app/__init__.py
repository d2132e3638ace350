"""The command line: everything a person types at Soloist. Nothing imports from here."""
