"""The transparency log, pure: bytes and values in, values out.

    merkle      RFC 6962 trees: roots, inclusion and consistency proofs
    tiles       C2SP tlog-tiles: which files a tree consists of, and what is in them
    note        C2SP signed-note: notes, verifier keys, the two signature algorithms
    checkpoint  C2SP tlog-checkpoint, signed as a vault signs it
    proof       C2SP tlog-proof: one entry, provable without the log

Nothing here reads a file, a clock or randomness. Import the modules by name; this package
re-exports nothing, so that Merkle trees can be had without loading any signature library.
"""
