"""The command line of Evidence Vault: ``evault``. It holds no logic: parse, call, render."""
