"""The task 'train': the trainer that a config names, on options that were checked."""

from __future__ import annotations

from sfumato.errors import BadInput, UnknownName
from sfumato.tasks import TaskContext
from sfumato.training import Trainer, TrainingConfig, TrainingResult
from sfumato_engine.blame import blamed
from sfumato_engine.resolution import checked_options


def train(config: TrainingConfig, context: TaskContext) -> TrainingResult:
    """Train what the config asks for.

    The trainer gets the config with its own permanent name, and all its options.

    Raises:
        BadInput: an unknown trainer or option, an unusable dataset, or an output that is there already.
        Cancelled: stopped by the user; no weights are left then.
        PluginError: the trainer failed in a way that it does not explain.
    """
    entry = context.registries.trainers.get(config.trainer)
    known = [option.name for option in entry.info.options]
    for name in config.options:
        if name not in known:
            whose = f"They belong to the trainer '{entry.info.label}'."
            raise UnknownName("trainer option", name, known, hint=whose)
    options = checked_options(entry.info.options, config.options)
    _make_room(config)
    trainer: Trainer = entry.load()
    with blamed("trainer", entry):
        return trainer(config.model_copy(update={"trainer": entry.info.name, "options": options}), context)


def _make_room(config: TrainingConfig) -> None:
    """The output's folder exists and the output does not: hours of training are never written over."""
    if config.output.exists():
        raise BadInput(f"'{config.output}' exists already.", hint="Name another file for the weights.")
    try:
        config.output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            f"'{config.output.parent}' cannot hold the weights.",
            why=f"{error.strerror or error}.",
            hint="Name another folder.",
        ) from error
