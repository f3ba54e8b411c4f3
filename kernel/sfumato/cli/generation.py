"""Carrying out requests: each saved picture is printed at once, and Ctrl-C ends the work in two steps."""

from __future__ import annotations

import errno
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from sfumato.cli.output import only_data_on_stdout, print_json, say
from sfumato.cli.progress import progress_display
from sfumato.errors import Cancelled, SfumatoError
from sfumato.events import CancelToken, Event, ImageSaved

if TYPE_CHECKING:
    from sfumato.records import ImageRecord
    from sfumato.request import GenerationRequest
    from sfumato.studio import Studio

JSON_FIELDS = ("path", "seed", "width", "height", "infotext")


class PicturePrinter:
    """Prints the path, or a JSON object, of every picture as soon as it is saved.

    A reader that closes the pipe ends the printing, not the work: the pictures were asked for. So does output
    that cannot be written; `failure` tells why.
    """

    def __init__(self, stream: TextIO, *, as_json: bool) -> None:
        self.count = 0
        self.failure: OSError | None = None
        self._stream = stream
        self._as_json = as_json
        self._closed = False

    def __call__(self, event: Event) -> None:
        if not isinstance(event, ImageSaved):
            return
        self.count += 1
        if not self._closed:
            try:
                self._print(event.image)
            except OSError as error:
                self._closed = True
                self.failure = None if error.errno == errno.EPIPE else error

    def _print(self, image: ImageRecord) -> None:
        if self._as_json:
            print_json(image.model_dump(mode="json", include=set(JSON_FIELDS)), self._stream)
        else:
            print(image.path, file=self._stream, flush=True)


def generate_all(
    studio: Studio, requests: Sequence[GenerationRequest], *, output_folder: Path | None, as_json: bool
) -> None:
    """Carry out the requests one after another.

    Raises:
        Cancelled: the user pressed Ctrl-C; the message counts the pictures that were kept.
        SfumatoError: a request could not be done, or the paths could not be written to stdout; the pictures
            made before are kept.
    """
    cancel = CancelToken()
    with progress_display() as progress, cancel_on_interrupt(cancel, say):
        printer = PicturePrinter(sys.stdout, as_json=as_json)  # as the progress bar left it: lines go above

        def on_event(event: Event) -> None:
            printer(event)
            progress(event)

        try:
            for number, request in enumerate(requests, start=1):
                cancel.check()
                progress.subject = f"prompt {number} of {len(requests)}" if len(requests) > 1 else ""
                with only_data_on_stdout():
                    studio.generate(request, output_folder=output_folder, on_event=on_event, cancel=cancel)
            cancel.check()
        except Cancelled as cancelled:
            raise Cancelled("Cancelled.", hint=_kept(printer.count)) from cancelled
    if printer.failure:
        raise SfumatoError(
            "The pictures are saved, but not all their paths could be written to the output.",
            why=f"{printer.failure.strerror}.",
            hint="Look for them in the output folder.",
        )


def _kept(count: int) -> str:
    return f"{count} finished {'picture was' if count == 1 else 'pictures were'} kept."


@contextmanager
def cancel_on_interrupt(cancel: CancelToken, tell: Callable[[str], None]) -> Iterator[None]:
    """Within this, the first Ctrl-C cancels between steps, the second one raises `KeyboardInterrupt`."""
    ours_to_handle = threading.current_thread() is threading.main_thread()
    if not ours_to_handle or signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        yield  # only the main thread may; and a program put into the background is not meant to hear Ctrl-C
        return

    def handle(_number: int, _frame: Any) -> None:
        if cancel.cancelled:
            raise KeyboardInterrupt
        cancel.cancel()
        tell("Stopping after this step; press Ctrl-C again to stop at once.")

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
