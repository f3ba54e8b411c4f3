"""What `sfumato doctor` tells of the tensor library and the device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sfumato.checks import CheckResult
from sfumato.errors import SfumatoError

if TYPE_CHECKING:
    from sfumato.studio import Studio


def check_torch(studio: Studio) -> list[CheckResult]:
    """The tensor library's version, the device in force, threads and bfloat16."""
    try:
        import torch
    except (ImportError, OSError) as error:
        hint = "Reinstall it: pip install --force-reinstall torch"
        return [CheckResult(label="torch", state="problem", detail=str(error), hint=hint)]
    return [CheckResult(label="torch", detail=torch.__version__), _device(studio), _cpu()]


def _device(studio: Studio) -> CheckResult:
    from sfumato_engine.device import device_label, placement

    try:
        return CheckResult(label="Device", detail=device_label(placement(studio.settings.engine).device))
    except SfumatoError as error:
        return CheckResult(
            label="Device", state="problem", detail=f"{error.what} {error.why}", hint=error.hint
        )


def _cpu() -> CheckResult:
    import torch

    # Older releases cannot tell; then nothing is said of bfloat16.
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    fast = any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    known = f", {'fast' if fast else 'no fast'} bfloat16" if capabilities else ""
    instructions = torch.backends.cpu.get_cpu_capability()
    return CheckResult(label="CPU", detail=f"{torch.get_num_threads()} threads, {instructions}{known}")
