"""Text of hosts, made safe for people to look at. Pure."""


def shown(text: str) -> str:
    """Text of a host, safe for a terminal: what does not print (controls, C1 too, bidirectional marks) is escaped."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    if character == "\n":
        return "\\n"
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that os.fsdecode could not decode
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def cut(text: str, longest: int) -> str:
    """At most `longest` characters, and `…` where there were more: no host fills a screen by itself."""
    return text if len(text) <= longest else f"{text[:longest]}…"
