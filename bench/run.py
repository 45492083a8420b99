"""`python -m bench`: run the workloads against the engines that are installed, and print the table."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # also as `python bench/run.py`

from bench import postgres, raw, report
from bench.engines import ENGINES, HERE, EngineSpec
from bench.processes import EngineFailed
from bench.workloads import QUICK, WORKLOADS, Figures, Sizes

LONG_RUN_SECONDS = 30
OWN = ("search", "stampede", "intake")  # what other engines do not have, or not within the time that a run may take
RESULTS = HERE / "RESULTS.md"


def main(arguments: list[str] | None = None) -> int:
    """Run, print, and say by the exit code whether every run ended with the right results. Never judges a time."""
    options = parse(arguments)
    engines = [ENGINES[name] for name in options.engine.split(",")]
    for missing in [engine for engine in engines if not engine.is_installed]:
        say(f"{missing.name}: skipped, not installed (python bench/setup.py {missing.name})")
        engines.remove(missing)
    if not engines:
        return 1
    with postgres.running(options.folder) as server:
        version = server.version()
        say("raw limits")
        limits = raw.measure(server)
        results, failed = measure(engines, server, options)
    if options.json:
        print(json.dumps({"limits": asdict(limits), "results": results, "failed": failed}, indent=2))
    else:
        print(report.tables(results, limits, postgres=version))
    if options.write:
        command = shlex.join(["python", "-m", "bench", *(arguments or sys.argv[1:])])
        RESULTS.write_text(report.page(results, limits, postgres=version, command=command, failed=failed))
    return 1 if failed else 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", default=",".join(WORKLOADS), metavar="WORKLOAD,...", help="default: all of them")
    parser.add_argument("--engine", default=",".join(ENGINES), metavar="ENGINE,...", help="default: all of them")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: only shows that it works")
    parser.add_argument("--repeat", type=int, default=1, help="take the median of so many runs, of those under 30 s")
    parser.add_argument("--folder", type=Path, help="where the server keeps its data; should lie on a real disk")
    parser.add_argument("--json", action="store_true", help="print every figure as JSON instead of the table")
    parser.add_argument("--write", action="store_true", help=f"also write the table to bench/{RESULTS.name}")
    options = parser.parse_args(arguments)
    if options.quick and options.write:
        parser.error("--quick makes no figures worth writing down")
    for name, known in ((options.only, WORKLOADS), (options.engine, ENGINES)):
        for unknown in set(name.split(",")) - set(known):
            parser.error(f"{unknown!r} is not one of: {', '.join(known)}")
    return options


def measure(
    engines: list[EngineSpec], server: postgres.Postgres, options: argparse.Namespace
) -> tuple[dict[str, dict[str, Figures]], list[str]]:
    """Every workload on every engine. A run that fails leaves a gap and a message, not the end of the others."""
    results: dict[str, dict[str, Figures]] = {engine.name: {} for engine in engines}
    failed = []
    sizes = QUICK if options.quick else Sizes()
    for workload in options.only.split(","):
        for engine in engines:
            if workload in OWN and engine.packages:
                continue
            say(f"{workload}: {engine.name}")
            try:
                run = partial(WORKLOADS[workload], engine, server, sizes)
                results[engine.name][workload] = repeated(run, options.repeat)
            except EngineFailed as failure:
                failed.append(f"{workload}, {engine.name}: {failure}")
                say(failed[-1])
    return results, failed


def repeated(run: Callable[[], Figures], times: int) -> Figures:
    """The median of each figure. A long run evens itself out and is not repeated."""
    began = time.monotonic()
    runs = [run()]
    if time.monotonic() - began < LONG_RUN_SECONDS:
        runs += [run() for _ in range(times - 1)]
    return {figure: median(other[figure] for other in runs) for figure in runs[0]}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
