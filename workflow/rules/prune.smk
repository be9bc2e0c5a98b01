# Masks: a pruner scores once and cuts at every sparsity of the study.

MASKS = [
    PLAN.mask("{dataset}", "{model}", "{pruner}", "{data}", "{seed}", f"{sparsity:g}")
    for sparsity in STUDY.sparsities
]


ITERATIVE = PLAN.iterative_pruners()


rule prune:
    input:
        data=lambda w: cached(PLAN.seen_data(w)),
        weights=lambda w: cached(PLAN.weights_to_score(w)),
    output:
        spare(MASKS),
    log:
        f"{ROOT}/logs/prune/{{dataset}}/{{model}}/{{pruner}}/{{data}}/seed{{seed}}.log",
    wildcard_constraints:
        pruner="|".join(name for name in STUDY.all_pruners if name not in ITERATIVE),
    conda:
        CONDA
    threads: SETTINGS.threads
    resources:
        **PLAN.request("prune"),
    params:
        out=lambda w, output: os.path.dirname(output[0]),
        options=PLAN.prune_options,
        fingerprint=lambda w: PLAN.fingerprints.masks(
            w.dataset, w.model, w.pruner, w.data, int(w.seed)
        ),
    message:
        "prune {wildcards.model} on {wildcards.dataset} ({wildcards.data}): {wildcards.pruner},"
        " seed {wildcards.seed}"
    shell:
        "run prune --data {input.data} --weights {input.weights}"
        " --out {params.out} {params.options} --threads {threads}"
        " --fingerprint {params.fingerprint} 2> {log}"


rule prune_iteratively:
    # Trains between its cuts, so a sparsity is a job of its own.
    input:
        clean=lambda w: cached(PLAN.clean_data(w)),
        data=lambda w: cached(PLAN.seen_data(w)),
        initial=lambda w: cached(PLAN.weights_to_pretrain(w)),
        weights=lambda w: cached(PLAN.weights_to_score(w)),
    output:
        PLAN.mask("{dataset}", "{model}", "{pruner}", "{data}", "{seed}", "{sparsity}"),
    log:
        f"{ROOT}/logs/prune/{{dataset}}/{{model}}/{{pruner}}/{{data}}/seed{{seed}}-{{sparsity}}.log",
    wildcard_constraints:
        pruner="|".join(ITERATIVE),
    conda:
        CONDA
    threads: SETTINGS.threads
    resources:
        **PLAN.request("prune_iteratively"),
    params:
        out=lambda w, output: os.path.dirname(output[0]),
        resume=f"{ROOT}/.resume/prune/{{dataset}}/{{model}}/{{pruner}}/{{data}}/seed{{seed}}/sparsity{{sparsity}}.safetensors",
        options=PLAN.prune_iteratively_options,
        fingerprint=lambda w: PLAN.fingerprints.masks(
            w.dataset, w.model, w.pruner, w.data, int(w.seed)
        ),
    message:
        "prune {wildcards.model} on {wildcards.dataset} ({wildcards.data}): {wildcards.pruner},"
        " sparsity {wildcards.sparsity}, seed {wildcards.seed}"
    shell:
        "run prune_iteratively --clean {input.clean} --data {input.data}"
        " --initial {input.initial} --weights {input.weights}"
        " --out {params.out} {params.options} --threads {threads}"
        " --resume-file {params.resume} --fingerprint {params.fingerprint} 2> {log}"
