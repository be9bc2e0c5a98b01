# From results to tables, figures, verdicts and the page.

FIGURES = [
    figure
    for figure, table in SOURCE_OF_FIGURE.items()
    # Verdicts are made from the runs.
    if not FROM_TABLES or table == "verdicts" or os.path.exists(f"{ROOT}/{table}.csv")
]
TABLES = [f"{ROOT}/tables/{family}.{kind}" for family in STUDY.families() for kind in TABLE_KINDS]
TABLES += [f"{ROOT}/tables/verdicts.{kind}" for kind in TABLE_KINDS if kind != "csv"]

DRAWN = expand(f"{ROOT}/figures/{{figure}}.{{kind}}", figure=FIGURES, kind=FIGURE_KINDS)
RUNS, VERDICTS, PAGE = (f"{ROOT}/{name}" for name in ("runs.csv", "verdicts.csv", "report.html"))

# What the study declares of its statistics; other words there make other tables.
DESIGN = digest(PLAN.design())


if not FROM_TABLES:

    rule collect:
        input:
            results_to_collect,
        output:
            GATHERED,
        log:
            f"{ROOT}/logs/collect.log",
        localrule: True
        conda:
            CONDA
        params:
            study=study_options,
            partial="--partial" if SETTINGS.partial else "",
            of=COLLECTED,
        message:
            f"collect the results of {STUDY.name}"
        shell:
            "run collect {params.study} {params.partial} > {log:q} 2>&1"

    if LOOK:

        # Reads this look's runs alone; the next call lays out what its file says.
        rule look:
            input:
                parts_of(LOOK[0], RUNS),
            output:
                LOOK,
            log:
                f"{ROOT}/logs/look{PLAN.progress.look}.log",
            priority: 1
            localrule: True
            conda:
                CONDA
            params:
                study=study_options,
            message:
                f"look {PLAN.progress.look} of {PLAN.progress.looks} at {STUDY.name}"
            shell:
                "run look --runs {input:q} --out {output:q} {params.study} > {log:q} 2>&1"


rule verdicts:
    input:
        parts_of(VERDICTS, RUNS),
    output:
        report(
            VERDICTS,
            caption="../lib/jackpot/report/templates/verdict_table.rst",
            category="Verdicts",
            labels={"table": "verdict of every check"},
        ),
    log:
        f"{ROOT}/logs/verdicts.log",
    priority: 1
    localrule: True
    conda:
        CONDA
    params:
        study=study_options,
        design=DESIGN,
        code=code_of("jackpot.stages.verdicts"),
        of=COLLECTED,
    message:
        f"verdicts of {STUDY.name}"
    shell:
        "run verdicts --runs {input:q} --out {output:q} {params.study}" " > {log:q} 2>&1"


# A rule for each figure, so that each has its own caption in Snakemake's report.
for FIGURE, TABLE in SOURCE_OF_FIGURE.items():

    rule:
        name:
            f"draw_{FIGURE}"
        input:
            parts_of(f"{ROOT}/figures/{FIGURE}.svg", f"{ROOT}/{TABLE}.csv"),
        output:
            report(
                f"{ROOT}/figures/{FIGURE}.svg",
                caption=f"../lib/jackpot/report/templates/{FIGURE}.rst",
                category="Figures",
                labels={"figure": FIGURE.replace("_", " ")},
            ),
            [f"{ROOT}/figures/{FIGURE}.{kind}" for kind in FIGURE_KINDS if kind != "svg"],
        log:
            f"{ROOT}/logs/draw/{FIGURE}.log",
        localrule: True
        conda:
            CONDA
        params:
            figure=FIGURE,
            ingredients=command_options({"ingredients": STUDY.own_ingredients or None}),
            stem=lambda w, output: os.path.splitext(output[0])[0],
            code=code_of("jackpot.stages.draw"),
            of=COLLECTED,
        message:
            "draw {params.figure}"
        shell:
            "run draw --figure {params.figure} --table {input:q} --out {params.stem:q}"
            " {params.ingredients} > {log:q} 2>&1"


rule tables:
    input:
        runs=parts_of(TABLES[0], RUNS),
    output:
        [
            (
                report(
                    path,
                    caption="../lib/jackpot/report/templates/tables.rst",
                    category="Tables",
                    labels={"tickets": os.path.basename(path)[:-4].replace("_", " ")},
                )
                if path.endswith(".csv")
                else path
            )
            for path in TABLES
        ],
    log:
        f"{ROOT}/logs/tables.log",
    localrule: True
    conda:
        CONDA
    params:
        out=lambda w, output: os.path.dirname(output[0]),
        study=study_options,
        design=DESIGN,
        code=code_of("jackpot.stages.tables"),
        of=COLLECTED,
    message:
        f"tables of {STUDY.name}"
    shell:
        "run tables --runs {input.runs:q} --out {params.out:q}" " {params.study} > {log:q} 2>&1"


rule figures:
    input:
        DRAWN,
        TABLES,
    message:
        f"figures and tables of {STUDY.name} are in {ROOT}"


rule report:
    input:
        runs=parts_of(PAGE, RUNS),
        verdicts=parts_of(PAGE, VERDICTS),
        layers=parts_of(PAGE, f"{ROOT}/layers.csv"),
        about=parts_of(PAGE, f"{ROOT}/about.json"),
        figures=parts_of(PAGE, *DRAWN),
        tables=parts_of(PAGE, *TABLES),
        # A page that is asked for is the last look's.
        look=LOOK,
    output:
        report(
            PAGE,
            caption="../lib/jackpot/report/templates/page.rst",
            category="Verdicts",
            labels={"table": "the whole page"},
        ),
    log:
        f"{ROOT}/logs/report.log",
    priority: 1
    localrule: True
    conda:
        CONDA
    params:
        study=study_options,
        design=DESIGN,
        code=code_of("jackpot.stages.report"),
        of=COLLECTED,
    message:
        f"report of {STUDY.name}: {{output}}"
    shell:
        "run report --runs {input.runs:q} --verdicts {input.verdicts:q}"
        " --layers {input.layers:q} --about {input.about:q} --figures {input.figures:q}"
        " --tables {input.tables:q} --out {output:q} {params.study} > {log:q} 2>&1"
