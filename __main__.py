"""``python -m soloist`` is the command ``soloist``."""

from .app.cli import main

main()
