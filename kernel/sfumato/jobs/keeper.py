"""Starts the worker process of one lane, hears it, and puts in order what it leaves behind when it dies."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sfumato.jobs import wire
from sfumato.jobs.logs import last_lines, log_path, make_room
from sfumato.jobs.supervisor import WorkerState
from sfumato.jobs.worker import WorkerOrders

if TYPE_CHECKING:
    from sfumato.studio import Studio

log = logging.getLogger(__name__)

BACKGROUND_IDLE_SECONDS = 300.0
TICK_SECONDS = 1.0
SECONDS_BETWEEN_LOOKS = 5.0
"""How often the queue is searched for work of a lane without a worker; what this server queues is told."""
SECONDS_TO_END = 10.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
HEALTHY_SECONDS = 60.0
"""A worker that lived so long is started again without much of a pause."""
SERVER_STOPPED = "The server was stopped."
WAITS = "Another server's worker has this data folder."


class Process:
    """One worker process and its log."""

    def __init__(self, studio: Studio, lane: str, idle_seconds: float) -> None:
        self.name = secrets.token_hex(8)
        self.log = log_path(studio.settings.general.data_folder, lane)
        make_room(self.log)
        orders = WorkerOrders(lane, self.name, studio.settings.as_given(), str(self.log), idle_seconds)
        with self.log.open("ab") as file:
            self.log_start = file.tell()
            # -P: as for the server, modules in the working folder are not ours
            self.popen = subprocess.Popen(
                [sys.executable, "-P", "-X", "faulthandler", "-m", "sfumato.jobs.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                bufsize=0,
            )
        assert self.popen.stdin is not None
        assert self.popen.stdout is not None
        self.started = self.last_sign = time.monotonic()
        self.ended = threading.Event()
        self.said_bye = False
        self.words = wire.Words(self.popen.stdin.fileno())
        self.words.say(orders.as_line())

    def reads(self) -> int:
        assert self.popen.stdout is not None
        return self.popen.stdout.fileno()

    def kill(self) -> None:
        self.popen.kill()

    def close(self) -> int:
        """Wait for its end, which came already or will be made to; returns the exit code."""
        try:
            code = self.popen.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self.kill()
            code = self.popen.wait()
        for pipe in (self.popen.stdin, self.popen.stdout):
            if pipe is not None:
                pipe.close()
        return code


class Keeper:
    """Has one worker process at a time; see `Supervisor`."""

    def __init__(self, studio: Studio, lane: str, idle_seconds: float = 0.0) -> None:
        self._studio = studio
        self._lane = lane
        self._idle_seconds = idle_seconds
        self._process: Process | None = None
        self._wake = threading.Event()
        self._stopping = False
        self._asked = True
        self._killed_for = ""
        self._state, self._job, self._problem = "stopped", "", ""
        self._since = datetime.now(UTC)
        self._heartbeat: datetime | None = None
        self._restarts = 0
        self._thread = threading.Thread(target=self._run, name=f"sfumato-keeper-{lane}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def look(self) -> None:
        """There may be work, or a wish about the work at hand."""
        self._asked = True
        process = self._process
        if process is not None:
            process.words.say("look")
        else:
            self._wake.set()

    def restart(self, now: bool) -> None:
        process = self._process
        if process is not None:
            process.words.say("stop The worker was restarted." if now else "finish")

    def stop(self) -> None:
        self._stopping = True
        process = self._process
        if process is not None:
            process.words.say(f"stop {SERVER_STOPPED}")
        self._wake.set()

    def join(self, timeout: float | None) -> None:
        self._thread.join(timeout)

    def kill(self) -> None:
        process = self._process
        if process is not None:
            self._killed_for = "The server was stopped, and the work did not end in time."
            process.kill()

    def state(self) -> WorkerState:
        process = self._process
        return WorkerState(
            lane=self._lane,
            state=self._state,
            process=process.popen.pid if process else None,
            since=self._since,
            heartbeat=self._heartbeat,
            job=self._job,
            restarts=self._restarts,
            problem=self._problem,
            log=log_path(self._studio.settings.general.data_folder, self._lane),
        )

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopping:
            if not self._is_wanted():
                self._wake.wait(SECONDS_BETWEEN_LOOKS)
                self._wake.clear()
                continue
            healthy = False
            try:
                healthy = self._one_process()
            except Exception as error:
                log.exception("The worker of the lane '%s' cannot be started", self._lane)
                self._died(f"It cannot be started: {error}.")
            if not healthy and not self._stopping:
                self._wake.wait(pause)
                self._wake.clear()
                pause = min(2 * pause, LONGEST_PAUSE)
            if healthy:
                pause = FIRST_PAUSE
        self._be("stopped")

    def _is_wanted(self) -> bool:
        """The device's worker is always there; another one while there is work for it."""
        if not self._idle_seconds:
            return True
        from sfumato.jobs.order import next_in_turn

        try:
            with self._studio.jobs.store.reading() as connection:
                return next_in_turn(connection, self._lane) is not None
        except Exception:
            log.exception("The queue cannot be read")
            return False

    def _one_process(self) -> bool:
        """Start a process and go with it to its end; whether the next one may follow at once."""
        process = self._process = Process(self._studio, self._lane, self._idle_seconds)
        self._killed_for = ""
        self._be("starting")
        wire.listen(process.reads(), lambda word: self._hear(process, word), process.ended.set)
        if self._stopping:
            process.words.say(f"stop {SERVER_STOPPED}")
        try:
            while not process.ended.wait(TICK_SECONDS) and process.popen.poll() is None:
                self._end_if_silent(process)
        finally:
            code = process.close()
            self._process = None
        why = self._killed_for or how_it_ended(code)
        if process.said_bye and not self._killed_for:
            self._be("stopped")
        else:
            self._died(why)
        self._recover(process, why)
        return process.said_bye or time.monotonic() - process.started > HEALTHY_SECONDS

    def _hear(self, process: Process, words: str) -> None:
        word, _, job = words.partition(" ")
        process.last_sign = time.monotonic()
        self._heartbeat = datetime.now(UTC)
        if word == "news":
            self._studio.jobs.nudge()
        elif word == "bye":
            process.said_bye = True
        elif word == "waiting":
            if self._problem != WAITS:
                log.warning("Lane '%s': %s Jobs are done by that one.", self._lane, WAITS)
            self._problem = WAITS
        elif word in ("idle", "busy"):
            self._job = job
            if self._problem == WAITS:
                self._problem = ""
            if self._state != word:
                self._be(word, job)

    def _be(self, state: str, job: str = "") -> None:
        self._state, self._job, self._since = state, job, datetime.now(UTC)

    def _died(self, why: str) -> None:
        if self._stopping:
            return
        log.warning("The worker of the lane '%s' died: %s", self._lane, why)
        self._restarts += 1
        self._problem = why
        self._be("restarting")

    def _end_if_silent(self, process: Process) -> None:
        patience = self._studio.settings.jobs.hang_seconds
        if patience and time.monotonic() - process.last_sign > patience:
            self._killed_for = f"The worker process gave no sign of life for {patience:g} seconds."
            process.kill()

    def _recover(self, process: Process, why: str) -> None:
        """Put in order what it was at; where that fails, the next worker does it when it starts."""
        from sfumato.jobs.recovery import Cause, orphans_of_worker, recover

        cause = Cause(why, last_lines(process.log, process.log_start), counts=not self._stopping)
        try:
            with self._studio.jobs.store.writing() as connection:
                for row in orphans_of_worker(connection, process.name):
                    recover(connection, row, cause, self._studio.settings.jobs.attempts)
        except Exception:
            log.exception("What the worker was at cannot be put in order yet")
        self._studio.jobs.changed()


def how_it_ended(code: int) -> str:
    """An exit code in words."""
    if code >= 0 or os.name == "nt":
        return f"The worker process ended by itself, with exit code {code}."
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    perhaps = " Perhaps memory ran out." if name == "SIGKILL" else ""
    return f"The worker process was ended by {name}.{perhaps}"
