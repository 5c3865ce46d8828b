"""The doctor works without any packages, and detects a damaged bundle."""

import subprocess
import sys
from pathlib import Path

from app.cli.doctor import bundled
from models.checkpoint import sha256

ROOT = Path(__file__).resolve().parents[2]


def test_a_bundle_is_verified_against_its_checksums(tmp_path: Path) -> None:
    assert [finding.state for finding in bundled(tmp_path)] == ["missing"]
    file = tmp_path / "x.safetensors"
    file.write_bytes(b"weights")
    (tmp_path / "SHA256SUMS").write_text(f"{sha256(file)}  x.safetensors\n{'0' * 64}  y.json\n")
    assert [finding.state for finding in bundled(tmp_path)] == ["ok", "missing"]
    file.write_bytes(b"other")
    assert "damaged" in next(iter(bundled(tmp_path))).what


def test_it_runs_without_installed_packages() -> None:
    """With `-S` no installed package can be imported."""
    code = (
        "import sys; sys.path.insert(0, '.'); from app.cli.doctor import main; sys.exit(main([]))"
    )
    result = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, cwd=ROOT
    )
    assert result.returncode == 1, result.stderr
    assert "torch: not installed" in result.stdout
