# Datasets: fetched once for every study, read into tensors, spoiled for the data checks.


rule download:
    output:
        f"{SETTINGS.data_dir}/{{dataset}}/{{source}}.json",
    log:
        f"{ROOT}/logs/download/{{dataset}}-{{source}}.log",
    wildcard_constraints:
        source="source-[0-9a-f]+",
    retries: 1
    localrule: True
    conda:
        CONDA
    params:
        options=options("download"),
        settings=settings("download"),
    message:
        "download {wildcards.dataset}"
    shell:
        "run download --out {output:q} {params.options} > {log:q} 2>&1"


rule prepare:
    input:
        source=source_of,
    output:
        PLAN.data("{dataset}", "clean"),
    log:
        f"{ROOT}/logs/prepare/{{dataset}}.log",
    localrule: IN_CLUSTER_JOB
    conda:
        CONDA
    resources:
        **PLAN.request("prepare"),
    params:
        fingerprint=fingerprint("prepare"),
    message:
        "prepare {wildcards.dataset}"
    shell:
        "run prepare --source {input.source:q} --out {output:q}"
        " --fingerprint {params.fingerprint} > {log:q} 2>&1"


rule corrupt:
    input:
        unpack(inputs("corrupt")),
    output:
        PLAN.data("{dataset}", "{data}"),
    log:
        f"{ROOT}/logs/corrupt/{{dataset}}/{{data}}.log",
    wildcard_constraints:
        data=f"({any_of(STUDY.data_versions)})(-[^/]+)?",
    localrule: IN_CLUSTER_JOB
    conda:
        CONDA
    resources:
        **PLAN.request("corrupt"),
    params:
        options=options("corrupt"),
        settings=settings("corrupt"),
        fingerprint=fingerprint("corrupt"),
    message:
        "corrupt {wildcards.dataset}: {wildcards.data}"
    shell:
        "run corrupt --clean {input.clean:q} --out {output:q}"
        " {params.options} --fingerprint {params.fingerprint} > {log:q} 2>&1"
