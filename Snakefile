# The whole study on one page: which notebook, for which model and task, feeds which.
#
#     skillkit run classroom                          the friendly way: progress, time left, failures
#     snakemake --cores 2 --config study=classroom    the same, bare
#
# Which notebooks there are, and what each reads and writes, stands in skillkit/study/table.py; the models,
# tasks, seeds and budget in studies/<name>.yaml. A page runs again when its notebook, code of the package
# that it uses, its parameters or a result that it reads has changed, and then alone with what depends on
# it.

import json
import os
import sys
from pathlib import Path

from skillkit.study.failures import report_failures
from skillkit.study.table import priority
from skillkit.study.sources import code_words
from skillkit.study.studies import load_study

study = load_study(config.get("study", "classroom"))
# Jobs use this environment.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


rule all:
    localrule: True
    input:
        [page.table for page in study.pages],


wildcard_constraints:
    model="[^/]+",
    task="[^/]+",


# One rule for each notebook, for every {model} and {task} that its scope asks for. The executed copy is a
# `log`, because logs survive a failure and outputs do not.
for row in study.rows:

    rule:
        name:
            row.name
        input:
            notebook=study.source(row),
            results=lambda wildcards, row=row: study.inputs(study.page(row, *wildcards)),
        output:
            study.outputs(study.pattern(row)),
        log:
            study.pattern(row).executed,
        priority: priority(row)
        params:
            parameters=lambda wildcards, row=row: json.dumps(study.parameters(study.page(row, *wildcards))),
            code=lambda wildcards, row=row: code_words(
                study.source(row), bundled_task=study.has_bundled_task(study.page(row, *wildcards))
            ),
        shell:
            "skillkit execute {input.notebook:q} {log:q} --parameters {params.parameters:q}"
            " --code={params.code:q} --expect {output:q}"


# With a limit on the rate of new jobs (100 in a second unless told otherwise), each look at the queue plans
# a further one a second later, and so does that one: after a hundred pages a fifth of a core does nothing
# else. Here, unlike on a cluster, the cores are the limit.
onstart:
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None


onerror:
    report_failures(study)
