"""Where bitsandbytes is not installed: files are read all the same, and what cannot be done is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from sfumato.errors import SfumatoError
from sfumato_quant_bnb.checks import check_bitsandbytes
from sfumato_quant_bnb.installed_library import needed

from .packed_files import unpacked, with_four_bits

NAME = "layer.weight"
PROGRAM = """
import sys
sys.modules["bitsandbytes"] = None  # as an import of what is not installed
import torch
from pathlib import Path
from sfumato.errors import SfumatoError
from sfumato_networks.formats import SafetensorsFormat
from sfumato_quant_bnb.checks import check_bitsandbytes
from sfumato_quant_bnb.four_bit import Nf4
from sfumato_quant_bnb.eight_bit import Int8

path = Path(sys.argv[1])
header, tensors = SafetensorsFormat().read_header(path), SafetensorsFormat().open_tensors(path)
weight = Nf4().open(header, tensors)["layer.weight"]
x = torch.eye(128)
torch.save(torch.nn.functional.linear(x, weight).T.contiguous(), sys.argv[2])
assert Int8().pack(torch.ones(4, 64), "cpu").plain().eq(1).all()
try:
    Nf4().pack(torch.ones(4, 64), "cpu")
except SfumatoError as error:
    print(error)
for result in check_bitsandbytes(None):
    print(result.state, result.detail, result.hint)
"""


@pytest.fixture
def plain() -> dict[str, Tensor]:
    return {NAME: torch.randn(64, 128, generator=torch.Generator().manual_seed(0))}


def test_stored_files_are_read_without_it_and_packing_says_what_to_install(
    plain: dict[str, Tensor], tmp_path: Path
) -> None:
    path, out = tmp_path / "nf4.safetensors", tmp_path / "numbers.pt"
    save_file(with_four_bits(plain, "nf4", nested=True), path)
    run = [sys.executable, "-c", PROGRAM, str(path), str(out)]
    done = subprocess.run(run, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    torch.testing.assert_close(torch.load(out), unpacked(plain, "nf4", nested=True)[NAME])
    assert "Packing weights as NF4 needs bitsandbytes." in done.stdout
    assert 'pip install "sfumato-quant-bnb[bitsandbytes]"' in done.stdout
    assert "ok not installed" in done.stdout


def test_its_absence_names_the_form() -> None:
    with pytest.raises(SfumatoError, match="as FP4 needs bitsandbytes"):
        needed(None, "FP4")


def test_doctor_tells_that_it_works() -> None:
    results = check_bitsandbytes(None)  # type: ignore[arg-type]
    assert {result.state for result in results} == {"ok"}
    assert "on cpu" in results[0].label


def test_detection_imports_no_torch() -> None:
    modules = ("plugin", "four_bit", "eight_bit", "float8", "checks", "commands")
    imports = "; ".join(f"import sfumato_quant_bnb.{module}" for module in modules)
    program = f"import sys; {imports}; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0
