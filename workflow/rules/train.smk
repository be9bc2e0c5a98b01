# Networks: initial weights, pretraining, and the training of tickets.


rule initialise:
    input:
        unpack(inputs("initialise")),
    output:
        spare(PLAN.weights("{dataset}", "{model}", "{seed}", "init.safetensors")),
    log:
        f"{ROOT}/logs/initialise/{{dataset}}/{{model}}/seed{{seed}}.log",
    conda:
        CONDA
    resources:
        **PLAN.request("initialise"),
    params:
        options=options("initialise"),
        fingerprint=fingerprint("initialise"),
    message:
        "initialise {wildcards.model} for {wildcards.dataset}, seed {wildcards.seed}"
    shell:
        "run initialise --data {input.data} --out {output}"
        " {params.options} --fingerprint {params.fingerprint} 2> {log}"


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
    conda:
        CONDA
    threads: SETTINGS.threads
    resources:
        **PLAN.request("pretrain"),
    params:
        out=lambda w, output: os.path.dirname(output[0]),
        resume=f"{ROOT}/.resume/pretrain/{{dataset}}/{{model}}/seed{{seed}}/{{data}}.safetensors",
        options=options("pretrain"),
        fingerprint=fingerprint("pretrain"),
    message:
        "pretrain {wildcards.model} on {wildcards.dataset} ({wildcards.data}), seed {wildcards.seed}"
    shell:
        "run pretrain --clean {input.clean} --data {input.data}"
        " --weights {input.weights} --out {params.out} {params.options}"
        " --threads {threads} --resume-file {params.resume} --fingerprint {params.fingerprint}"
        " 2> {log}"


RUN = PLAN.run("{dataset}", "{model}", "{ticket}", "{check}", "{sparsity}", "{seed}")
DENSE = [name for name, ticket in STUDY.all_tickets.items() if ticket.pruner is None]


localrules:
    dense,


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
        ticket="|".join(DENSE),
        check="none",
        sparsity="0",
    conda:
        CONDA
    params:
        weights=(
            "cp $from/trained.safetensors $to/weights.safetensors;"
            if SETTINGS.keep_weights
            else ""
        ),
    message:
        "dense {wildcards.model} on {wildcards.dataset}, seed {wildcards.seed}"
    shell:
        "exec 2> {log}; from=$(dirname {input.history}) to=$(dirname {output.history});"
        " rm -rf $to/tensorboard; [ ! -d $from/tensorboard ] || cp -r $from/tensorboard $to;"
        " {params.weights} cp {input.history} {output.history}; cp {input.metrics} {output.metrics}"


rule retrain:
    input:
        unpack(inputs("retrain")),
    output:
        metrics=f"{RUN}/metrics.json",
        history=f"{RUN}/history.csv",
    log:
        f"{ROOT}/logs/retrain/{{dataset}}/{{model}}/{{ticket}}/{{check}}/sparsity{{sparsity}}/seed{{seed}}.log",
    wildcard_constraints:
        ticket="|".join(name for name in STUDY.all_tickets if name not in DENSE),
    conda:
        CONDA
    threads: SETTINGS.threads
    resources:
        **PLAN.request("retrain"),
    params:
        out=RUN,
        resume=RUN.replace(ROOT, f"{ROOT}/.resume", 1) + ".safetensors",
        options=options("retrain"),
        fingerprint=fingerprint("retrain"),
    message:
        "retrain {wildcards.ticket} ({wildcards.check}) at sparsity {wildcards.sparsity}:"
        " {wildcards.model} on {wildcards.dataset}, seed {wildcards.seed}"
    shell:
        "run retrain --clean {input.clean} --weights {input.weights}"
        " --mask {input.mask} --out {params.out} {params.options}"
        " --threads {threads} --resume-file {params.resume} --fingerprint {params.fingerprint}"
        " 2> {log}"
