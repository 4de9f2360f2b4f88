"""`make demo`: the whole main job, with the real command, on real files, in plain words.

Two people: Amina, a reporter in the field, and Daniel, an editor at the desk. All stays below
`demo/vault-demo` (or `demo/vault-demo-2` and so on, if that is there already) to be explored.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from demo import material

_WIDTH: Final = 88
# So that the demonstration is quick. A real identity takes the default, which costs a guesser, and
# its owner, about a second a try.
_WORK_FACTOR: Final = "14"


class Stage:
    """The folder of one demonstration, and the two people's own computers in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._printed = False
        for person in ("amina", "daniel"):
            home = folder / f"{person}s-computer"
            home.mkdir(parents=True)
            secret = f"only for the demonstration of {person}\n"
            (home / "passphrase.txt").write_text(secret, encoding="utf-8")

    def say(self, text: str) -> None:
        """Print a paragraph."""
        words = text.split()
        line = ""
        print()
        for word in words:
            if len(line) + len(word) >= _WIDTH:
                print(line)
                line = ""
            line = f"{line} {word}" if line else word
        print(line, flush=True)

    def run(self, person: str | None, *arguments: str, expect: int = 0) -> str:
        """Run ``evault`` as ``person`` (None: a stranger without any key); show what it says.

        Ends the demonstration if the exit code is not ``expect``. Returns standard output.
        """
        home = self.folder / (f"{person}s-computer" if person else "strangers-computer")
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("EVAULT_")
        }
        environment |= {"EVAULT_HOME": str(home), "PYTHONUTF8": "1"}
        if person:
            environment["EVAULT_PASSPHRASE_FILE"] = str(home / "passphrase.txt")
        shown = " ".join(f"'{a}'" if " " in a else a for a in arguments)
        print(f"\n  {person or 'anybody'}$ evault {shown}", flush=True)
        done = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "evault_cli", *arguments],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        for line in (done.stdout + done.stderr).splitlines():
            print(f"  {line}".rstrip())
        if done.returncode != expect:
            sys.exit(f"\nThe demonstration failed: exit code {done.returncode}, not {expect}.")
        if expect:
            print(f"  (exit code {done.returncode})")
        return done.stdout


def _folder() -> Path:
    here = Path(__file__).parent
    number = 1
    while (folder := here / f"vault-demo{'' if number == 1 else f'-{number}'}").exists():
        number += 1
    return folder


def _evidence(stage: Stage) -> list[str]:
    files = material.make(stage.folder / "evidence")
    stage.say(
        "Amina has brought home four files: a photograph, a sound recording, a document, and a "
        "testimony in Urdu. A long video stays on a colleague's disk; she has only its digest."
    )
    for path in files:
        print(f"    {path.stat().st_size:>9,} bytes  {path.name}")
    return [str(path.relative_to(stage.folder)) for path in files]


def _flip_a_byte(stage: Stage) -> Path:
    """Copy the vault, and change one byte in the middle of the copy's evidence."""
    altered = stage.folder / "stick-that-was-altered"
    shutil.copytree(stage.folder / "stick", altered)
    (evidence,) = altered.rglob("evidence.0000")
    data = bytearray(evidence.read_bytes())
    data[len(data) // 2] ^= 1
    evidence.write_bytes(data)
    return altered


def main() -> None:
    """Run the demonstration."""
    stage = Stage(_folder())
    vault = "stick/vault"
    (stage.folder / "stick").mkdir()

    stage.say("1. Each of the two makes an identity, once. Daniel gives Amina his card.")
    for person in ("amina", "daniel"):
        stage.run(person, "identity", "new", "--work-factor", _WORK_FACTOR)
    stage.run("daniel", "card", "-o", "daniel.card", "--name", "Daniel, the desk")

    stage.say(
        "2. Amina makes a vault on a USB stick. Daniel is its only reader: what she seals, she "
        "can't open again herself, and so nobody can make her."
    )
    paper = stage.run("amina", "init", vault, "--reader", "daniel.card", "--name", "Amina").strip()

    *files, statement = _evidence(stage)
    held = material.HELD_ELSEWHERE
    stage.say("3. She seals all of it as one bundle.")
    bundle = stage.run(
        "amina",
        *("seal", vault, *files, "--testimony", statement),
        *("--media-hash", f"{held.sha256}:{held.name}"),
        *("--title", "Nur Pur, morning of 3 November"),
        *("--field", "place=Nur Pur", "--field", "captured_at=2025-11-03T07:42:18+05:00"),
        *("--field", "collector.name=Amina", "--field", "consent.status=limited"),
    ).strip()

    stage.say("4. What each of them sees in the list. First Amina, who can't read:")
    stage.run("amina", "list", vault)
    stage.say("and Daniel, who can:")
    stage.run("daniel", "list", vault)

    stage.say("5. Anybody can verify the vault, without any key:")
    stage.run(None, "verify", vault)

    stage.say("6. Amina can't open what she sealed, not even under pressure:")
    opening = ("open", vault, bundle[:8], "-o", "opened", "--purpose", "demonstration")
    stage.run("amina", *opening, expect=4)
    stage.say(
        "Daniel can. It is the first time that his computer writes to this vault, so he gives the "
        "vault's id from Amina's paper: a stick that was swapped on the way would have another. "
        "That he opened the bundle is recorded before he sees the first byte."
    )
    stage.run("daniel", *opening, "--vault-id", paper)
    for path in sorted((stage.folder / "opened").rglob("*")):
        if path.is_file():
            print(f"    {path.stat().st_size:>9,} bytes  {path.relative_to(stage.folder)}")
    originals = {p.name: p.read_bytes() for p in (stage.folder / "evidence").iterdir()}
    opened = {p.name: p.read_bytes() for p in (stage.folder / "opened").rglob("*") if p.is_file()}
    if any(opened.get(name) != data for name, data in originals.items()):
        sys.exit("\nThe demonstration failed: what was opened is not what was sealed.")
    stage.say("Each file is the same, byte for byte, as the one that was sealed.")

    stage.say("7. The chain of custody, as a lawyer asks for it:")
    stage.run("daniel", "custody", vault, bundle[:8])

    stage.say(
        "8. Last, a copy of the stick on which a single bit of the evidence has been changed. "
        "The stranger looks again:"
    )
    altered = _flip_a_byte(stage)
    stage.run(None, "verify", f"{altered.name}/vault", expect=1)

    stage.say(
        f"All of this is yours to explore, in {os.path.relpath(stage.folder)}. The passphrases "
        "are in passphrase.txt on each computer, for the demonstration only."
    )


if __name__ == "__main__":
    main()
