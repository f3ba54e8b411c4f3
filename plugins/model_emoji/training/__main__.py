"""Trains the embedded emoji model: ``python -m training`` runs every stage, or goes on where it stopped."""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from . import data, evaluate, export, latents, tokenizers, train_autoencoder, train_flux
from .parallel import launch, start_log

PACKAGE = Path(__file__).resolve().parent.parent / "sfumato_model_emoji"

log = logging.getLogger("training")


@dataclass(frozen=True)
class Plan:
    """The command line."""

    folder: Path
    workers: int
    autoencoder_minutes: float
    minutes: float
    until: str | None
    target: Path


def run_data(plan: Plan) -> None:
    data.prepare(plan.folder, plan.workers)


def run_autoencoder(plan: Plan) -> None:
    options = train_autoencoder.Options(plan.folder, plan.autoencoder_minutes)
    launch(plan.workers, train_autoencoder.train, options)


def run_latents(plan: Plan) -> None:
    torch.set_num_threads(plan.workers)
    pictures = data.load(plan.folder)
    tokenizers.prepare(plan.folder, latents.subjects(pictures))
    latents.prepare(plan.folder, pictures)


def run_flux(plan: Plan) -> None:
    launch(plan.workers, train_flux.train, train_flux.Options(plan.folder, plan.minutes, plan.until))


def run_sheet(plan: Plan) -> None:
    train_flux.load_artist(plan.folder).write_sheet(plan.folder / "sheets" / "latest.png")


def run_evaluate(plan: Plan) -> None:
    log.info("%s", json.dumps(evaluate.evaluate(plan.folder), indent=1))


def run_export(plan: Plan) -> None:
    path = export.export(plan.folder, plan.target)
    log.info("%s: %.1f MB", path, path.stat().st_size / 1e6)
    export.load_exported(plan.target).write_sheet(plan.folder / "sheets" / "exported.png")


STAGES: dict[str, Callable[[Plan], Any]] = {
    "data": run_data,
    "autoencoder": run_autoencoder,
    "latents": run_latents,
    "flux": run_flux,
    "sheet": run_sheet,
    "evaluate": run_evaluate,
    "export": run_export,
}


def parse(arguments: list[str] | None = None) -> tuple[list[str], Plan]:
    """Stages to run, in order, and the plan."""
    parser = argparse.ArgumentParser(prog="training", description=__doc__)
    parser.add_argument("stages", nargs="*", choices=[*STAGES, []], help="default: all, in this order")
    parser.add_argument("--folder", type=Path, default=Path("build/emoji"), help="data, checkpoints, sheets")
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    parser.add_argument("--autoencoder-minutes", type=float, default=12.0)
    parser.add_argument("--minutes", type=float, default=120.0, help="time for the text-to-image model")
    parser.add_argument("--until", metavar="HH:MM", help="instead of --minutes: train until this time today")
    parser.add_argument(
        "--target", type=Path, default=PACKAGE / "weights", help="where the weights of the package go"
    )
    given = parser.parse_args(arguments)
    plan = Plan(
        given.folder, given.workers, given.autoencoder_minutes, given.minutes, given.until, given.target
    )
    return given.stages or list(STAGES), plan


def main() -> None:
    start_log()
    stages, plan = parse()
    plan.folder.mkdir(parents=True, exist_ok=True)
    for name in stages:
        log.info("%s", name)
        STAGES[name](plan)


if __name__ == "__main__":
    main()
