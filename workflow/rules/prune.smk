# Masks: a pruner scores once and cuts at every sparsity of the study.

MASKS = [
    PLAN.mask("{dataset}", "{model}", "{pruner}", "{data}", "{seed}", f"{sparsity:g}")
    for sparsity in STUDY.sparsities
]


rule prune:
    input:
        data=lambda w: cached(PLAN.seen_data(w)),
        weights=lambda w: cached(PLAN.weights_to_score(w)),
    output:
        spare(MASKS),
    log:
        f"{ROOT}/logs/prune/{{dataset}}/{{model}}/{{pruner}}/{{data}}/seed{{seed}}.log",
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
