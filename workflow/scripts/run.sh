# run NAME --options...: workflow/scripts/NAME.py as a job of Snakemake. The shell of every rule
# reads this; SCRIPTS, SNAKEMAKE_PYTHON, SNAKEMAKE_CONDA and RESTRICTIONS are set in rules/common.smk.

# Under the Python that runs Snakemake, or that of the rule's environment where Snakemake has
# activated one.
[ "${CONDA_PREFIX-}" != "$SNAKEMAKE_CONDA" ] || PATH="$SNAKEMAKE_PYTHON:$PATH"

# A job that was told to stop has saved itself and says so with status 75: it goes on, three times
# at most and while Snakemake is there. Ctrl-C and a signal to all are for the shell too.
run() {
    trap "exit 130" INT
    local status try
    for try in 1 2 3 4; do
        status=0
        # What restricts instructions must be there before the warm process loads torch.
        env $RESTRICTIONS python -S -E "$SCRIPTS/warm.py" "$SCRIPTS/$1.py" "${@:2}" || status=$?
        [ $status = 75 ] && kill -0 $PPID 2> /dev/null || break
    done
    explain $status "$1" >&2
    return $status
}

# What a status above 128 means: the signal that ended a job, which can say nothing itself.
explain() {
    case $1 in
        70) echo "error: $2: the process that runs the jobs was killed; start again" ;;
        132) echo "error: $2 crashed (illegal instruction): this PyTorch needs a newer processor" ;;
        134) echo "error: $2 crashed (aborted); please report it with this log" ;;
        135) echo "error: $2 crashed (bus error): a disk or /dev/shm may be full" ;;
        136) echo "error: $2 crashed (arithmetic exception); please report it with this log" ;;
        137) echo "error: $2 was killed (signal 9), most likely because memory ran out:" \
            "use fewer --cores, or ask for more mem_mb (resources in config.yaml)" ;;
        139) echo "error: $2 crashed (segmentation fault); please report it with this log" ;;
        129 | 130 | 131 | 143) echo "error: $2 was told to stop (signal $(($1 - 128)))" ;;
        152) echo "error: $2 was ended by its limit of processor time (ulimit -t)" ;;
        153) echo "error: $2 was ended by the limit of file sizes (ulimit -f)" ;;
        *) [ "$1" -le 128 ] || echo "error: $2 was ended by signal $(($1 - 128))" ;;
    esac
}
