"""What the next call of a study with looks is told of the first one's command line."""

import pytest

from jackpot.running.again import without_force


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("snakemake --cores 2 -F", "snakemake --cores 2"),
        ("snakemake -f --cores 2 out", "snakemake --cores 2 out"),
        ("snakemake -R prune retrain --cores 2", "snakemake --cores 2"),
        ("snakemake -Rretrain --cores 2", "snakemake --cores 2"),
        ("snakemake --forcerun=retrain --cores 2", "snakemake --cores 2"),
        ("snakemake -pF --cores 2", "snakemake -p --cores 2"),
        ("snakemake -Fk -c2", "snakemake -k -c2"),
        ("snakemake -Fc1", "snakemake -c1"),
        ("snakemake -pFc2 -Fj 2", "snakemake -pc2 -j 2"),
        ("snakemake --forcea --forcer prune --cores 2", "snakemake --cores 2"),
        ("snakemake --force-use-threads -c2", "snakemake --force-use-threads -c2"),
        ("snakemake -R prune -F --cores 2", "snakemake --cores 2"),
        ("snakemake -R prune -F out", "snakemake out"),
        ("snakemake -pR prune retrain --cores 2", "snakemake -p --cores 2"),
        ("snakemake -FkpR prune -c2", "snakemake -kp -c2"),
        ("snakemake -FR prune -c2", "snakemake -c2"),
        ("snakemake -pRprune -c2 out", "snakemake -p -c2 out"),
        ("snakemake -c2 -Rprune out", "snakemake -c2 out"),
        ("snakemake -kp --cores 2 --config study=F", "snakemake -kp --cores 2 --config study=F"),
    ],
)
def test_what_is_forced_is_forced_once(given, kept):
    assert without_force(given.split()) == kept.split()
