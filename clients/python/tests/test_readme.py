"""Every Python block of the README runs as it stands, against the server of the tests."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_quickstart_of_the_readme_has_at_most_20_lines() -> None:
    assert len([line for line in BLOCKS[0].splitlines() if line.strip()]) <= 20


@pytest.mark.parametrize("block", BLOCKS, ids=["quickstart", "asyncio", "operations"])
def test_a_block_of_the_readme_runs(block: str, address: str) -> None:
    program = block.replace("127.0.0.1:50051", address)
    assert program != block
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout != ""
