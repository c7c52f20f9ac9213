"""The fleet page's style sheet: one for wide and narrow, light and dark."""

from typing import Final

CSS: Final = """
:root{color-scheme:light dark;font:15px/1.45 system-ui,sans-serif}
body{margin:0;padding:1.5rem;max-width:80rem;margin-inline:auto}
"""
