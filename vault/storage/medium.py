"""Facts about the medium that a vault lies on. Nothing here is relied on; it is shown to people."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

__all__ = ["file_system_type", "parse_mounts"]

_MOUNTS: Final = Path("/proc/self/mountinfo")
_ESCAPE: Final = re.compile(r"\\([0-7]{3})")


def parse_mounts(text: str) -> list[tuple[str, str]]:
    """Return (mount point, file system type) of each line of ``mountinfo``, see proc(5).

    Lines that do not look as described there are left out.
    """
    mounts = []
    for line in text.split("\n"):
        before, separator, after = line.partition(" - ")
        fields = before.split(" ")
        if separator and len(fields) >= 6:
            point = _ESCAPE.sub(lambda match: chr(int(match[1], 8)), fields[4])
            mounts.append((point, after.split(" ")[0]))
    return mounts


def file_system_type(path: Path) -> str | None:
    """Return the type of the file system that holds ``path`` (``vfat``, ``ext4``…); None if the
    system does not say, as only Linux does.
    """
    try:
        mounts = parse_mounts(_MOUNTS.read_text("utf-8", "surrogateescape"))
    except OSError:
        return None
    place = Path(os.path.realpath(path))
    found = None
    depth = -1
    for point, kind in mounts:
        # Of two mounts on one point the later covers the earlier.
        if place.is_relative_to(point) and len(Path(point).parts) >= depth:
            found, depth = kind, len(Path(point).parts)
    return found
