"""
A real SLURM of several nodes on this machine, for tests: Debian's packages, started by hand in a folder of its own.

Nodes are daemons under different names on the loopback; their CPUs and memory are claims that nobody enforces.
Needs root and `PROGRAMS`; with a database, those of `DATABASE` too.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
DATABASE = ("slurmdbd", "mariadbd")
ACCOUNT = "astro"
PATIENCE = 30.0  # seconds until a daemon must be there

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MailProg=/bin/true
MpiDefault=none
# squeue knows an ended job for so long.
MinJobAge=300
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0
# A node that does not answer is down after so long, and comes back by itself.
SlurmdTimeout=10
ReturnToService=2
KillWait=2
"""


class Cluster:
    """
    Daemons of munge and SLURM, and of an accounting database if it is wanted.

    Parameters
    ----------
    folder : Path
        For configuration, state and logs. Its path must be short: there are sockets in it.
    nodes : int
    accounting : bool
        There is one account then, `ACCOUNT`, which root may use.
    """

    def __init__(self, folder: Path, nodes: int = 3, accounting: bool = False) -> None:
        self.folder = folder
        self.nodes = [f"node{number}" for number in range(1, nodes + 1)]
        self.accounting = accounting
        self._processes: dict[str, subprocess.Popen] = {}
        self._ports = iter(_free_ports(3 + nodes))

    @property
    def environment(self) -> dict[str, str]:
        """Variables that make SLURM's commands speak to this cluster."""
        # The executor hides all of SLURM's variables from the srun of a job, which then looks in /etc.
        programs = self.folder / "bin"
        return {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": f"{programs}:{os.environ['PATH']}"}

    def __enter__(self) -> "Cluster":
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def query(self, *command: str) -> str:
        """Return what one of SLURM's commands prints."""
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | self.environment, timeout=60)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def kill_node(self, name: str) -> None:
        """Kill a node and all that runs on it, as if its power were cut."""
        process = self._processes.pop(name)
        jobs = self.query("squeue", "--noheader", "--states=running", f"--nodelist={name}", "--format=%A").split()
        process.kill()
        process.wait()
        for job in jobs:
            self.kill_job(job)

    def kill_job(self, job: str, number: int = signal.SIGKILL) -> bool:
        """Send a signal to all processes of a job; return whether there were any."""
        pids = self._processes_with(f"SLURM_JOB_ID={job}")
        for pid in pids:
            _signal(pid, number)
        return bool(pids)

    def stop(self) -> None:
        """End all daemons, and what is left of jobs."""
        for pid in self._processes_with():
            _signal(pid, signal.SIGKILL)
        for process in reversed(self._processes.values()):
            process.kill() if process is not self._processes.get("mariadbd") else process.terminate()
        for process in self._processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        self._processes.clear()

    def _start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ("state", *(f"spool-{node}" for node in self.nodes)):
            (self.folder / name).mkdir(exist_ok=True)
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        munge = {name: f"--{name}-file={self.folder}/munge.{name}" for name in ("key", "log", "pid", "seed")}
        socket_file = self.folder / "munge.socket"
        self._daemon("munged", "munged", "--foreground", "--force", f"--socket={socket_file}", *munge.values())
        self._wait("munged", socket_file.exists)
        self._configure()
        if self.accounting:
            self._start_database()
        self._daemon("slurmctld", "slurmctld", "-D", "-i")
        for node in self.nodes:
            self._daemon(node, "slurmd", "-D", "-N", node)
        self._wait("nodes", lambda: self.query("sinfo", "-h", "-N", "-o", "%T").split() == ["idle"] * len(self.nodes))

    def _configure(self) -> None:
        host = socket.gethostname().partition(".")[0]
        lines = [CONFIGURATION.format(host=host, port=next(self._ports), folder=self.folder)]
        if self.accounting:
            self._database_port, self._accounting_port = next(self._ports), next(self._ports)
            lines.append(
                "AccountingStorageType=accounting_storage/slurmdbd\nAccountingStorageHost=127.0.0.1\n"
                f"AccountingStoragePort={self._accounting_port}\n"
                f"AccountingStoragePass={self.folder}/munge.socket\nAccountingStorageEnforce=associations,limits\n"
            )
        lines += [
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={next(self._ports)} "
            "CPUs=16 RealMemory=64000\n"
            for node in self.nodes
        ]
        programs = self.folder / "bin"
        programs.mkdir()
        srun = programs / "srun"
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {shutil.which("srun")} "$@"\n')
        srun.chmod(0o755)
        lines.append("PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP\n")
        (self.folder / "slurm.conf").write_text("".join(lines))

    def _start_database(self) -> None:
        data = self.folder / "database"
        install = ["mariadb-install-db", f"--datadir={data}", "--user=root", "--auth-root-authentication-method=normal"]
        subprocess.run([*install, "--skip-test-db"], check=True, capture_output=True)
        port = f"--port={self._database_port}"
        local = ["--no-defaults", f"--datadir={data}", f"--socket={self.folder}/mariadb.socket", "--user=root"]
        self._daemon("mariadbd", "mariadbd", *local, "--bind-address=127.0.0.1", port, "--skip-grant-tables")
        self._wait("mariadbd", lambda: _answers(self._database_port))
        configuration = self.folder / "slurmdbd.conf"
        configuration.write_text(
            f"AuthType=auth/munge\nAuthInfo=socket={self.folder}/munge.socket\nDbdHost=localhost\nDbdAddr=127.0.0.1\n"
            f"DbdPort={self._accounting_port}\nSlurmUser=root\nStorageType=accounting_storage/mysql\n"
            f"StorageHost=127.0.0.1\nStoragePort={self._database_port}\nStorageUser=root\nStorageLoc=slurm\n"
            f"LogFile={self.folder}/slurmdbd.log\nPidFile={self.folder}/slurmdbd.pid\n"
        )
        configuration.chmod(0o600)
        self._daemon("slurmdbd", "slurmdbd", "-D")
        self._wait("slurmdbd", lambda: _answers(self._accounting_port))
        for record in (("cluster", "test"), ("account", ACCOUNT), ("user", "root", f"account={ACCOUNT}")):
            self.query("sacctmgr", "--immediate", "add", *record)

    def _daemon(self, name: str, *command: str) -> None:
        # Daemons are in /usr/sbin, which is not on everybody's path.
        path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
        program = shutil.which(command[0], path=path)
        if program is None:
            raise RuntimeError(f"{command[0]} is not installed")
        environment = {**self.environment, "PATH": path}
        with (self.folder / f"{name}.out").open("wb") as output:
            self._processes[name] = subprocess.Popen(
                [program, *command[1:]],
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
            )

    def _processes_with(self, *variables: str) -> list[int]:
        """Return the processes in this cluster that have these variables in their environment, without our own."""
        wanted = {f"SLURM_CONF={self.folder / 'slurm.conf'}", *variables}
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                environment = (folder / "environ").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if int(folder.name) != os.getpid() and wanted <= set(environment):
                found.append(int(folder.name))
        return found

    def _wait(self, what: str, ready: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                if ready():
                    return
            except RuntimeError:
                pass  # the controller does not answer yet
            time.sleep(0.1)
        logs = "\n".join(path.read_text(errors="replace")[-2000:] for path in sorted(self.folder.glob("*.out")))
        raise RuntimeError(f"{what}: not there after {PATIENCE:.0f} s\n{logs}")


def _free_ports(number: int) -> Sequence[int]:
    sockets = [socket.socket() for _ in range(number)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _answers(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
