"""What is taken away from the code, and which command has to notice: a table, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["MUTANTS", "Command", "Edit", "Mutant"]

Command = tuple[str, ...]

POWER: Final[Command] = ("-m", "tests.crash.powerloss", "--states", "2800", "--seed", "7")
FAULTS: Final[Command] = ("-m", "tests.crash.faults", "--faults", "500", "--seed", "7")
CROWD: Final[Command] = ("-m", "tests.crash.concurrency", "--rounds", "2", "--seed", "7")


def tests(*names: str) -> Command:
    """Return the command that runs test files until one test fails."""
    own = ("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-W", "error")
    return (*own, *(f"tests/{name}" for name in names))


ORDER: Final = tests("storage/test_local_durability.py")
ROT: Final = tests("crash/test_rot.py", "audit/test_every_byte.py")
LOG: Final = tests("log/test_log.py")
SINGLE: Final = tests("rooms/test_single_file.py")
STORAGE: Final = tests("storage")
FORGET: Final = tests("formats/test_localstate.py", "cli/test_cli_seizing.py")
AUDIT: Final = tests("audit")


@dataclass(frozen=True, slots=True)
class Edit:
    """``old``, which stands once in the file, becomes ``new``."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """What is taken away, and the commands of which one must notice."""

    name: str
    edits: tuple[Edit, ...]
    caught_by: tuple[Command, ...]


def _mutant(name: str, file: str, old: str, new: str, *caught_by: Command) -> Mutant:
    return Mutant(name, (Edit(file, old, new),), caught_by)


_DURABILITY: Final = "vault/storage/durability.py"
_TRANSACTION: Final = "vault/storage/transaction.py"
_LOCAL: Final = "vault/storage/local.py"
_FILES: Final = "vault/storage/files.py"
_SINGLE: Final = "vault/storage/single.py"
_STATE: Final = "vault/localstate.py"
_AUDIT: Final = "vault/auditing/logs.py"
_SESSION: Final = "vault/storage/session.py"
_LOG: Final = "vault/log/__init__.py"
_IDENTITY: Final = "vault/identity.py"
_FOLDER: Final = "vault/extracting/folder.py"
_CHECKPOINT: Final = "vault/tlog/checkpoint.py"

MUTANTS: Final = (
    # --- flushes ----------------------------------------------------------------------------------
    _mutant(
        "no fsync of a new file",
        _FILES,
        "            with named(self._path):\n                sync_file(fd)\n",
        "",
        POWER,
    ),
    _mutant(
        "no fsync of a commit's files",
        _SESSION,
        "                write_all(fd, data)\n                sync_file(fd)\n",
        "                write_all(fd, data)\n",
        POWER,
    ),
    _mutant(
        "no fsync of the room for a checkpoint",
        _TRANSACTION,
        "                write_all(fd, bytes(_ROOM))\n                sync_file(fd)\n",
        "                write_all(fd, bytes(_ROOM))\n",
        ORDER,
    ),
    _mutant(
        "no fsync of the signed checkpoint",
        _TRANSACTION,
        "                write_all(fd, signed)\n                sync_file(fd)\n",
        "                write_all(fd, signed)\n",
        POWER,
    ),
    _mutant(
        "no fsync of a staged directory",
        _FILES,
        "            directory.sync()\n            # Before",
        "            # Before",
        POWER,
    ),
    _mutant(
        "no fsync of the directories of a commit",
        _TRANSACTION,
        "            _sync_folders(root, (*files, PENDING))\n",
        "",
        POWER,
    ),
    _mutant(
        "no fsync of the directory that a commit's files left",
        _TRANSACTION,
        "            session.directory.sync()\n            signed",
        "            signed",
        ORDER,
    ),
    _mutant(
        "no fsync of log/ after the checkpoint was renamed",
        _TRANSACTION,
        "_CHECKPOINT_PART)\n    log.sync()\n",
        "_CHECKPOINT_PART)\n",
        POWER,
    ),
    _mutant(
        "no fsync of a new file's directories",
        _DURABILITY,
        "        sync_chain(chain)\n    source.sync()\n",
        "    source.sync()\n",
        POWER,
    ),
    _mutant(
        "no fsync of the directory that a new file left",
        _DURABILITY,
        "        sync_chain(chain)\n    source.sync()\n",
        "        sync_chain(chain)\n",
        ORDER,
    ),
    _mutant(
        "no fsync of what a racing writer put there",
        _DURABILITY,
        "        except FileExistsError:\n            sync_chain(chain)\n            raise\n",
        "        except FileExistsError:\n            raise\n",
        ORDER,
    ),
    _mutant(
        "no fsync of the directories of a commit that is finished",
        _TRANSACTION,
        "        sync_chain(chain)\n        session.directory.sync()\n        _switch(chain[-1])\n",
        "        session.directory.sync()\n        _switch(chain[-1])\n",
        ORDER,
    ),
    _mutant(
        "no fsync of the directory that a finished checkpoint left",
        _TRANSACTION,
        "        sync_chain(chain)\n        session.directory.sync()\n        _switch(chain[-1])\n",
        "        sync_chain(chain)\n        _switch(chain[-1])\n",
        ORDER,
    ),
    _mutant(
        "no fsync after a file was deleted",
        _LOCAL,
        "            chain[-1].unlink(part)\n            chain[-1].sync()\n",
        "            chain[-1].unlink(part)\n",
        ORDER,
    ),
    _mutant(
        "no fsync after a directory was deleted",
        _LOCAL,
        "            remove_tree(chain[-1], part)\n            chain[-1].sync()\n",
        "            remove_tree(chain[-1], part)\n",
        ORDER,
    ),
    _mutant(
        "no fsync of an identity file, a card, a pin",
        _SINGLE,
        "                    write_all(fd, data)\n                    sync_file(fd)\n",
        "                    write_all(fd, data)\n",
        SINGLE,
    ),
    _mutant(
        "no fsync of the directory of an identity file, a card, a pin",
        _SINGLE,
        "            raise\n        directory.sync()\n",
        "            raise\n",
        SINGLE,
    ),
    _mutant(
        "no fsync after a trace was removed",
        _STATE,
        "        directory.unlink(path.name)\n        directory.sync()\n",
        "        directory.unlink(path.name)\n",
        FORGET,
    ),
    _mutant(
        "no fsync of the zeros over a trace",
        _STATE,
        "        write_all(descriptor, bytes(size))\n        sync_file(descriptor)\n",
        "        write_all(descriptor, bytes(size))\n",
        FORGET,
    ),
    _mutant(
        "no fsync of the directory that a vault is made in",
        _LOCAL,
        "            parent.sync()\n",
        "            pass\n",
        ORDER,
    ),
    # --- order ------------------------------------------------------------------------------------
    Mutant(
        "tiles put in place after the checkpoint",
        (
            Edit(_TRANSACTION, "            _install(root, session, files, new)\n", ""),
            Edit(
                _TRANSACTION,
                "            close_quietly(fd)\n        _switch(log)\n",
                "            close_quietly(fd)\n        _switch(log)\n"
                "        _install(root, session, files, new)\n",
            ),
            Edit(
                _TRANSACTION,
                "            _sync_folders(root, (*files, PENDING))\n",
                "            _sync_folders(root, (PENDING,))\n",
            ),
        ),
        (POWER, FAULTS),
    ),
    Mutant(
        "the checkpoint renamed before it is flushed",
        (
            Edit(
                _TRANSACTION,
                "                write_all(fd, signed)\n                sync_file(fd)\n",
                "                write_all(fd, signed)\n                _switch(log)\n"
                "                sync_file(fd)\n",
            ),
            Edit(
                _TRANSACTION,
                "            close_quietly(fd)\n        _switch(log)\n",
                "            close_quietly(fd)\n",
            ),
        ),
        (POWER, ORDER),
    ),
    _mutant(
        "the checkpoint written over in its place",
        _TRANSACTION,
        "    log.replace(_PENDING_PART, log, _CHECKPOINT_PART)\n",
        "    with open(log.path_of(_PENDING_PART), 'rb') as file:\n"
        "        data = file.read()\n"
        "    fd = os.open(log.path_of(_CHECKPOINT_PART), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)\n"
        "    write_all(fd, data)\n"
        "    sync_file(fd)\n"
        "    os.close(fd)\n"
        "    log.unlink(_PENDING_PART)\n",
        ORDER,
        POWER,
    ),
    _mutant(
        "a short write taken for a whole one",
        _DURABILITY,
        "            start += count\n\n\ndef read_into",
        "            start = len(rest)\n\n\ndef read_into",
        FAULTS,
        tests("crash/test_faults.py"),
    ),
    # --- locks and judgement ----------------------------------------------------------------------
    _mutant(
        "a commit without the lock",
        _LOCAL,
        "        with vault_lock(self._root, self._lock_timeout):\n"
        "            if self._content(CHECKPOINT) != expected:\n",
        "        if True:\n            if self._content(CHECKPOINT) != expected:\n",
        CROWD,
    ),
    _mutant(
        "a commit on another checkpoint than the expected one",
        _LOCAL,
        "            if self._content(CHECKPOINT) != expected:\n",
        "            if False:\n",
        CROWD,
    ),
    _mutant(
        "a signed pending checkpoint overwritten",
        _LOG,
        "            if pending is None or not self._is_successor(pending):\n",
        "            if True:\n",
        FAULTS,
    ),
    _mutant(
        "a pending checkpoint that nobody judged overwritten",
        _LOCAL,
        "            if self.pending() not in (None, judged):\n",
        "            if False:\n",
        tests("storage"),
    ),
    _mutant(
        "room that was not cut off taken for the end of a checkpoint",
        _LOCAL,
        '        content = without_room(self._content(PENDING) or b"")\n',
        '        content = self._content(PENDING) or b""\n',
        tests("log/test_room_behind_a_checkpoint.py"),
    ),
    _mutant(
        "files of a writer who lives swept away",
        _SESSION,
        "        except Timeout:\n            continue\n        _remove_entry(",
        "        except Timeout:\n            pass\n        _remove_entry(",
        tests("storage"),
        CROWD,
    ),
    Mutant(
        "an opened file that has its name before it is whole",
        (
            Edit(_FOLDER, '            new = f".{secrets.token_hex(8)}.part"\n', ""),
            Edit(_FOLDER, "directory.create(new)", "directory.create(parts[-1])"),
            Edit(_FOLDER, "            directory.move(new, directory, parts[-1])\n", ""),
        ),
        (tests("bundles/test_new_folder.py"),),
    ),
    _mutant(
        "an error of tidying reported as one of the work",
        _SESSION,
        "        except (OSError, StateError) as error:\n            _logger.warning(",
        "        except ZeroDivisionError as error:\n            _logger.warning(",
        FAULTS,
        tests("crash/test_faults.py"),
    ),
    _mutant(
        "directories left of a vault that could not be made",
        "vault/founding.py",
        "            with suppress(FileNotFoundError):\n                store.delete_tree(name)\n",
        "            pass\n",
        tests("crash/test_faults.py"),
    ),
    # --- digests ----------------------------------------------------------------------------------
    _mutant(
        "no reading back after sealing",
        "vault/sealing.py",
        "self._writer.read_back(sealed)",
        "True",
        tests("bundles"),
    ),
    _mutant(
        "no digest of a file in the audit",
        "vault/auditing/files.py",
        "        if digest != file.sha256:\n",
        "        if not digest:\n",
        ROT,
    ),
    _mutant(
        "no digest of a small file that is read",
        "vault/stored.py",
        " or hashlib.sha256(data).digest() != sha256",
        "",
        tests("log", "audit", "rooms/test_looking.py"),
    ),
    _mutant(
        "no comparison of the root",
        _LOG,
        "        if grown.root() != head.root:\n",
        "        if False:\n",
        LOG,
    ),
    _mutant(
        "no comparison of the tiles",
        "vault/auditing/tree.py",
        "        elif audit.tree is not None and data != tile_data(tile, audit.tree):\n",
        "        elif False:\n",
        ROT,
    ),
    _mutant(
        "no reading back of an identity under its new passphrase",
        "cli/evault_cli/identities.py",
        "        session.keep(parse_identity_file(data, passphrase))\n",
        "",
        tests("cli/test_cli_identities.py"),
    ),
    # --- signatures and rules ---------------------------------------------------------------------
    _mutant(
        "no Ed25519 proof of a member's keys",
        _IDENTITY,
        "    note.verify_ed25519(proven.keys.ed25519, message, proven.ed25519_proof)\n",
        "",
        tests("formats/test_identity.py"),
    ),
    _mutant(
        "no ML-DSA-44 proof of a member's keys",
        _IDENTITY,
        "    note.verify_ml_dsa_44(proven.keys.ml_dsa_44, message, proven.ml_dsa_44_proof)\n",
        "",
        tests("formats/test_identity.py"),
    ),
    _mutant(
        "no signature of a card",
        _IDENTITY,
        '            note.verify_ed25519(ed25519, signed.text.encode("utf-8"), signature)\n',
        "            pass\n",
        tests("formats/test_identity.py"),
    ),
    _mutant(
        "no signature of an access record",
        "vault/access.py",
        '            note.verify_ed25519(record.actor, signed.text.encode("utf-8"), signature)\n',
        "            pass\n",
        tests("formats/test_access.py"),
    ),
    _mutant(
        "no comparison of an audit with what this machine saw last",
        "vault/auditing/anchors.py",
        "        check_pin(kept.checkpoint, ",
        "        _ = (kept.checkpoint, ",
        tests("audit/test_anchors.py"),
    ),
    _mutant(
        "no comparison of a writer with what this machine saw last",
        "vault/localstate.py",
        "        check_pin(pin.checkpoint, state.origin, log.size, log.tree, place)\n",
        "        pass\n",
        tests("formats/test_localstate.py", "rooms"),
    ),
    _mutant(
        "no signature of an event",
        "vault/event/encoding.py",
        "    note.verify_ed25519(event.actor, EVENT_LABEL + event.body, event.sig)\n",
        "",
        tests("formats/test_event_encoding.py"),
    ),
    _mutant(
        "no head of an event",
        _LOG,
        "            if seq and event.head != tree.root(seq):\n",
        "            if False:\n",
        LOG,
    ),
    _mutant(
        "no signer of a checkpoint",
        _LOG,
        "        check_checkpoint(signed, keys.ed25519, keys.ml_dsa_44, origin=state.origin)\n",
        "",
        LOG,
    ),
    _mutant(
        "no Ed25519 signature of a checkpoint",
        _CHECKPOINT,
        "    verify_ed25519(ed25519, signed.note.text.encode(), classical.data)\n",
        "",
        tests("tlog/test_checkpoint.py"),
    ),
    _mutant(
        "no ML-DSA-44 signature of a checkpoint",
        _CHECKPOINT,
        "    verify_ml_dsa_44(ml_dsa_44, _message(checkpoint), "
        "quantum.data[len(_NO_TIMESTAMP) :])\n",
        "",
        tests("tlog/test_checkpoint.py"),
    ),
    _mutant(
        "no rule of custody on writing",
        _LOG,
        "            for breach in custody.broken(event):\n",
        "            for breach in ():\n",
        LOG,
    ),
    # --- paths ------------------------------------------------------------------------------------
    _mutant(
        "links are followed",
        _DURABILITY,
        '_NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)\n',
        "_NO_FOLLOW: Final = 0\n",
        tests("storage"),
    ),
    _mutant(
        "a file that is there opened to be made",
        _DURABILITY,
        "os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr",
        "os.O_RDWR | os.O_CREAT | getattr",
        tests("storage"),
    ),
    _mutant(
        "files that others may read",
        _DURABILITY,
        "_FILE_MODE: Final = 0o600\n",
        "_FILE_MODE: Final = 0o644\n",
        tests("storage", "cli/test_cli_identities.py"),
    ),
    _mutant(
        "a new file takes the place of one that is there",
        _DURABILITY,
        "        if target.has(new):\n",
        "        if False:\n",
        tests("storage"),
    ),
    # --- more locks, digests and signatures ----------------------------------------------------
    _mutant(
        "a pending commit finished without the lock",
        _LOCAL,
        "        with vault_lock(self._root, self._lock_timeout):\n            there",
        "        if True:\n            there",
        STORAGE,
    ),
    _mutant(
        "a writer whose files nothing says are hers",
        _SESSION,
        "            self._lock.acquire()\n            try:\n                chain[-1].make(",
        "            try:\n                chain[-1].make(",
        STORAGE,
    ),
    _mutant(
        "a pin without the lock",
        _STATE,
        '        with FileLock(path.with_name("lock"), timeout=_PATIENCE, '
        "fallback_to_soft=False):\n",
        "        with suppress():\n",
        FORGET,
    ),
    _mutant(
        "no reading back of what was encrypted again",
        "vault/rekeying/writing.py",
        "        _read_back(vault, news)\n",
        "",
        tests("rooms/test_rekeying.py"),
    ),
    _mutant(
        "no digest of an item in its bag",
        "vault/bundle/reading.py",
        "        if bag.item(path, size) != sha256:\n",
        "        if bag.item(path, size) == b'':\n",
        tests("bundles", "audit/test_deep.py"),
    ),
    _mutant(
        "no digest of an item that is read",
        "vault/reading.py",
        "self._digested == self.size and self._digest.digest() != self._sha256",
        "self._digested == self.size and not self._sha256",
        tests("bundles", "log", "rooms"),
    ),
    _mutant(
        "no digest of a bundle that is accepted",
        "vault/rehash.py",
        "        if (position, digest.digest()) != (size, sha256):\n",
        "        if position != size:\n",
        tests("rooms/test_handover.py"),
    ),
    _mutant(
        "no MAC of an age header",
        "vault/age/header.py",
        "    if not hmac.compare_digest(_mac(covered, file_key), header.mac):\n",
        "    if not header.mac:\n",
        tests("age"),
    ),
    _mutant(
        "no signature of the checkpoint that an event closes",
        "vault/custody/__init__.py",
        "            checkpoint.check_checkpoint("
        "signed, closer.keys.ed25519, closer.keys.ml_dsa_44)\n",
        "            assert closer\n",
        tests("custody"),
    ),
    _mutant(
        "no signature of a checkpoint in the audit",
        _AUDIT,
        "        check_checkpoint(\n"
        "            audit.signed, member.keys.ed25519, member.keys.ml_dsa_44, "
        "origin=audit.state.origin\n        )\n",
        "        assert check_checkpoint\n",
        AUDIT,
    ),
    _mutant(
        "no signature of an event in the audit",
        _AUDIT,
        "        check_event_signature(event)\n",
        "        assert check_event_signature\n",
        AUDIT,
    ),
    _mutant(
        "no head of an event in the audit",
        _AUDIT,
        "    if seq and event.head != audit.tree.root(seq):\n",
        "    if seq and not event.head:\n",
        AUDIT,
    ),
    _mutant(
        "no signature of a checkpoint whose signer is looked for",
        "vault/custody/signers.py",
        "            check_checkpoint(signed, keys.ed25519, keys.ml_dsa_44, origin=state.origin)\n",
        "            assert check_checkpoint\n",
        tests("log", "audit"),
    ),
    _mutant(
        "no signature of the checkpoint of a proof",
        "vault/tlog/proof.py",
        "    check_checkpoint(signed, ed25519, ml_dsa_44, origin=origin)\n",
        "",
        tests("tlog"),
    ),
    _mutant(
        "no look at a signature that was just made",
        _CHECKPOINT,
        "    check_checkpoint(parse_signed_checkpoint(raw), signer.ed25519, signer.ml_dsa_44)\n",
        "",
        tests("tlog", "log"),
    ),
    _mutant(
        "no signature of an event that is read",
        _LOG,
        "            check_event_signature(event)\n            if seq and",
        "            if seq and",
        tests("log"),
    ),
    _mutant(
        "no signature of an event that is to be written",
        _LOG,
        "            check_event_signature(event)\n            events.append(event)\n",
        "            events.append(event)\n",
        tests("log"),
    ),
)
