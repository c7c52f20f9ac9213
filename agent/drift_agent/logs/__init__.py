"""Log files: tail, journal, parse."""
