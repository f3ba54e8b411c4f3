"""The built-in pages of lists fulfil the contract that every plugin's pages fulfil."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient

import sfumato.testing.pages as contract

PAGES = ("models", "queue", "plugins", "settings", "system")


@pytest.mark.parametrize("page", PAGES)
def test_the_page_answers_with_its_title_and_names_where_it_is(page: str, client: FlaskClient) -> None:
    answer = client.get(f"/{page}/")
    text = answer.get_data(as_text=True)
    assert answer.status_code == 200
    assert f'<h1 class="page-title">{page.capitalize()}</h1>' in text
    assert f'<a href="/{page}/" title=' in text
    assert not contract.INLINE.search(text)


def test_no_page_imports_torch(tmp_path: Path) -> None:
    import subprocess
    import sys

    program = f"""
import sys
from pathlib import Path
from sfumato.settings import Settings
from sfumato.studio import Studio
from sfumato_ui_web.app import create_app
folder = Path({str(tmp_path)!r})
overrides = {{"general.data_folder": str(folder), "general.output_folder": str(folder)}}
client = create_app(Studio(Settings.load(file=folder / "s.toml", overrides=overrides))).test_client()
for address in {[f"/{page}/" for page in PAGES]!r} + ["/models/cards/loras?model=emoji", "/system/memory"]:
    assert client.get(address).status_code == 200, address
assert not {{"torch", "numpy"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
