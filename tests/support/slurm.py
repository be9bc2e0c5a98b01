"""A real single-node Slurm in a scratch folder, for tests."""

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from tests.support.processes import wait_for

CONF = """\
ClusterName=jackpot
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/jobs.log
ReturnToService=2
KillWait=2
OverTimeLimit=0
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=16000 Gres=gpu:2 State=UNKNOWN
PartitionName=short Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=ALL MaxTime=INFINITE State=UP
"""
# Pretend GPUs: Slurm counts device files and opens none of them.
GRES = "AutoDetect=off\nName=gpu File=/dev/null\nName=gpu File=/dev/zero\n"


class Cluster:
    """munged, slurmctld and slurmd; everything they write is in ``folder``."""

    def __init__(self, folder: Path):
        self.folder, self.host = folder, socket.gethostname()
        for name in ("munge", "state", "spool", "bin"):
            (folder / name).mkdir(parents=True)
        (folder / "munge" / "key").write_bytes(os.urandom(1024))
        shutil.chown(folder / "munge", "munge", "munge")
        shutil.chown(folder / "munge" / "key", "munge", "munge")
        os.chmod(folder / "munge" / "key", 0o400)
        conf = CONF.format(folder=folder, host=self.host, ports=free_ports(2))
        (folder / "slurm.conf").write_text(conf)
        (folder / "gres.conf").write_text(GRES)
        # The plugin's job step drops SLURM_CONF, which a cluster with /etc/slurm does not need.
        srun = folder / "bin" / "srun"
        real = shutil.which("srun")
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {real} "$@"\n')
        srun.chmod(0o755)
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("SLURM_")} | {
            "SLURM_CONF": f"{folder}/slurm.conf",
            "PATH": f"{folder}/bin:{os.environ['PATH']}",
        }

    def start(self) -> None:
        """Start the daemons and wait for the node."""
        munge = self.folder / "munge"
        # munged insists that nobody else can write to any folder above its socket.
        files = [f"--{n}={munge}/{n[:3]}" for n in ("pid-file", "log-file", "seed-file")]
        options = [f"--key-file={munge}/key", f"--socket={munge}/socket", "--force", *files]
        subprocess.run(["runuser", "-u", "munge", "--", "munged", *options], check=True)
        subprocess.run(["slurmctld"], env=self.environment, check=True)
        self.start_slurmd()

    def start_slurmd(self) -> None:
        """Start the node's daemon and wait until the node takes jobs."""
        conf = str(self.folder / "slurm.conf")
        subprocess.run(["slurmd", "-f", conf], env=self.environment, check=True)
        wait_for(self.is_up, "the node takes no jobs")

    def is_up(self) -> bool:
        """Whether the node takes jobs: idle, or at work since before its daemon's restart."""
        states = self.ask("sinfo", "-h", "-o", "%T").split()
        return bool(states) and set(states) <= {"idle", "mixed", "allocated"}

    def stop_slurmd(self) -> None:
        """Stop the node's daemon; steps that run go on without it."""
        stop(self.folder / "slurmd.pid")

    def stop(self) -> None:
        """Cancel all jobs and stop the daemons."""
        self.empty()
        for name in ("slurmd.pid", "slurmctld.pid", "munge/pid"):
            stop(self.folder / name)

    def empty(self) -> None:
        """Cancel all jobs."""
        self.ask("scancel", "--user", "root")
        wait_for(lambda: not self.ask("squeue", "-h"), "jobs outlive scancel")

    def ask(self, *command: str) -> str:
        """The output of a Slurm command."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        return done.stdout

    def finished(self) -> list[dict[str, str]]:
        """What slurmctld wrote of every job that ended: JobState, TimeLimit, Tres, ..."""
        log = self.folder / "jobs.log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [dict(w.split("=", 1) for w in line.split() if "=" in w) for line in lines]

    def states(self, job: str) -> list[str]:
        """How a job ended, each time that it ran."""
        return [ended["JobState"] for ended in self.finished() if ended["JobId"] == job]


def free_ports(count: int) -> list[int]:
    """Ports that are free now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def stop(pid_file: Path) -> None:
    """Stop a daemon that this module started."""
    try:
        process = int(pid_file.read_text())
        os.kill(process, signal.SIGTERM)
    except (OSError, ValueError):
        return
    wait_for(lambda: not Path(f"/proc/{process}").exists(), f"{pid_file} does not stop")
