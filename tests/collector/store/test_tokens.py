"""Tokens: told once, kept as hashes."""

from pathlib import Path

import pytest

from drift_agent.errors import InputError
from drift_collector.store.tokens import Token, Tokens


def test_a_token_is_found_by_its_secret_and_only_its_hash_is_kept(tmp_path: Path) -> None:
    tokens = Tokens(str(tmp_path / "store.db"))
    token, secret = tokens.add("write", "i-1", 7)
    other, second = tokens.add("read", "", 8)
    assert token == Token(token.id, "write", "i-1", 7)
    assert tokens.find(secret) == token
    assert tokens.find(second) == other
    assert tokens.all() == [token, other]
    for wrong in ("", secret[:-1], secret + "x", secret.lower() + "X", token.id, "\udcff"):
        assert tokens.find(wrong) is None
    tokens.close()
    for file in tmp_path.iterdir():
        assert secret.encode() not in file.read_bytes()


def test_a_revoked_token_is_found_no_more(tmp_path: Path) -> None:
    tokens = Tokens(str(tmp_path / "store.db"))
    token, secret = tokens.add("write", "", 7)
    assert tokens.revoke(token.id) == token
    assert tokens.find(secret) is None
    with pytest.raises(InputError, match="no such token; `drift token list`"):
        tokens.revoke(token.id)
    tokens.close()
    tokens.close()
