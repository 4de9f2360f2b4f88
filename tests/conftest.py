"""What every test shares: Hypothesis's profiles, two lines of report, one option.

Property tests are derandomised: every run, here and elsewhere, tries the same examples, so a
failure is never luck. ``--hypothesis-profile=search`` looks further, at random, and prints how to
repeat what it finds.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("repeat", derandomize=True, deadline=None, database=None)
hypothesis.settings.register_profile("search", deadline=None, max_examples=2000, print_blob=True)
hypothesis.settings.load_profile("repeat")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--wheel", type=Path, help="look inside this wheel instead of building one")


def pytest_report_header(config: pytest.Config) -> str:
    profile = config.getoption("hypothesis_profile", None) or "repeat"
    seed = config.getoption("hypothesis_seed", None)
    fixed = "examples fixed by each test" if profile == "repeat" else "examples at random"
    return f"hypothesis: profile {profile}, {fixed if seed is None else f'seed {seed}'}"


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say how many changes to a vault were found; after a conformance run, how much was held
    against each other implementation.
    """
    changes = sum(
        int(str(value))
        for report in terminalreporter.stats.get("", ())
        if report.when == "teardown"
        for name, value in report.user_properties
        if name == "changes"
    )
    if changes:
        terminalreporter.line(f"changes to the files of a vault, each found by an audit: {changes}")
    if config.getoption("markexpr") != "conformance":
        return
    counts = Counter(
        (report.nodeid.split("::")[0], outcome)
        for outcome in ("passed", "failed", "error", "skipped")
        for report in terminalreporter.stats.get(outcome, ())
    )
    terminalreporter.section("conformance")
    for (module, outcome), count in sorted(counts.items()):
        terminalreporter.write_line(f"{count:6} {outcome:8} {module}")
