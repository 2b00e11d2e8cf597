"""The ledger: what every line of every run gave, kept under a key of all that can change it."""

from __future__ import annotations

from pytest_llmops.ledger.base import BlankJournal, RunJournal
from pytest_llmops.ledger.context import definition_of, holds_secret, is_its_folder
from pytest_llmops.ledger.files import UNREADABLE, FileDigests, Stamp, check_readable, digest_of, is_ignored, stamp
from pytest_llmops.ledger.ledger import Explanation, Ledger
from pytest_llmops.ledger.project import Project, project_of, short_digest
from pytest_llmops.ledger.reads import digest_of_variable
from pytest_llmops.ledger.upkeep import Info

__all__ = [
    "UNREADABLE",
    "BlankJournal",
    "Explanation",
    "FileDigests",
    "Info",
    "Ledger",
    "Project",
    "RunJournal",
    "Stamp",
    "check_readable",
    "definition_of",
    "digest_of",
    "digest_of_variable",
    "holds_secret",
    "is_ignored",
    "is_its_folder",
    "project_of",
    "short_digest",
    "stamp",
]
