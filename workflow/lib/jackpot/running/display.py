"""What a call shows while it runs: one line that is redrawn on a terminal, few lines in a log.

No logger plugin of Snakemake's does this. One replaces all that Snakemake says and has to be asked
for, and the one with a progress bar, ``rich``, says of itself that it "may not be fully stable".
Here Snakemake's own handler goes on as ever; a plugin that a user asks for has its way.
"""

import logging
import os

from snakemake.logging import ColorizingTextHandler, logger, timestamp
from snakemake_interface_logger_plugins.common import LogEvent
from tqdm import tqdm

from jackpot.running.messages import last_line

# Snakemake's own handler; with a logger plugin that writes to the terminal there is none.
_HANDLER = "DefaultStreamHandler"
_NOISE = ("Select jobs to execute...",)


def show_progress(jobs: int, standing: str = "", details: bool = False) -> None:
    """From now on show how many jobs are done, in place of some seven lines for each.

    Whole messages stay in Snakemake's log file.

    Args:
        jobs: how many this call has.
        standing: where the study stands, shown beside the jobs.
        details: whether the command line asks for more of each job than that it runs; then a
            terminal has lines, too.
    """
    for handler in logger.handlers:
        if handler.name == _HANDLER:
            on_terminal = handler.is_tty and os.environ.get("TERM") != "dumb" and not details
            shown = _OneLine(handler, jobs, standing) if on_terminal else _FewLines(handler)
            handler.addFilter(shown)
            handler.setFormatter(shown)


class _OneLine(logging.Formatter):
    """Keeps from the terminal what every job says, and redraws a line; all else stands above it.

    A handler's filter and formatter in one: what is formatted is written before another thread can
    draw the line again.
    """

    def __init__(self, handler: ColorizingTextHandler, jobs: int, standing: str):
        super().__init__()
        self.handler = handler
        self.as_ever = handler.formatter
        self.running: dict[int, str] = {}
        self.standing = standing
        self.bar = tqdm(
            total=jobs,
            file=handler.stream,
            leave=False,
            dynamic_ncols=True,
            # The mean of late; jobs of one kind mostly follow one another.
            smoothing=0.05,
            bar_format="{bar:10} {n_fmt} of {total_fmt} jobs, {remaining} left{postfix}",
        )

    def filter(self, record: logging.LogRecord) -> bool:
        with self.handler.lock:
            # It would put an empty line before a job, ahead of what is formatted here.
            self.handler.last_msg_was_job_info = True
            return self._is_written(record)

    def _is_written(self, record: logging.LogRecord) -> bool:
        match getattr(record, "event", None):
            case LogEvent.JOB_INFO if record.output:
                self.running[record.jobid] = record.rule_msg or record.rule_name
            case LogEvent.JOB_FINISHED:
                self.running.pop(record.job_id, None)
            case LogEvent.PROGRESS:
                self.bar.total = record.total
                self.bar.update(record.done - self.bar.n)
                if record.done == record.total:
                    self.bar.close()
                    return True
            case LogEvent.JOB_STARTED | LogEvent.GROUP_INFO:
                pass
            case LogEvent.JOB_ERROR:
                self.running.pop(record.jobid, None)
                return True
            case _ if record.msg not in _NOISE:
                return True
        self._draw()
        return False

    def format(self, record: logging.LogRecord) -> str:
        self.bar.clear()
        return self.as_ever.format(record)

    def _draw(self) -> None:
        now = next(iter(self.running.values()), "")
        if len(self.running) > 1:
            now = f"{len(self.running)} running: {now}, ..."
        self.bar.set_postfix_str("; ".join(filter(None, (self.standing, now))))


class _FewLines(logging.Formatter):
    """A line for each job that starts, for what came of it, and for each percent that is done.

    A handler's filter and formatter in one: the records are other handlers' too, and stay as they
    are.
    """

    def __init__(self, handler: ColorizingTextHandler):
        super().__init__()
        self.handler = handler
        self.as_ever = handler.formatter
        self.logs: dict[int, list[str]] = {}
        self.percent = -1

    def filter(self, record: logging.LogRecord) -> bool:
        match getattr(record, "event", None):
            case LogEvent.JOB_INFO:
                self.logs[record.jobid] = record.log
                # It puts an empty line before a job that does not follow another one's start.
                self.handler.last_msg_was_job_info = True
            case LogEvent.JOB_FINISHED:
                return bool(self._came_of(record.job_id))
            case LogEvent.PROGRESS:
                before, self.percent = self.percent, 100 * record.done // record.total
                return self.percent != before
            case LogEvent.JOB_STARTED:
                return False
        return record.msg not in _NOISE

    def format(self, record: logging.LogRecord) -> str:
        match getattr(record, "event", None):
            case LogEvent.JOB_INFO:
                # The time has a line of its own.
                return self.as_ever.format(record).replace("]\n", "] ", 1)
            case LogEvent.JOB_FINISHED:
                return f"{timestamp()} Job {record.job_id} done: {self._came_of(record.job_id)}"
        return self.as_ever.format(record)

    def _came_of(self, job: int) -> str:
        return " ".join(map(last_line, self.logs.get(job, [])))
