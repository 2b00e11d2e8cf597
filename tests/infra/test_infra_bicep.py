"""The sample of Azure resources: parsed, and checked for what a parser alone does not see. Nothing is deployed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pycep import BicepParser

INFRA = Path(__file__).parents[2] / "infra"
FILES = sorted(INFRA.glob("*.bicep"))
ROLES = {
    "acrPull": "7f951dda-4ed3-4680-a7ca-43fe172d538d",
    "azureMLDataScientist": "f6c7c914-8db3-469d-8ca1-694a8f32e121",
    "managedIdentityOperator": "f1a07417-d97a-45cb-824c-7a7467783830",
    "metricsWriter": "635dd51f-9968-44d3-b7fb-6d9a6bd613ae",
    "storageBlobDataContributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    "storageBlobDataReader": "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
    "workspaceConnectionSecretsReader": "ea01e6af-a1c1-4350-9563-ad00f8c72ec5",
}
"""Azure's built-in roles, by the names that the files give them."""
FUNCTIONS = {"empty", "guid", "resourceGroup", "subscription", "subscriptionResourceId", "take", "uniqueString"}
_COMMENT = re.compile(r"//.*")
_TEXT = re.compile(r"'((?:[^'\\]|\\.)*)'")
_INTERPOLATED = re.compile(r"\$\{([^}]*)\}")
_NAME = re.compile(r"(?<![.\w@'])([A-Za-z]\w*)(?!\w*\s*:)")
_KEYWORDS = {"param", "var", "resource", "module", "output", "string", "int", "bool", "existing", "if", "true", "false"}


def parse(path: Path) -> dict[str, Any]:
    parsed: dict[str, Any] = BicepParser().parse(text=path.read_text(encoding="utf-8"))
    return parsed


def defined(document: dict[str, Any]) -> set[str]:
    blocks = ("parameters", "variables", "resources", "modules")
    return {name for block in blocks for name in document.get(block, {})}


def used(text: str) -> Iterator[str]:
    """Yield the names in expressions: outside of text, and where text has ``${...}``."""
    for line in _COMMENT.sub("", text).splitlines():
        if not line.lstrip().startswith(("@", "output")):
            inside = " ".join(found for quoted in _TEXT.findall(line) for found in _INTERPOLATED.findall(quoted))
            yield from _NAME.findall(f"{_TEXT.sub(' ', line)} {inside}")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_name_that_is_used_is_defined(path: Path) -> None:
    known = defined(parse(path)) | FUNCTIONS | _KEYWORDS
    assert set(used(path.read_text(encoding="utf-8"))) - known == set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_parameter_and_variable_is_used(path: Path) -> None:
    document = parse(path)
    names = list(used(path.read_text(encoding="utf-8")))
    assert [name for name in (*document["parameters"], *document["variables"]) if names.count(name) < 2] == []


@pytest.mark.parametrize("module", ["endpoint-roles", "pipeline-roles"])
def test_a_module_is_given_the_parameters_that_it_asks_for(module: str) -> None:
    main = (INFRA / "main.bicep").read_text(encoding="utf-8")
    given = re.search(rf"'{module}\.bicep' .*?params: \{{(.*?)\n  \}}", main, re.DOTALL)
    assert given is not None
    assert set(re.findall(r"^\s*(\w+):", given[1], re.MULTILINE)) == set(parse(INFRA / f"{module}.bicep")["parameters"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_roles_are_the_ones_that_they_are_called(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    roles = dict(re.findall(r"var (\w+) = '([0-9a-f-]{36})'", text))
    assert roles.items() <= ROLES.items()
    assigned = re.findall(r"roleDefinitions', (\w+)\)", text)
    assert sorted(assigned) == sorted(roles)


def test_nothing_may_change_roles_or_own_the_group() -> None:
    owner, contributor, administrator = "8e3af657", "b24988ac", "18d7d88d"
    text = "".join(path.read_text(encoding="utf-8") for path in FILES)
    assert not any(role in text for role in (owner, contributor, administrator))
