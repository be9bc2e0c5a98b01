# Networks: initial weights, pretraining, and the training of tickets.


rule initialise:
    input:
        unpack(inputs("initialise")),
    output:
        spare(PLAN.weights("{dataset}", "{model}", "{seed}", "init.safetensors")),
    log:
        f"{ROOT}/logs/initialise/{{dataset}}/{{model}}/seed{{seed}}.log",
    localrule: IN_CLUSTER_JOB
    conda:
        CONDA
    resources:
        **PLAN.request("initialise"),
    params:
        options=options("initialise"),
        settings=settings("initialise"),
        fingerprint=fingerprint("initialise"),
    message:
        "initialise {wildcards.model} for {wildcards.dataset}, seed {wildcards.seed}"
    shell:
        "run initialise --data {input.data:q} --out {output:q}"
        " {params.options} --fingerprint {params.fingerprint} > {log:q} 2>&1"


PRETRAINED = [
    pretrained(f"{file}.safetensors")
    for file in ("trained", *(f"epoch{epoch}" for epoch in STUDY.rewind_epochs))
]


rule pretrain:
    input:
        unpack(inputs("pretrain")),
    output:
        pretrained("metrics.json"),
        pretrained("history.csv"),
        spare(PRETRAINED),
    log:
        f"{ROOT}/logs/pretrain/{{dataset}}/{{model}}/seed{{seed}}/{{data}}.log",
    localrule: IN_CLUSTER_JOB
    conda:
        CONDA
    threads: SETTINGS.threads
    resources:
        **PLAN.request("pretrain"),
    params:
        out=lambda w, output: os.path.dirname(output[0]),
        resume=f"{ROOT}/.resume/pretrain/{{dataset}}/{{model}}/seed{{seed}}/{{data}}.safetensors",
        options=options("pretrain"),
        settings=settings("pretrain"),
        fingerprint=fingerprint("pretrain"),
    message:
        "pretrain {wildcards.model} on {wildcards.dataset} ({wildcards.data}), seed {wildcards.seed}"
    shell:
        "run pretrain --clean {input.clean:q} --data {input.data:q}"
        " --weights {input.weights:q} --out {params.out:q} {params.options}"
        " --threads {threads} --resume-file {params.resume:q} --fingerprint {params.fingerprint}"
        " > {log:q} 2>&1"


RUN = PLAN.run("{dataset}", "{model}", "{ticket}", "{check}", "{sparsity}", "{seed}")
DENSE = [name for name, ticket in STUDY.all_tickets.items() if ticket.pruner is None]


rule dense:
    # The dense network was trained before pruning; its row is that training.
    input:
        unpack(inputs("dense")),
    output:
        metrics=f"{RUN}/metrics.json",
        history=f"{RUN}/history.csv",
    log:
        f"{ROOT}/logs/dense/{{dataset}}/{{model}}/{{ticket}}-{{check}}-{{sparsity}}/seed{{seed}}.log",
    wildcard_constraints:
        ticket=any_of(DENSE),
        check="none",
        sparsity="0",
    localrule: True
    conda:
        CONDA
    params:
        trained=lambda w: os.path.dirname(PLAN.dense(**dict(w.items())).inputs["history"].path),
        run=lambda w, output: os.path.dirname(output.history),
        # A file is whole or absent, and metrics.json, which says that all is there, comes last.
        files=lambda w, output: (["trained.safetensors"] if SETTINGS.keep_weights else [])
        + ["history.csv", "metrics.json"],
        fingerprint=fingerprint("dense"),
    message:
        "dense {wildcards.model} on {wildcards.dataset}, seed {wildcards.seed}"
    shell:
        "exec 2> {log:q}; from={params.trained:q} to={params.run:q};"
        ' rm -rf "$to/tensorboard" "$to/weights.safetensors";'
        ' [ ! -d "$from/tensorboard" ] || cp -r "$from/tensorboard" "$to";'
        " for file in {params.files}; do"
        " name=${{file/trained.safetensors/weights.safetensors}};"
        ' cp "$from/$file" "$to/.$name.part"; mv "$to/.$name.part" "$to/$name"; done'


rule retrain:
    input:
        unpack(inputs("retrain")),
    output:
        metrics=f"{RUN}/metrics.json",
        history=f"{RUN}/history.csv",
    log:
        f"{ROOT}/logs/retrain/{{dataset}}/{{model}}/{{ticket}}/{{check}}/sparsity{{sparsity}}/seed{{seed}}.log",
    wildcard_constraints:
        ticket=any_of(name for name in STUDY.all_tickets if name not in DENSE),
    localrule: IN_CLUSTER_JOB
    conda:
        CONDA
    threads: SETTINGS.threads
    resources:
        **PLAN.request("retrain"),
    params:
        out=RUN,
        resume=RUN.replace(ROOT, f"{ROOT}/.resume", 1) + ".safetensors",
        options=options("retrain"),
        settings=settings("retrain"),
        fingerprint=fingerprint("retrain"),
    message:
        "retrain {wildcards.ticket} ({wildcards.check}) at sparsity {wildcards.sparsity}:"
        " {wildcards.model} on {wildcards.dataset}, seed {wildcards.seed}"
    shell:
        "run retrain --clean {input.clean:q} --weights {input.weights:q}"
        " --mask {input.mask:q} --out {params.out:q} {params.options}"
        " --threads {threads} --resume-file {params.resume:q} --fingerprint {params.fingerprint}"
        " > {log:q} 2>&1"
