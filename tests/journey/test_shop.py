"""A worker's shop, from what a command line gives."""

from pathlib import Path

import pytest

from mailhaul.core.errors import Closed
from mailhaul.core.text import Secret
from mailhaul.db.database import open_database
from mailhaul.db.migrate import migrate
from mailhaul.journey.shop import Place, opened_shop
from mailhaul.vault.outer_keys import make_key_file
from mailhaul.vault.sealed import make_vault


async def test_a_vault_that_is_made_while_the_worker_runs_is_found(tmp_path: Path) -> None:
    vault, key = tmp_path / "vault.json", tmp_path / "vault.key"
    environ = {"MAILHAUL_VAULT": str(vault), "MAILHAUL_VAULT_KEY_FILE": str(key)}
    database = open_database(None, tmp_path)
    try:
        migrate(database)
        async with opened_shop(Place(tmp_path, None, environ), database) as shop:
            with pytest.raises(Closed, match="there is no vault here"):
                await shop.means.resolve("vault:anna", tmp_path)
            make_vault(vault, make_key_file(key)).set("anna", Secret("hunter2"))
            found = await shop.means.resolve("vault:anna", tmp_path)
    finally:
        database.close()
    assert found.password is not None
    assert found.password.reveal() == "hunter2"
