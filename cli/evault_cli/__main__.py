"""``python -m evault_cli``."""

from evault_cli.main import run

run()
