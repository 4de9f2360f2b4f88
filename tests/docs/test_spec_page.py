"""``docs/spec.md`` says what the code does: its tables, its names, and its words where they count.

The formats that the page puts into words are built here again from those words, by themselves.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

from vault import Identity, MemoryStore, Vault, bag, bundle, codec, commitment
from vault.custody import holding, roster
from vault.event import EVENT_TYPES, kinds

ROOT: Final = Path(__file__).parents[2]
SEVERITIES: Final = frozenset(("altered", "contradicted", "note"))

Page = Callable[[str], str]


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    """The script that fills the page's generated blocks."""
    where = ROOT / "docs" / "make_spec_tables.py"
    spec = importlib.util.spec_from_file_location("make_spec_tables", where)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def section(text: str, name: str) -> str:
    """Return what stands between the marks of a hand-written table."""
    found = re.search(rf"<!-- {name} -->\n(.*?)<!-- end of {name} -->", text, re.DOTALL)
    assert found is not None
    return found[1]


def first_cells(table: str) -> list[str]:
    return re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)


# --- generated blocks -------------------------------------------------------------------------


def test_no_generated_block_is_stale(page: Page, maker: ModuleType) -> None:
    text = page("spec")
    assert maker.filled(text) == text, "run: python docs/make_spec_tables.py"


def test_every_block_that_can_be_generated_is_on_the_page_once(
    page: Page, maker: ModuleType
) -> None:
    assert sorted(maker.names_in(page("spec"))) == sorted(maker.BLOCKS)


def test_the_script_says_that_a_changed_page_is_stale(
    page: Page, maker: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "spec.md"
    copy.write_text(page("spec").replace("padme(100) = 104", "padme(100) = 105"), encoding="utf-8")
    monkeypatch.setattr(maker, "PAGE", copy)
    monkeypatch.setattr("sys.argv", ["make_spec_tables.py", "--check"])
    assert maker.main() == 1
    monkeypatch.setattr("sys.argv", ["make_spec_tables.py"])
    assert maker.main() == 0
    assert copy.read_text(encoding="utf-8") == page("spec")


# --- names that the page and the code must share ----------------------------------------------


def trees(folder: str) -> Iterator[ast.AST]:
    for path in sorted((ROOT / "vault" / folder).rglob("*.py")):
        yield ast.parse(path.read_text(encoding="utf-8"))


def texts(node: ast.AST | None) -> set[str]:
    """Return the text constants that an expression may be; a formatted one gives its start."""
    match node:
        case ast.Constant(value=str(value)):
            return {value}
        case ast.IfExp(body=body, orelse=orelse):
            return texts(body) | texts(orelse)
        case ast.JoinedStr(values=[ast.Constant(value=str(start)), *_]):
            return {f"{start}<>"}
    return set()


def rules_in_code() -> set[str]:
    found: set[str] = set()
    for tree in trees("custody"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple):
                found |= texts(node.value.elts[0])
    for tree in trees("."):
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Name(id="CustodyError"), args=[first, *_]):
                    found |= texts(first)
    return found


def test_the_page_and_the_code_name_the_same_rules(page: Page) -> None:
    named = first_cells(section(page("spec"), "rules"))
    assert len(named) == len(set(named))
    assert set(named) == rules_in_code()


def arguments(function: ast.FunctionDef, name: str, modules: list[ast.AST]) -> set[str]:
    """Return the texts that a parameter is given: its default, and at every call."""
    names = [argument.arg for argument in function.args.args]
    if name not in names:
        return set()
    place = names.index(name)
    defaults = dict(zip(reversed(names), reversed(function.args.defaults), strict=False))
    found = texts(defaults.get(name))
    for call in (node for module in modules for node in ast.walk(module)):
        if isinstance(call, ast.Call) and getattr(call.func, "id", None) == function.name:
            found |= texts(call.args[place]) if len(call.args) > place else set()
            found |= {
                text for word in call.keywords if word.arg == name for text in texts(word.value)
            }
    return found


def findings_in_code() -> set[tuple[str, str]]:
    """Return (code, severity) of every ``Finding`` that is made; ``<>`` ends a code that varies."""
    found: set[tuple[str, str]] = set()
    modules = list(trees("auditing"))
    functions = (node for module in modules for node in ast.walk(module))
    for function in functions:
        if not isinstance(function, ast.FunctionDef):
            continue
        assigned: dict[str, set[str]] = {}
        for node in ast.walk(function):
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    assigned[name] = assigned.get(name, set()) | texts(value)
                case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                    for one, value in zip(names, values, strict=True):
                        if isinstance(one, ast.Name):
                            assigned[one.id] = assigned.get(one.id, set()) | texts(value)
        for node in ast.walk(function):
            match node:
                case ast.Call(
                    func=ast.Name(id="Finding") | ast.Attribute(attr="add"),
                    args=[code, ast.Constant(value=str(severity)), *_],
                ) if severity in SEVERITIES:
                    codes = texts(code)
                    if isinstance(code, ast.Name):
                        codes = assigned.get(code.id) or arguments(function, code.id, modules)
                    assert codes, ast.dump(code)
                    found |= {(one, severity) for one in codes}
    return found


def test_the_page_and_the_code_name_the_same_findings(page: Page) -> None:
    table = section(page("spec"), "findings")
    rows = re.findall(r"^\| `([^`]+)` \| ([a-z]+) \|", table, re.MULTILINE)
    named = {(re.sub(r"<[a-z]+>", "<>", code), severity) for code, severity in rows}
    assert len(named) == len(rows)
    rules = {(f"rule-{rule}", "contradicted") for rule in rules_in_code()}
    assert named == findings_in_code() - rules


def test_the_page_names_every_type_of_event(page: Page) -> None:
    text = page("spec")
    assert all(f"| `{name}` |" in text for name in EVENT_TYPES)


def patterns_of_the_directory(text: str) -> list[re.Pattern[str]]:
    block = re.search(r"^FORMAT  .*?^```", text, re.MULTILINE | re.DOTALL)
    assert block is not None
    kinds = {
        "<L>": "[0-7]",
        "<N>": "(x[0-9]{3}/)*[0-9]{3}",
        "[.p/<W>]": r"(\.p/[0-9]{1,3})?",
        "<bundle>": "[0-9a-f]{32}",
        "<epoch>": "[0-9a-f]{16}",
        "<sha256>": "[0-9a-f]{64}",
        "<4 digits>": "[0-9]{4}",
        "<first 2 hex digits>": "[0-9a-f]{2}",
    }
    patterns = []
    for line in block[0].splitlines():
        name = re.escape(re.split(r"  +", line)[0])
        for word, pattern in kinds.items():
            name = name.replace(re.escape(word), pattern)
        patterns.append(re.compile(rf"{name}\Z"))
    return patterns


def test_every_file_of_a_vault_has_a_name_from_the_page(page: Page) -> None:
    store, me = MemoryStore(), Identity(bytes(32))
    with Vault.create(store, identity=me, readers=[me]) as vault:
        with vault.seal({"title": "one"}) as writer:
            writer.add_stream("a", 1, io.BytesIO(b"a"))
        for number in range(3):
            vault.append("vault.noted", fields={"text": str(number)})
    patterns = patterns_of_the_directory(page("spec"))
    names = [name for name, _ in store.list()]
    assert len(names) > 12
    for name in names:
        assert any(pattern.match(name) for pattern in patterns), name


@pytest.mark.parametrize("name", ["spec", "threat-model", "recovery", "quickstart", "api"])
def test_every_link_of_a_page_leads_somewhere(name: str, page: Page) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page(name)):
        file, _, anchor = target.partition("#")
        if file.startswith("https://"):
            continue
        other = ROOT / "docs" / file if file else ROOT / "docs" / f"{name}.md"
        assert other.is_file(), target
        if anchor:
            heads = re.findall(r"^#+ (.*)$", other.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^a-z0-9 -]", "", head.lower()).replace(" ", "-") for head in heads}
            assert anchor in slugs, target


# --- the page's words, taken at their word ----------------------------------------------------


def header_of_the_page(name: str, size: int, mtime: int) -> bytes:
    """Build a tar header as section 9.1 describes it."""

    def block(name: str, kind: bytes, mode: bytes, size: int, mtime: int) -> bytes:
        fields = (
            (0, name.encode()),
            (100, mode),
            (108, b"0000000\0"),
            (116, b"0000000\0"),
            (124, b"%011o\0" % size),
            (136, b"%011o\0" % mtime),
            (148, b" " * 8),
            (156, kind),
            (257, b"ustar\x0000"),
        )
        made = bytearray(512)
        for offset, content in fields:
            made[offset : offset + len(content)] = content
        made[148:156] = b"%06o\0 " % sum(made)
        return bytes(made)

    directory = name.endswith("/")
    kind, mode = (b"5", b"0000755\0") if directory else (b"0", b"0000644\0")
    if size < 2**33:
        return block(name, kind, mode, size, mtime)
    rest = f" size={size}\n"
    length = len(rest) + 2  # two digits: no size makes the record longer than 99
    record = f"{length}{rest}".encode()
    pax = block("././@PaxHeader", b"x", b"0000000\0", len(record), 0)
    return pax + record.ljust(512, b"\0") + block(name, kind, mode, 0, mtime)


@pytest.mark.parametrize("size", [0, 1, 511, 512, 2**33 - 1, 2**33, 10**12, 2**50])
@pytest.mark.parametrize("mtime", [0, 1767225600, 8**11 - 1])
def test_a_tar_header_is_what_the_page_describes(size: int, mtime: int) -> None:
    top = bytes(16).hex()
    for name in (f"{top}/data/000000.jpg", f"{top}/bagit.txt"):
        assert bag.tar_header(name, size, mtime) == header_of_the_page(name, size, mtime)
    if not size:
        for name in (f"{top}/", f"{top}/data/"):
            assert bag.tar_header(name, 0, mtime) == header_of_the_page(name, 0, mtime)


def test_padme_is_what_the_page_describes() -> None:
    for n in [*range(5000), *(2**e + d for e in range(13, 60) for d in (-1, 0, 1, 12345))]:
        if n < 2:
            expected = n
        else:
            e = n.bit_length() - 1
            s = len(f"{e:b}")
            m = 2 ** (e - s) - 1 if e > s else 0
            expected = (n + m) & ~m
        assert codec.padme(n) == expected, n
        assert codec.padme(n) <= n * 1.12


def test_a_committed_root_is_what_the_page_describes() -> None:
    fields = [commitment.Field("one", bytes(16), "1"), commitment.Field("two", bytes(16), ())]
    sha256 = hashlib.sha256
    leaves = [
        sha256(b"\0" + codec.pack((one.name, one.salt, one.value))).digest() for one in fields
    ]
    root = sha256(b"\1" + leaves[0] + leaves[1]).digest()
    label = b"evidence-vault/item/v1\0"
    expected = sha256(b"\2" + label + (2).to_bytes(8, "big") + root).digest()
    assert commitment.fields_root(commitment.ITEM_LABEL, fields) == expected
    outer = sha256(b"\0" + expected).digest()
    label = b"evidence-vault/items/v1\0"
    assert (
        commitment.items_root([expected])
        == sha256(b"\2" + label + (1).to_bytes(8, "big") + outer).digest()
    )


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain.txt", "plain.txt"),
        ("گواہ کا بیان.txt", "گواہ کا بیان.txt"),
        (b"caf\xe9.txt", r"caf\xe9.txt"),
        ("a\tb\nc\rd", r"a\tb\nc\rd"),
        ("\x1b[31m\x85\x7f", r"\x1b[31m\x85\x7f"),
        ("gpj.\u202eexe\u2028\ufeff", r"gpj.\u202eexe\u2028\ufeff"),
        (r"back\slash", r"back\slash"),
    ],
)
def test_a_line_of_names_txt_is_what_the_page_describes(name: str | bytes, shown: str) -> None:
    values: dict[str, codec.Packable] = {"original_name": name, "path": "data/000000"}
    fields = commitment.commit_fields(tuple(values), values, bytes)
    assert bundle.names_line(bundle.Item(0, fields)) == f"data/000000\t{shown}\n".encode()
    assert bundle.names_line(bundle.Item(0, fields[:1])) == f"-\t{shown}\n".encode()


def test_the_first_commit_is_what_the_page_describes() -> None:
    me, other = Identity(bytes(32)), Identity(bytes(31) + b"\1")
    with Vault.create(MemoryStore(), identity=me, readers=[me, other]) as vault:
        types = [event.type for event in vault.events()]
        assert types == ["vault.created", "member.admitted", "member.admitted", "epoch.opened"]
        epoch = vault.event(3).data["epoch"]
        assert {event.sealed.epoch for event in vault.events() if event.sealed} == {epoch}
        assert vault.id == hashlib.sha256(vault.event(0).leaf).digest()


# --- effects and bounds -----------------------------------------------------------------------


def test_the_table_of_effects_has_every_type_and_no_effect_where_the_code_has_none(
    page: Page,
) -> None:
    table = section(page("spec"), "effects")
    rows = re.findall(r"^\| `([^`]+)` \| (.*) \|$", table, re.MULTILINE)
    assert sorted(name for name, _ in rows) == sorted(EVENT_TYPES)
    idle = {name for name, effect in rows if re.match(r"none\b(?! is due)", effect)}
    applied = {"vault.created", "bundle.sealed", *holding.APPLY, *roster.APPLY}
    assert idle == EVENT_TYPES.keys() - applied


@pytest.mark.parametrize(
    ("value", "good"),
    [
        ("2026", True),
        ("2026-03", True),
        ("2026-02-28", True),
        ("2026-02-29", False),
        ("0000", False),
        ("2026-03-01T09:05Z", True),
        ("2026-03-01T09:05:59.123456789-23:59", True),
        ("2026-03-01T09:05-00:00", True),
        ("2026-03-01T09:05", False),
        ("2026-03-01T09Z", False),
        ("2026-03-01T09:05.5Z", False),
        ("2026-03-01T09:05:60Z", False),
        ("2026-03-01T24:00Z", False),
        ("2026-03-01T09:05+24:00", False),
        ("2026-03-01t09:05Z", False),
        ("2026-03-01T09:05z", False),
        ("2026-03-01T09:05:59.1234567890Z", False),
    ],
)
def test_a_time_is_what_the_page_describes(value: str, good: bool) -> None:
    assert kinds.TIME.accepts(value) is good


def test_the_bounds_of_kinds_are_what_the_page_says() -> None:
    for kind in (kinds.UINT, kinds.SEQ):
        assert kind.accepts(2**63 - 1)
        assert not kind.accepts(2**63)
    assert not kinds.FILE.accepts((bytes(32), 2**63))
    assert kinds.FILE_NAME.accepts(b"\xff" * 65536)
    assert not kinds.FILE_NAME.accepts(b"\xff" * 65537)
    assert not kinds.FILE_NAME.accepts(b"plain.txt")
    for kind in (kinds.ROLES, kinds.MEMBERS, kinds.EPOCHS, kinds.PARTS, kinds.TEXTS):
        assert not kind.accepts(())
    assert kinds.TEXT.accepts("\U0001f512" * 65536)


def test_white_space_that_a_card_name_may_not_end_with_is_what_the_page_lists() -> None:
    listed = {0x20, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000}
    code_points = (*range(0xD800), *range(0xE000, 0x110000))
    found = {one for one in code_points if chr(one).isspace() and codec.is_line(chr(one))}
    assert found == listed
