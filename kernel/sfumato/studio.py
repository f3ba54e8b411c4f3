"""The facade for Python users: ``Studio().generate("a red apple", seed=7).images[0]``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs
from pydantic import BaseModel

from sfumato.backends import Backends
from sfumato.database import Database
from sfumato.events import CancelToken, EventBus, Listener
from sfumato.file_hashes import FileHashes
from sfumato.library import ModelLibrary
from sfumato.listeners import listen
from sfumato.plugins import PluginManager
from sfumato.queries import QueryContext
from sfumato.records import GenerationResult, ImageRecord
from sfumato.registries import Registries
from sfumato.replay import ReplayReport, ReplayRequest
from sfumato.request import GenerationRequest, GridRequest, UpscaleRequest
from sfumato.request.schema import checked, load_model
from sfumato.settings import Settings
from sfumato.tasks import TaskContext
from sfumato.training import TrainingConfig, TrainingResult
from sfumato.upscaling import UpscaleResult

if TYPE_CHECKING:
    from sfumato.jobs.queue import JobQueue
    from sfumato.jobs.supervisor import Supervisor


class Studio:
    """Plugins, settings and models wired together; several may live in one process.

    Args:
        settings: The settings in force; by default read from file and environment.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        kernel_settings = settings or Settings.load()
        chosen = kernel_settings.plugins
        self.plugins = PluginManager(chosen.disabled, chosen.patience)
        self.plugins.discover()
        self.registries = Registries()
        self.plugins.fill(self.registries)
        self.plugins.try_sections(kernel_settings, self.registries)
        sections = {entry.info.name: entry.load() for entry in self.registries.settings}
        self.settings = kernel_settings.with_sections(sections)
        self._settings_stamp = _stamp(self.settings.file)
        self._backends = Backends()
        self._answers: dict[str, Any] = {}

    @cached_property
    def library(self) -> ModelLibrary:
        """The models that exist."""
        general = self.settings.general
        cache = Path(platformdirs.user_cache_dir("sfumato", appauthor=False))
        return ModelLibrary(
            general.model_folders, self.registries, FileHashes(cache / "hashes.json"), general.default_model
        )

    @cached_property
    def database(self) -> Database:
        """Where jobs are kept, and what plugins keep beside them."""
        return Database.of(self.settings)

    @cached_property
    def jobs(self) -> JobQueue:
        """The queue of durable work; it is worked off while `workers` are started."""
        from sfumato.jobs.queue import JobQueue

        return JobQueue(self.database, self.registries)

    @cached_property
    def workers(self) -> Supervisor:
        """The processes that work the queue off."""
        from sfumato.jobs.supervisor import Supervisor

        return Supervisor(self)

    def generate(
        self,
        request: str | GenerationRequest,
        *,
        output_folder: str | Path | None = None,
        on_event: Listener | None = None,
        cancel: CancelToken | None = None,
        **fields: Any,
    ) -> GenerationResult:
        """Make pictures.

        Args:
            request: A prompt, with the other request fields as keywords, or a whole request.
            output_folder: Where pictures are saved; by default the settings' output folder.
            on_event: Called with every event (progress, previews, saved pictures).
            cancel: Stops the work between steps when cancelled from elsewhere.
            fields: Fields of `GenerationRequest`.

        Raises:
            BadInput: a field is unknown or out of range.
            SfumatoError: the work could not be done; the message says what to do.
        """
        whole = build_request(request, fields)
        result: GenerationResult = self.run(
            "generate",
            whole,
            backend=whole.backend,
            output_folder=output_folder,
            on_event=on_event,
            cancel=cancel,
        )
        return result

    def replay(
        self,
        path: str | Path,
        *,
        output_folder: str | Path | None = None,
        on_event: Listener | None = None,
        cancel: CancelToken | None = None,
        **changes: Any,
    ) -> ReplayReport:
        """Draw a picture again from what it remembers, with request fields changed, and compare.

        Raises:
            BadInput: it is no picture with such a memory, or a change cannot be.
            CannotReplay: it cannot be drawn again; its `differences` tell what is not as it was.
        """
        request = ReplayRequest(path=Path(path), changes=changes)
        report: ReplayReport = self.run(
            "replay", request, output_folder=output_folder, on_event=on_event, cancel=cancel
        )
        return report

    def grid(
        self,
        request: str | GenerationRequest | GridRequest,
        *,
        output_folder: str | Path | None = None,
        on_event: Listener | None = None,
        cancel: CancelToken | None = None,
        **fields: Any,
    ) -> Any:
        """Make many pictures of one request, and labelled sheets of them.

        Args:
            request: What all pictures have in common, or a whole grid; see `generate` for the others.
            fields: Fields of `GridRequest`, as in ``x={"field": "steps", "values": ["10-30 (+10)"]}``.

        Returns:
            What the task "grid" gives: `cells`, each with its images, `sheets`, `seconds` and `warnings`.

        Raises:
            BadInput: a field, value or name cannot be; nothing was drawn.
        """
        whole = _grid_request(request, fields)
        return self.run(
            "grid",
            whole,
            backend=whole.base.backend,
            output_folder=output_folder,
            on_event=on_event,
            cancel=cancel,
        )

    def upscale(
        self,
        images: str | Path | Iterable[str | Path],
        *,
        output_folder: str | Path | None = None,
        on_event: Listener | None = None,
        cancel: CancelToken | None = None,
        **fields: Any,
    ) -> UpscaleResult:
        """Enlarge pictures, and mend faces in them; each is saved anew with the text it had.

        Args:
            images: Picture files, or folders of them; see `generate` for the others.
            fields: Fields of `UpscaleRequest`, such as ``upscaler="lanczos", scale=2``.

        Raises:
            BadInput: a field or name cannot be, or no picture could be read.
        """
        paths = (images,) if isinstance(images, (str, Path)) else tuple(images)
        request = checked(UpscaleRequest, {"images": paths, **fields})
        result: UpscaleResult = self.run(
            "upscale", request, output_folder=output_folder, on_event=on_event, cancel=cancel
        )
        return result

    def train(
        self,
        config: TrainingConfig,
        *,
        on_event: Listener | None = None,
        cancel: CancelToken | None = None,
    ) -> TrainingResult:
        """Train weights by the trainer that the config names.

        Raises:
            BadInput: an unknown trainer or option, an unusable dataset, or an output that is there already.
            SfumatoError: training failed; the message says what to do.
        """
        result: TrainingResult = self.run("train", config, on_event=on_event, cancel=cancel)
        return result

    def ask(self, query: str, /, **fields: Any) -> BaseModel:
        """The answer to a quick question, in this process: ``ask("prompt_syntax", prompt="a (red) apple")``.

        Raises:
            UnknownName: no plugin answers that.
            BadInput: a field is unknown or out of range.
        """
        entry = self.registries.queries.get(query)
        request = checked(load_model(entry.info.request), fields, "The question cannot be asked.")
        context = QueryContext(self.registries, self.library, self.settings, self._answers)
        with entry.answerable("answer"):
            answer: BaseModel = entry.load()(request, context)
        return answer

    def refresh_settings(self) -> None:
        """Read the settings again if their file has changed; loaded models are kept, and so are plugins."""
        stamp = _stamp(self.settings.file)
        if stamp != self._settings_stamp:
            self._settings_stamp = stamp
            self.settings = self.settings.read_again()
            self.__dict__.pop("library", None)

    @property
    def workspace(self) -> dict[str, Any]:
        """What the local backend keeps from task to task."""
        return self._backends.workspace

    def run(
        self,
        task: str,
        request: Any,
        *,
        backend: str = "local",
        output_folder: str | Path | None = None,
        on_event: Listener | None = None,
        cancel: CancelToken | None = None,
        finished: tuple[ImageRecord, ...] = (),
    ) -> Any:
        """Carry out any registered kind of work; see `generate` for the arguments.

        Args:
            finished: Pictures of an earlier attempt at the same work, which are not made again.
        """
        events = EventBus()
        listen(events, self)
        if on_event:
            events.subscribe(on_event)
        context = TaskContext(
            registries=self.registries,
            library=self.library,
            settings=self.settings,
            output_folder=Path(output_folder or self.settings.general.output_folder),
            events=events,
            cancel=cancel or CancelToken(),
            finished=finished,
            how_to_have=self.plugins.how_to_have,
        )
        return self._backends.get(backend).run(task, request, context)


def _stamp(file: Path) -> tuple[int, int]:
    """Changes when the file does; all zero where there is none."""
    try:
        found = file.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


def build_request(request: str | GenerationRequest, fields: dict[str, Any]) -> GenerationRequest:
    """A checked request from a prompt or request and further fields.

    Raises:
        BadInput: a field is unknown or out of range; all such fields are named.
    """
    given = {"prompt": request} if isinstance(request, str) else request.model_dump(exclude_unset=True)
    return checked(GenerationRequest, {**given, **fields})


def _grid_request(request: str | GenerationRequest | GridRequest, fields: Mapping[str, Any]) -> GridRequest:
    """A checked grid from what its pictures have in common, or from another grid, and further fields."""
    if isinstance(request, GridRequest):
        given = {name: getattr(request, name) for name in request.model_fields_set}
    else:
        given = {"base": build_request(request, {})}
    return checked(GridRequest, {**given, **fields})
