"""Bundles: items sealed together as one age file, stored in parts (docs/spec.md, "Bundles").

Writing: bag → age → parts of 1 GiB, digests on the way, each stage in a thread of its own. The age
file is encrypted to a fresh X-Wing recipient of the bundle alone, whose identity goes into the
small key file. Reading: the parts as one seekable file, so an item is opened without what lies
before it.
"""

from vault.bundle.items import (
    MAX_ITEM_RECORD,
    MAX_ITEM_RECORDS,
    Item,
    Items,
    names_line,
    read_items,
)
from vault.bundle.key import format_bundle_key, parse_bundle_key
from vault.bundle.reading import PartsReader, check_bag
from vault.bundle.writing import BundleWriter, Sealed, estimated_size

__all__ = [
    "MAX_ITEM_RECORD",
    "MAX_ITEM_RECORDS",
    "BundleWriter",
    "Item",
    "Items",
    "PartsReader",
    "Sealed",
    "check_bag",
    "estimated_size",
    "format_bundle_key",
    "names_line",
    "parse_bundle_key",
    "read_items",
]
