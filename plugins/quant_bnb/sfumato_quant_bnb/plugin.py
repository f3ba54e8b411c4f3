"""The face of the plugin quant_bnb to the kernel."""

from __future__ import annotations

from sfumato.checks import CheckInfo
from sfumato.commands import CommandInfo
from sfumato.hookspecs import hookimpl
from sfumato.quantisation import QuantisationInfo
from sfumato.registry import Registrar

SFUMATO_API = "1.0"


@hookimpl
def register_quantisations(quantisations: Registrar[QuantisationInfo]) -> None:
    home = "sfumato_quant_bnb"
    quantisations.add("nf4", f"{home}.four_bit:Nf4", label="NF4 (bitsandbytes)", on_load=True)
    quantisations.add("fp4", f"{home}.four_bit:Fp4", label="FP4 (bitsandbytes)", on_load=True)
    quantisations.add("int8", f"{home}.eight_bit:Int8", label="int8 (bitsandbytes)", on_load=True)
    quantisations.add("fp8_e4m3", f"{home}.float8:Float8E4M3", label="fp8 (e4m3)", on_load=True)
    quantisations.add("fp8_e5m2", f"{home}.float8:Float8E5M2", label="fp8 (e5m2)", on_load=True)
    quantisations.add("scaled_fp8", f"{home}.float8:ScaledFloat8", label="Scaled fp8", on_load=True)


@hookimpl
def register_checks(checks: Registrar[CheckInfo]) -> None:
    checks.add("bitsandbytes", "sfumato_quant_bnb.checks:check_bitsandbytes", label="bitsandbytes")


@hookimpl
def register_commands(commands: Registrar[CommandInfo]) -> None:
    commands.add(
        "pack",
        "sfumato_quant_bnb.commands:pack",
        label="Pack",
        summary="Write a model, or a part of one, with weights in 4 or 8 bits.",
    )
