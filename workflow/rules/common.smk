# What the rules share.


def cached(file):
    """An input whose time stamp says nothing, if today's settings and code made it.

    A copied or cloned results folder has arbitrary time stamps; the fingerprint in each file is
    what tells. Where it differs, the input is an ordinary one, and changes travel downstream.
    """
    return ancient(file.path) if file.is_current() else file.path


def noticed(job):
    """The job; run again where nothing but its fingerprint tells that it is stale.

    And where it was made here without the weights that are to be kept now. Not run again where
    what is there is today's, and only what was here before was another's.
    """
    known = [path for path in job.outputs if os.path.exists(path)]
    if job.is_stale():
        redo_unnoticed(known, job.fingerprint)
        return job
    if job.is_current():
        another = partial(snakemake_internals.sees_another, workflow, value=job.fingerprint)
        snakemake_internals.forget(workflow, filter(another, known))
    if PLAN.lacks_weights(job):
        if any(snakemake_internals.remembers(workflow, path) for path in known):
            snakemake_internals.redo(workflow, known)
    return job


def redo_unnoticed(paths, today):
    """Make files again that say of themselves that they are not today's.

    Where Snakemake sees that as well, by what it has noted, it does so itself and says why.
    """
    if not any(snakemake_internals.sees_another(workflow, path, today) for path in paths):
        snakemake_internals.redo(workflow, paths)
        say_what_changed(paths, today)


def stands_alone(job):
    """Whether a result was brought back from elsewhere (docs/provenance.md).

    It comes without the masks and weights behind it, which are not made again for its sake, nor
    are those of another time that lie there.
    """
    return (
        job.is_current()
        and not snakemake_internals.is_forced(workflow)
        and not any(snakemake_internals.remembers(workflow, path) for path in job.outputs)
    )


def inputs(rule):
    """The inputs of a rule's jobs, by name."""

    def named(w):
        job = noticed(PLAN.of(rule, w))
        files = job.inputs
        if stands_alone(job):
            files = {name: file for name, file in files.items() if file.is_current()}
        return {name: cached(file) for name, file in files.items()}

    return named


# Snakemake redoes a job when a parameter changes, unless its function takes `output`. What an option
# that decides no result says, e.g. where an archive lies, is no reason to do anything again.
def options(rule):
    """What a study decides of a rule's command line."""
    return lambda w, output: command_options(PLAN.of(rule, w).options)


def settings(rule):
    """Those options that are part of the fingerprint: Snakemake's reason shows how they changed."""
    return lambda w: command_options(PLAN.of(rule, w).settings)


def study_options(w):
    """The study as scripts are told of it; a text of its own could have wildcards in it."""
    return PLAN.study_options()


def fingerprint(rule):
    """What a rule's jobs store in the files that they make."""
    return lambda w: PLAN.of(rule, w).fingerprint


def source_of(w):
    """A dataset's source, whose time stamp says nothing while what was read of it is today's."""
    job = noticed(PLAN.prepare(w.dataset))
    path = job.inputs["source"].path
    return ancient(path) if recorded(job.outputs[0]) == job.fingerprint else path


def pretrained(file):
    return PLAN.weights("{dataset}", "{model}", "{seed}", f"{{data}}/{file}")


# `snakemake figures` beside a runs.csv draws from it alone: nothing is collected or trained. A rule
# of another workflow's may have this name.
ONLY_FIGURES = not IS_MODULE and snakemake_internals.targets() == ["figures"]
FROM_TABLES = ONLY_FIGURES and os.path.exists(f"{ROOT}/runs.csv")


RESULTS = [file for file in PLAN.results() if not SETTINGS.partial or file.is_current()]
# Tables and what is made of them follow from these; a time stamp may say nothing of it.
COLLECTED = PLAN.collected(RESULTS)
GATHERED = [f"{ROOT}/{name}" for name in ("runs.csv", "layers.csv", "histories.csv", "about.json")]
# Of which results they are is recorded in the last of them.
GATHERED_OF = recorded(GATHERED[-1])
SETTLED = not FROM_TABLES and PLAN.is_settled()

if workflow.is_main_process and FROM_TABLES and GATHERED_OF not in (None, COLLECTED):
    print(
        f"warning: {GATHERED[0]} is not what today's study and code would collect; figures and "
        "tables are made of it as it is. Without a target, Snakemake makes it anew.",
        file=sys.stderr,
    )


def gathered_of():
    """What about.json says that was collected; called from input functions.

    Where Snakemake remembers nothing, other code than today's may have made figures and page.
    """
    if snakemake_internals.remembers(workflow, GATHERED[-1]):
        return GATHERED_OF
    same = recorded(GATHERED[-1], "shown_by") == PLAN.shown_by
    return GATHERED_OF if same or GATHERED_OF is None else ""


def results_to_collect(w):
    """Every result; they are collected again where nothing but about.json tells that it is stale.

    In a copied folder Snakemake does not know what was collected, and a result that the study has
    no longer leaves no newer file. Behind a training that runs again Snakemake looks at nothing
    that has `ancient` inputs alone, whatever reason of its own that has.
    """
    if gathered_of() not in (None, COLLECTED):
        redo_unnoticed(GATHERED, COLLECTED)
    if gathered_of() != COLLECTED or snakemake_internals.is_forced(workflow):
        return [file.path for file in RESULTS]
    return [cached(file) for file in RESULTS]


# Where the decisions of this look are kept; nothing follows a study's only look.
LOOK = [] if FROM_TABLES or SETTINGS.partial or not STUDY.statistics.looks else [PLAN.look_now()]

if workflow.is_main_process and not FROM_TABLES:
    if said := PLAN.progress.sentence(STUDY):
        print(said, file=sys.stderr)


def parts_of(product, *paths):
    """What a table, a figure or the page is made of.

    In a copied or cloned folder time stamps say nothing, and Snakemake remembers nothing of the
    product: while every result is today's, it is too. Elsewhere they are ordinary inputs, since
    Snakemake does not look at what follows a changed job by `ancient` files alone.
    """

    def chosen(w):
        known = snakemake_internals.remembers(workflow, product)
        settled = SETTLED and gathered_of() == COLLECTED
        copied = settled and not known and not snakemake_internals.is_forced(workflow)
        return [ancient(path) if copied else path for path in paths]

    return chosen


# `run NAME` in a rule is workflow/scripts/NAME.py; see scripts/run.sh.
SCRIPTS = os.path.join(os.path.dirname(str(workflow.current_basedir)), "scripts")
PREFIX = {
    "SCRIPTS": SCRIPTS,
    "SNAKEMAKE_PYTHON": os.path.dirname(sys.executable),
    "SNAKEMAKE_CONDA": os.environ.get("CONDA_PREFIX", ""),
    "RESTRICTIONS": restricted(STUDY.arithmetic),
}
PREFIX = " ".join(f"{name}={quote(value)};" for name, value in PREFIX.items())
PREFIX = f'set -euo pipefail; {PREFIX} . "$SCRIPTS/run.sh"; '
shell.prefix(PREFIX.replace("{", "{{").replace("}", "}}"))
CONDA = "../../envs/environment.yaml"


def spare(files):
    """Outputs that go once nothing needs them, if the settings say so."""
    return files if SETTINGS.keep_intermediate else temp(files)


# A cluster job is a Snakemake of its own on the node. To it the job's cells are local: it runs
# their commands itself, where they would each be a job step with yet another Snakemake below.
IN_CLUSTER_JOB = workflow.remote_exec
if IN_CLUSTER_JOB:
    try:
        refuse_changed_study(PLAN)
    except JackpotError as error:
        raise WorkflowError(str(error)) from None
# Jobs inherit what says nothing of their results.
Environment(
    device=SETTINGS.device,
    jobs_per_device=SETTINGS.jobs_per_device,
    study=PLAN.study_digest,
    own_code=json.dumps(PLAN.own_code()),
    resume_minutes=SETTINGS.resume.minutes,
    resume_epochs=SETTINGS.resume.epochs or 0,
    keep_intermediate=int(SETTINGS.keep_intermediate),
    tensorboard=int(STUDY.logging.tensorboard),
).hand_on()
if SETTINGS.warm_processes and sys.platform == "linux":
    try:
        os.environ.update(JACKPOT_WARM=warm_folder(), JACKPOT_WARM_OWNER=str(os.getpid()))
    except JackpotError as error:
        raise WorkflowError(str(error)) from None

if IN_CLUSTER_JOB:
    # A job of several slots has asked for what several cells need.
    snakemake_internals.run_cells_here(workflow, int(os.environ.get("JACKPOT_SLOTS", "1")))
elif "slot" in workflow.global_resources:
    os.environ.update(JACKPOT_SLOTS=str(workflow.global_resources["slot"].value))


shorten_messages()
snakemake_internals.tell_why_groups_fail()
snakemake_internals.notice_cancelled_jobs()


def any_of(names):
    """A wildcard's pattern for one of these names; for nothing where there are none."""
    return "|".join(map(re.escape, names)) or "(?!)"
