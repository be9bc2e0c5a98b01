"""Every script says how it is used."""

import pytest

from tests.support import SCRIPTS
from tests.support.scripts import succeed


@pytest.mark.parametrize("script", sorted(path.stem for path in SCRIPTS.glob("*.py")))
def test_every_script_says_how_it_is_used(script, warm):
    if script == "warm":
        pytest.skip("it runs other scripts, whose --help it passes on")
    assert "usage:" in succeed(script, "--help", environment=warm)
