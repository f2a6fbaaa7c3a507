"""Positions: JSON pointers into a definition, as RFC 6901 spells them."""


def below(pointer: str, name: str | int) -> str:
    """Return the pointer of a member or item."""
    return f"{pointer}/{name if isinstance(name, int) else escaped(name)}"


def escaped(name: str) -> str:
    """Return a name as it stands in a pointer."""
    return name.replace("~", "~0").replace("/", "~1") if "~" in name or "/" in name else name


def unescaped(part: str) -> str:
    """Return the name that a part of a pointer stands for."""
    return part.replace("~1", "/").replace("~0", "~")
