# Datasets: fetched once for every study, read into tensors, spoiled for the data checks.


localrules:
    download,


rule download:
    output:
        f"{SETTINGS.data_dir}/{{dataset}}/source.json",
    log:
        f"{ROOT}/logs/download/{{dataset}}.log",
    retries: 1
    conda:
        CONDA
    params:
        options=PLAN.download_options,
        data_dir=lambda w, output: os.path.dirname(os.path.dirname(output[0])),
    message:
        "download {wildcards.dataset}"
    shell:
        "run download --dataset {wildcards.dataset}"
        " --data-dir {params.data_dir} {params.options} 2> {log}"


rule prepare:
    input:
        source=ancient(f"{SETTINGS.data_dir}/{{dataset}}/source.json"),
    output:
        PLAN.data("{dataset}", "clean"),
    log:
        f"{ROOT}/logs/prepare/{{dataset}}.log",
    conda:
        CONDA
    resources:
        **PLAN.request("prepare"),
    params:
        fingerprint=lambda w: PLAN.fingerprints.data(w.dataset, "clean"),
    message:
        "prepare {wildcards.dataset}"
    shell:
        "run prepare --source {input.source} --out {output}"
        " --fingerprint {params.fingerprint} 2> {log}"


rule corrupt:
    input:
        clean=lambda w: cached(PLAN.clean_data(w)),
    output:
        PLAN.data("{dataset}", "{data}"),
    log:
        f"{ROOT}/logs/corrupt/{{dataset}}/{{data}}.log",
    wildcard_constraints:
        data="random_labels|(random_pixels|corrupted)(-[a-z_]+)?|half",
    conda:
        CONDA
    resources:
        **PLAN.request("corrupt"),
    params:
        options=PLAN.corrupt_options,
        fingerprint=lambda w: PLAN.fingerprints.data(w.dataset, w.data),
    message:
        "corrupt {wildcards.dataset}: {wildcards.data}"
    shell:
        "run corrupt --clean {input.clean} --out {output}"
        " {params.options} --fingerprint {params.fingerprint} 2> {log}"
