"""Texts without secrets, and files that hold some."""

from __future__ import annotations

import base64
import json
import string
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pytest_llmops.secrets import find_secrets, without_secrets

Form = Callable[[str], str]

PRINTABLE = string.ascii_letters + string.digits + string.punctuation
NAMES = (
    "api_key", "api-key", "apiKey", "AZURE_OPENAI_API_KEY", "Ocp-Apim-Subscription-Key", "primaryKey", "AccountKey",
    "SharedAccessKey", "InstrumentationKey", "client_secret", "clientSecret", "refresh_token", "access_token",
    "accessToken", "id_token", "password", "Password", "Pwd", "passphrase", "DB_PASSWORD", "client_assertion",
)  # fmt: skip
PARAMETERS = ("token", "sig", "code", "key", "api_key", "access_token", "sas_token", "client_secret")


def without(*left_out: str) -> st.SearchStrategy[str]:
    alphabet = "".join(character for character in PRINTABLE if character not in "".join(left_out))
    return st.text(alphabet, min_size=8, max_size=60)


WORDS = without("\"'`;<>")
TOKENS = st.text(string.ascii_letters + string.digits + "-_", min_size=8, max_size=60).map(lambda text: text + "7")
NAMED = st.sampled_from(NAMES)
FORMS: dict[str, tuple[st.SearchStrategy[str], st.SearchStrategy[Form]]] = {
    "a variable": (WORDS, NAMED.map(lambda name: lambda secret: f"{name}={secret}")),
    "a header": (WORDS, NAMED.map(lambda name: lambda secret: f"{name}: {secret}")),
    "a connection string": (WORDS, NAMED.map(lambda name: lambda secret: f"Server=s;{name}={secret};Encrypt=1")),
    "JSON": (
        st.text(min_size=8, max_size=60).map(lambda text: json.dumps(text)[1:-1]),
        NAMED.map(lambda name: lambda secret: f'{{"{name}": "{secret}", "x": 1}}'),
    ),
    "JSON in JSON": (
        without('"\\'),
        NAMED.map(lambda name: lambda secret: json.dumps({"message": json.dumps({name: secret})})),
    ),
    "a dictionary": (without("'\\"), NAMED.map(lambda name: lambda secret: f"{{'{name}': '{secret}'}}")),
    "a query": (
        st.text(min_size=8, max_size=60).map(lambda text: quote(text, safe="", errors="replace")),
        st.sampled_from(PARAMETERS).map(lambda name: lambda secret: f"https://host/x?a=1&{name}={secret}&b=2"),
    ),
    "a URL": (without("@\"'<>/?#"), st.just(lambda secret: f"https://user:{secret}@host/x?y=1")),
    "a URL of a database": (without("@\"'<>?#:").map("p".__add__), st.just(lambda secret: f"pg://u:{secret}@h/db")),
    "a URL with a token": (TOKENS, st.just(lambda secret: f"git clone https://{secret}@github.com/o/r.git")),
    "a bearer token": (TOKENS, st.sampled_from([
        lambda secret: f"Authorization: Bearer {secret}", lambda secret: f"sent Bearer {secret} to the host",
    ])),
    "basic authentication": (
        st.text(min_size=6, max_size=40).map(lambda text: base64.b64encode(text.encode("utf-8", "replace")).decode()),
        st.sampled_from(
            [lambda secret: f"Authorization: Basic {secret}", lambda secret: f'"authorization":"{secret}"']
        ),
    ),
    "a key of a provider": (TOKENS.map("sk-".__add__), st.just(lambda secret: f"the key {secret} is refused")),
}  # fmt: skip


@given(st.data())
@pytest.mark.parametrize("form", FORMS)
def test_a_secret_never_comes_out(form: str, data: st.DataObject) -> None:
    secrets, forms = FORMS[form]
    secret, write = data.draw(secrets), data.draw(forms)
    assume("***" not in secret and secret not in write(""))
    before, after = (
        data.draw(st.sampled_from(["", "It failed: ", "{", '"', "x=1&"])),
        data.draw(st.sampled_from(["", " ", "."])),
    )

    clean = without_secrets(f"{before}{write(secret)}{after}")

    assert secret not in clean
    assert "***" in clean


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("api-key: ABC, x", "api-key: *** x"),
        ('{"password": "a b;c", "user": "me"}', '{"password": "***", "user": "me"}'),
        ("Server=s;Pwd=a&b,c;Encrypt=1", "Server=s;Pwd=***;Encrypt=1"),
        ("https://me:pw@feed.example/simple?x=1", "https://***@feed.example/simple?x=1"),
        ("https://x/a?sv=2024&sig=AB%3D&se=1", "https://x/a?sv=2024&sig=***&se=1"),
        ("at https%3A%2F%2Fx%3Fsig%3DABC", "at https%3A%2F%2Fx%3Fsig%3D***"),
        ('{****, "refresh_token": "0.AXrefresh"}', '{****, "refresh_token": "***"}'),
        ("-----BEGIN PRIVATE KEY-----\n" + "MIIE" * 20 + "\n-----END PRIVATE KEY-----.", "***."),
    ],
)
def test_what_is_around_a_secret_stays(text: str, clean: str) -> None:
    assert without_secrets(text) == clean
    assert without_secrets(clean) == clean


@pytest.mark.parametrize(
    "text",
    [
        "Unexpected token: < at line 1",
        "the key: it is missing",
        "exit code=1, code: 7",
        "sort by key=2, max_tokens=5",
        "Bearer token is missing",
        "Basic authentication is off",
        'Bearer realm="x"',
        "the secret of the passwords",
        "https://host:8080/a/b@c",
        "https://unpkg.com/react@18/umd",
        "me@example.com",
        "sk-learn",
        "task-list 12",
        "tokens: 12 prompt, 3 completion",
        "The key vault 'kv-1' has no secret named 'x'.",
        "design=modern",
    ],
)
def test_ordinary_prose_stays_as_it_is(text: str) -> None:
    assert without_secrets(text) == text


@given(st.text(string.ascii_lowercase + " .,()'-\n"))
def test_text_without_values_stays_as_it_is(text: str) -> None:
    assert without_secrets(text) == text


@pytest.mark.parametrize(
    "piece", ["a", "key", "\\", '"', "password: ", "x://a:", "a.b-", "server=a;", "sk-a-", "sig=", "eyJaaaaa-"]
)
def test_no_text_takes_long(piece: str) -> None:
    text = piece * (40_000 // len(piece))
    assert len(without_secrets(text)) <= len(text) + 3
    assert len(list(find_secrets(text))) <= len(text)


STORAGE = "a key of an Azure storage account or database"
KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEF"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f"Dear {{{{name}}}} api_key={KEY}", "a key of OpenAI or Anthropic"),
        ("--index-url https://u:Pip5ecret@feed.example/simple", "a URL with a password"),
        ("AccountName=a;AccountKey=" + "aB3/dE6+gH" * 8 + "kL9mNo==;EndpointSuffix=x", STORAGE),
        (
            "Endpoint=sb://x/;SharedAccessKeyName=a;SharedAccessKey=" + "Ab3xyzWUVq" * 4 + "Abc=",
            "an access key of Azure",
        ),
        ("Server=tcp:x;Database=d;User ID=u;Password=Hunt3r!", "a connection string with a password"),
        ("https://x/c?sv=1&sig=" + "aB3%2Fxyzuv" * 4, "a signature of a shared access"),
        ("api-key: 0123456789abcdef0123456789abcdef", "a key"),
        ("ghp_" + "aB3dE6gH9j" * 4, "a token of GitHub"),
        ('{"private_key": "-----BEGIN PRIVATE KEY-----\\nMIIE' + "vQIBADANBg" * 6 + '"}', "a private key"),
        ("-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEpAIBAAKC" * 5, "a private key"),
    ],
)
def test_secrets_in_a_file_are_found(text: str, kind: str) -> None:
    assert list(find_secrets(f"one\ntwo\n{text}\n")) == [(3, kind)]


@pytest.mark.parametrize(
    "text",
    [
        "Never tell your password, or an API key such as sk-..., to anybody.",
        "api_key: ${api_key}",
        "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "sk-11111111111111111111111111",
        "api_key=YOUR_API_KEY",
        "password: hunter2",
        "https://user:password@host/",
        "https://${USER}:${TOKEN}@feed/x",
        "https://{user}:{pw}@feed/x",
        "redis://:***@host",
        "Server=x;Database=d;Password=${DB_PASSWORD};",
        "Server=x;Pwd=<password>;",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY----- is how a private key begins, which nobody may ever see",
        "sha512-" + "aB3/dE6+gH" * 8 + "kL9mNo==",
        "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "key: 0123456789abcdef0123456789abcdef",
        "https://host:8080/a@b",
        "mailto:me@example.com",
        "ratio 3:4@night",
    ],
)
def test_prompts_may_speak_of_secrets(text: str) -> None:
    assert list(find_secrets(text)) == []


def test_nothing_that_this_repository_evaluates_holds_a_secret() -> None:
    root = Path(__file__).parents[1]
    files = [
        file for name in ("flows", "evals", "datasets", "docs") for file in (root / name).rglob("*") if file.is_file()
    ]
    found = {
        file: list(find_secrets(file.read_text("utf-8", "replace"))) for file in files if file.stat().st_size < 2**20
    }
    assert {file: secrets for file, secrets in found.items() if secrets} == {}
