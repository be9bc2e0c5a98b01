# What the rules share.


def cached(file):
    """An input whose time stamp says nothing, if today's settings and code made it.

    A copied or cloned results folder has arbitrary time stamps; the fingerprint in each file is
    what tells. Where it differs, the input is an ordinary one, and changes travel downstream.
    """
    # A history has no place for a fingerprint; that of the metrics beside it is its own.
    witness = os.path.join(os.path.dirname(file.path), "metrics.json")
    made_by = recorded(witness if file.path.endswith(".csv") else file.path)
    return ancient(file.path) if made_by == file.fingerprint else file.path


def inputs(rule):
    """The inputs of a rule's jobs, by name."""
    return lambda w: {name: cached(file) for name, file in PLAN.of(rule, w).inputs.items()}


def options(rule):
    """What a study decides of a rule's command line."""
    return lambda w: command_options(PLAN.of(rule, w).options)


def fingerprint(rule):
    """What a rule's jobs store in the files that they make."""
    return lambda w: PLAN.of(rule, w).fingerprint


def source_of(w):
    """A dataset's source, whose time stamp says nothing while what was read of it is today's."""
    job = PLAN.prepare(w.dataset)
    path = job.inputs["source"].path
    return ancient(path) if recorded(job.outputs[0]) == job.fingerprint else path


def pretrained(file):
    return PLAN.weights("{dataset}", "{model}", "{seed}", f"{{data}}/{file}")


def only_target():
    """What Snakemake was asked for, if that is one thing by name; its rules are read before."""
    try:
        _, arguments = parse_args(sys.argv[1:])
    except SystemExit:  # another program's command line
        return None
    return arguments.targets.pop() if len(arguments.targets) == 1 else None


# `snakemake figures` beside a runs.csv draws from it alone: nothing is collected or trained.
FROM_TABLES = only_target() == "figures" and os.path.exists(f"{ROOT}/runs.csv")
SETTLED = not FROM_TABLES and PLAN.is_settled()


RESULTS = [file for file in PLAN.results() if not SETTINGS.partial or os.path.exists(file.path)]

# Where the decisions of this look are kept; nothing follows a study's only look.
LOOK = [] if FROM_TABLES or SETTINGS.partial or not STUDY.statistics.looks else [PLAN.look_now()]

if workflow.is_main_process and not FROM_TABLES:
    if said := PLAN.progress.sentence(STUDY):
        print(said, file=sys.stderr)


def settled(path):
    """A table whose time stamp says nothing, while every result is there and today's."""
    return ancient(path) if SETTLED else path


# `run NAME` in a rule is workflow/scripts/NAME.py under the Python that runs Snakemake, or under
# that of the rule's environment where Snakemake has activated one. A job that was told to stop has
# saved itself and says so with status 75: it goes on, three times at most and while Snakemake is
# there. Ctrl-C and a signal to all are for the shell too, which ends then.
shell.prefix(
    "set -euo pipefail; "
    f'[ "${{{{CONDA_PREFIX-}}}}" != "{os.environ.get("CONDA_PREFIX", "")}" ]'
    f' || PATH="{os.path.dirname(sys.executable)}:$PATH"; '
    'run() {{ trap "exit 130" INT; local status try; for try in 1 2 3 4; do status=0;'
    ' python -S -E workflow/scripts/warm.py "workflow/scripts/$1.py" "${{@:2}}" || status=$?;'
    " [ $status = 75 ] && kill -0 $PPID 2>/dev/null || break; done; return $status; }}; "
)
CONDA = "../../envs/environment.yaml"


def spare(files):
    """Outputs that go once nothing needs them, if the settings say so."""
    return files if SETTINGS.keep_intermediate else temp(files)


# Jobs inherit what says nothing of their results. The address is short because a socket's path
# may have 107 characters at most.
Environment(
    device=SETTINGS.device,
    jobs_per_device=SETTINGS.jobs_per_device,
    leases=Environment.read().leases,
    study=PLAN.study_digest,
    resume_minutes=SETTINGS.resume.minutes,
    resume_epochs=SETTINGS.resume.epochs or 0,
    keep_intermediate=int(SETTINGS.keep_intermediate),
    tensorboard=int(STUDY.logging.tensorboard),
).hand_on()
if SETTINGS.warm_processes:
    os.environ.update(
        JACKPOT_WARM=f"{tempfile.gettempdir()}/jackpot-{os.getuid()}-{os.getpid()}",
        JACKPOT_WARM_OWNER=str(os.getpid()),
    )

if not workflow.remote_exec and "slot" in workflow.global_resources:
    os.environ.update(JACKPOT_SLOTS=str(workflow.global_resources["slot"].value))

# A cluster job is a Snakemake of its own on the node. To it the job's cells are local: it runs
# their commands itself, where they would each be a job step with yet another Snakemake below.
if workflow.remote_exec:

    localrules:
        prepare,
        corrupt,
        initialise,
        pretrain,
        prune,
        prune_iteratively,
        retrain,

    # The Slurm plugin says --jobs 1, that is one cell at a time; a job of several slots has asked
    # for what several cells need.
    workflow.register_resource("_nodes", int(os.environ.get("JACKPOT_SLOTS", "1")))

    class Cells(JobScheduler):
        """Goes on to a job's other cells when one has failed."""

        def __init__(self, *args):
            super().__init__(*args)
            self.keepgoing = True
            # Snakemake 9's limiter of submissions starts a timer for every finished job, and each
            # timer re-runs the scheduler every second from then on, until that takes a whole core.
            self.job_rate_limiter = None

    # Neither keep-going nor a profile is handed on to a cluster job.
    snakemake.workflow.JobScheduler = Cells


TABLE_KINDS = ("csv", "md", "tex")
