# Masks: a pruner scores once and cuts at every sparsity of the study.

MASKS = [
    PLAN.mask("{dataset}", "{model}", "{pruner}", "{data}", "{seed}", f"{sparsity:g}")
    for sparsity in STUDY.sparsities
]


ITERATIVE = PLAN.iterative_pruners()


rule prune:
    input:
        unpack(inputs("prune")),
    output:
        spare(MASKS),
    log:
        f"{ROOT}/logs/prune/{{dataset}}/{{model}}/{{pruner}}/{{data}}/seed{{seed}}.log",
    wildcard_constraints:
        pruner=any_of(name for name in STUDY.all_pruners if name not in ITERATIVE),
    localrule: IN_CLUSTER_JOB
    conda:
        CONDA
    threads: SETTINGS.threads
    resources:
        **PLAN.request("prune"),
    params:
        out=lambda w, output: os.path.dirname(output[0]),
        options=options("prune"),
        settings=settings("prune"),
        fingerprint=fingerprint("prune"),
    message:
        "prune {wildcards.model} on {wildcards.dataset} ({wildcards.data}): {wildcards.pruner},"
        " seed {wildcards.seed}"
    shell:
        "run prune --data {input.data:q} --weights {input.weights:q}"
        " --out {params.out:q} {params.options} --threads {threads}"
        " --fingerprint {params.fingerprint} > {log:q} 2>&1"


rule prune_iteratively:
    # Trains between its cuts, so a sparsity is a job of its own.
    input:
        unpack(inputs("prune_iteratively")),
    output:
        spare(PLAN.mask("{dataset}", "{model}", "{pruner}", "{data}", "{seed}", "{sparsity}")),
    log:
        f"{ROOT}/logs/prune/{{dataset}}/{{model}}/{{pruner}}/{{data}}/seed{{seed}}-{{sparsity}}.log",
    wildcard_constraints:
        pruner=any_of(ITERATIVE),
    localrule: IN_CLUSTER_JOB
    conda:
        CONDA
    threads: SETTINGS.threads
    resources:
        **PLAN.request("prune_iteratively"),
    params:
        out=lambda w, output: os.path.dirname(output[0]),
        resume=f"{ROOT}/.resume/prune/{{dataset}}/{{model}}/{{pruner}}/{{data}}/seed{{seed}}/sparsity{{sparsity}}.safetensors",
        options=options("prune_iteratively"),
        settings=settings("prune_iteratively"),
        fingerprint=fingerprint("prune_iteratively"),
    message:
        "prune {wildcards.model} on {wildcards.dataset} ({wildcards.data}): {wildcards.pruner},"
        " sparsity {wildcards.sparsity}, seed {wildcards.seed}"
    shell:
        "run prune_iteratively --clean {input.clean:q} --data {input.data:q}"
        " --initial {input.initial:q} --weights {input.weights:q}"
        " --out {params.out:q} {params.options} --threads {threads}"
        " --resume-file {params.resume:q} --fingerprint {params.fingerprint} > {log:q} 2>&1"
