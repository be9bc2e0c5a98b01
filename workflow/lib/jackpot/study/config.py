"""config.yaml: where and how to run. Of its keys device, threads and datasets bear on results."""

import os
from typing import Annotated, Any

from pydantic import Field, field_validator

from jackpot.environment import RESUME_MINUTES
from jackpot.settings import Device, Requests, Settings


class Resume(Settings):
    """How often a training is saved, so that a killed job loses little."""

    minutes: Annotated[float, Field(gt=0)] = Field(
        RESUME_MINUTES, description="save at the latest every so often"
    )
    epochs: Annotated[int, Field(ge=1)] | None = Field(
        None, description="save every so many epochs as well"
    )


class Config(Settings):
    """The keys of config.yaml and of ``--config``."""

    study: str = Field("studies/digits.yaml", description="which study to run")
    results_dir: str = Field(
        "results", description="results go to <results_dir>/<study's name>; no { or } in it"
    )
    data_dir: str = Field("data", description="downloads are kept here, for every study")
    datasets: dict[str, dict[str, Any]] = Field(
        {}, description="where a dataset comes from on this machine; overrides the study"
    )
    mirrors: dict[str, list[str]] = Field(
        {}, description="folders on other servers that hold a dataset's archive, tried first"
    )
    device: Device = Field(
        "auto", description="auto: a GPU if there is one and the arithmetic is native"
    )
    threads: Annotated[int, Field(ge=1)] = Field(
        1, description="CPU threads of a training or pruning job; part of what makes bits equal"
    )
    warm_processes: bool = Field(
        True, description="fork jobs from a process that has imported torch already"
    )
    keep_weights: bool = Field(False, description="keep the final weights of every run")
    keep_intermediate: bool = Field(
        True, description="keep masks, initial and pretrained weights once nothing needs them"
    )
    jobs_per_device: Annotated[int, Field(ge=1)] = Field(
        1, description="jobs that may use one GPU of this machine at once"
    )
    resources: Requests = Field(Requests(), description="what jobs ask a cluster for, by rule")
    partial: bool = Field(
        False, description="report on the results that are there; the page lists what is missing"
    )
    resume: Resume = Field(Resume(), description="resume files of trainings")

    @field_validator("results_dir", "data_dir")
    @classmethod
    def _check_folder(cls, folder: str) -> str:
        if not folder:
            raise ValueError("give a folder; . is the one that Snakemake runs in")
        if "{" in folder or "}" in folder:
            raise ValueError("braces stand for wildcards in Snakemake's paths; take another folder")
        # Snakemake knows a file by one spelling of its path.
        return os.path.normpath(os.path.expanduser(folder))
