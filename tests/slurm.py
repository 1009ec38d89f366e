"""A real Slurm of one node for tests, which lives in a folder and touches nothing outside it.

The daemons run as children of the caller, without systemd and without cgroups, listen on the
loopback only, and keep keys, sockets, state and logs in the folder. Commands find them by the
variables in `Cluster.environment`, so that several clusters can run side by side and a Slurm that
is installed for real is left alone. There is no accounting database: `squeue` tells what became of
a job for `MinJobAge` seconds after its end, and a stand-in for `sacct` tells the state of ended
jobs, as much as the Slurm plugin of Snakemake asks of it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

NODE = "localhost"  # Slurm itself puts this machine's name in its place
SLOTS = 2
DAEMONS = ("munged", "slurmctld", "slurmd")  # in the order in which they need each other
COMMANDS = ("sbatch", "scancel", "scontrol", "sinfo", "squeue", "srun")
PATIENCE = 30.0  # seconds that a daemon has to come up, and jobs have to end
LONGEST = 70  # of a folder's path: sockets below it must stay under the 108 of Linux

CONFIGURATION = Path(__file__).with_name("slurm.conf")

# The Slurm plugin of Snakemake takes every SLURM_ variable from the `srun` that it starts inside a
# job, SLURM_CONF too, which would then look for the Slurm of the machine.
SRUN = """\
#!/bin/sh
SLURM_CONF='{configuration}' exec '{srun}' "$@"
"""

# In place of an accounting database, which answers while the controller is away: the number and
# the state of the jobs that ended, of those with a given name if one is given.
SACCT = """\
#!/bin/sh
name='[^ ]*'
while [ $# -gt 0 ]; do
    [ "$1" = --name ] && name=$2
    shift
done
[ -e '{folder}/ended' ] || exit 0
sed -n "s/^JobId=\\([0-9]*\\) .* Name=$name JobState=\\([A-Z_]*\\) .*/\\1|\\2/p" '{folder}/ended'
"""


def available() -> str:
    """Why no cluster can be started here, or nothing if one can."""
    missing = [name for name in DAEMONS + COMMANDS if shutil.which(name) is None]
    if missing:
        return f"not in PATH: {', '.join(missing)} (Debian: apt-get install slurm-wlm munge)"
    if os.geteuid() != 0:
        return "slurmd must run as root to start jobs"
    return ""


@dataclass
class Cluster:
    """A running cluster; make it with `cluster`, which also stops it."""

    folder: Path
    environment: dict[str, str]  # a whole one: hand it to subprocess as it is
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def run(self, *command: str, check: bool = True) -> str:
        """What a command such as `squeue` prints when it runs in this cluster."""
        done = subprocess.run(
            command,
            env=self.environment,
            check=False,  # below, with the logs
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr}\n{self.logs()}")
        return done.stdout

    def jobs(self) -> dict[str, str]:
        """The state of every job by its number, those that ended a while ago as well."""
        lines = self.run("squeue", "--states=all", "--noheader", "--format=%i %T").splitlines()
        return dict(line.split() for line in lines)

    def cancel(self, *jobs: str) -> None:
        """Cancel jobs by their numbers."""
        self.run("scancel", *jobs)

    def drain(self) -> None:
        """Let the node finish what it runs and start nothing more."""
        self.run("scontrol", "update", f"NodeName={NODE}", "State=DRAIN", "Reason=test")

    def resume(self) -> None:
        """Let a drained node start jobs again."""
        self.run("scontrol", "update", f"NodeName={NODE}", "State=RESUME")
        self._wait(self._answers, "the node does not come back")

    def stop_controller(self) -> None:
        """Stop the controller: jobs go on, but commands get no answer until it is back."""
        self._stop("slurmctld")

    def start_controller(self) -> None:
        """Start the controller from its saved state, and wait until it knows the node.

        A step that a job asks for before that is put off by some two minutes, so let the jobs
        be inside their steps when the controller goes away.
        """
        self._start("slurmctld", "-D")
        self._wait(lambda: bool(self._node_state()), "the controller does not answer")
        self.daemons["slurmd"].send_signal(signal.SIGHUP)  # report now, not in 15 seconds
        self._wait(self._answers, "the node does not come back")

    def restart_controller(self) -> None:
        """Stop the controller and start it again: it forgets no job."""
        self.stop_controller()
        self.start_controller()

    def logs(self, lines: int = 15) -> str:
        """The end of what each daemon wrote."""
        files = sorted(self.folder.glob("*.log"))
        ends = {file.name: file.read_text(errors="replace").splitlines() for file in files}
        return "\n".join(f"{name}: {line}" for name, end in ends.items() for line in end[-lines:])

    def start(self) -> None:
        """Start the daemons, each when the one before can serve it."""
        folder = self.folder
        files = [f"--{kind}-file={folder}/munge.{kind}" for kind in ("key", "pid", "seed")]
        # --force: do not mind who else may write to folders above, the key is for this test only
        munge = folder / "munge.socket"
        self._start("munged", "--foreground", "--force", f"--socket={munge}", *files)
        self._wait(munge.is_socket, "munged makes no socket")
        self._start("slurmctld", "-D")
        self._start("slurmd", "-D")
        self._wait(lambda: self._node_state() == "idle", "the node does not become idle")

    def stop(self) -> None:
        """End all jobs and daemons, whatever state they are in."""
        if self._alive("slurmctld") and self._alive("slurmd"):
            with contextlib.suppress(RuntimeError, subprocess.TimeoutExpired):
                self.run("scancel", "--user=root")
                self._wait(lambda: not self.run("squeue", "--noheader"), "jobs do not end")
        for name in reversed(DAEMONS):
            self._stop(name)
        self._kill_left_behind()

    def _answers(self) -> bool:
        state = self._node_state()  # a star: the node has not reported yet
        return bool(state) and not state.endswith("*") and state not in ("unknown", "down")

    def _node_state(self) -> str:
        return self.run("sinfo", "--noheader", "--format=%T", check=False).strip()

    def _alive(self, name: str) -> bool:
        return name in self.daemons and self.daemons[name].poll() is None

    def _wait(self, ready: Callable[[], bool], problem: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not ready():
            dead = [name for name in self.daemons if not self._alive(name)]
            if dead or time.monotonic() > deadline:
                raise RuntimeError(f"{problem}; ended: {dead}\n{self.logs()}")
            time.sleep(0.1)

    def _start(self, name: str, *arguments: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.daemons[name] = subprocess.Popen(
                [str(shutil.which(name)), *arguments],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # or an interrupt would end it before its jobs
            )

    def _stop(self, name: str) -> None:
        process = self.daemons.pop(name, None)
        if process is None:
            return
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _kill_left_behind(self) -> None:
        """Kill what still runs in this cluster's environment, such as steps that lost slurmd."""
        deadline = time.monotonic() + PATIENCE
        while (found := self._processes()) and time.monotonic() < deadline:
            for process in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.1)

    def _processes(self) -> list[int]:
        """The processes that were started in this cluster's environment, but for this one."""
        mark = f"SLURM_CONF={self.environment['SLURM_CONF']}".encode()
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it ended meanwhile
                if mark in (process / "environ").read_bytes().split(b"\0"):
                    found.append(int(process.name))
        return [process for process in found if process != os.getpid()]


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A cluster in an empty or new folder, idle when the block begins and gone when it ends."""
    if reason := available():
        raise RuntimeError(reason)
    folder = folder.resolve()
    if len(os.fsencode(folder)) > LONGEST or re.search(r"[^\w/.+-]", str(folder)):
        raise ValueError(f"Slurm needs a short path of plain characters, not {folder}")
    made = Cluster(folder, _prepare(folder))
    try:
        made.start()
        yield made
    finally:
        made.stop()


def _prepare(folder: Path) -> dict[str, str]:
    """Write what the daemons read, and give the environment in which to run them."""
    for name in ("state", "spool", "bin"):
        (folder / name).mkdir(parents=True)
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(128))
    configuration = folder / "slurm.conf"
    controller, node = _free_ports(2)
    ports = {"controller_port": controller, "node_port": node}
    filled = CONFIGURATION.read_text().format(folder=folder, node=NODE, slots=SLOTS, **ports)
    configuration.write_text(filled)
    srun = SRUN.format(configuration=configuration, srun=shutil.which("srun"))
    for name, script in {"srun": srun, "sacct": SACCT.format(folder=folder)}.items():
        (folder / "bin" / name).write_text(script)
        (folder / "bin" / name).chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not _of_slurm(name)}
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return kept | {"PATH": path, "SLURM_CONF": str(configuration)}


def _of_slurm(name: str) -> bool:
    """Whether a variable would change what Slurm's commands do, as inside a job of another."""
    return re.match(r"(SLURM|SBATCH|SRUN|SQUEUE|SINFO|SCANCEL|SALLOC|SCONTROL)_", name) is not None


def _free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody uses now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
