"""The agent: what is baked into every image. Small, few imports, nothing done at import time."""

__version__ = "0.1.0"
