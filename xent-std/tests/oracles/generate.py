#!/usr/bin/env python3
"""Draws random cases, and records what other libraries give for them, as fixtures of ../oracles.rs.

    python3 generate.py [--provider torch|keras|optax|onnx]... [--seed N]
    python3 generate.py --summary

Without --provider, every library that this Python can import.  A library has a file of its own,
LIBRARY.jsonl, with one fixture a line; README.md has its fields.  Every fixture is checked against
reference.py, and one that differs without a reason is an error.  The summary counts them; before it
stands how many of the fixtures that have an option would notice if it were left out.
"""

import argparse
import collections
import importlib
import importlib.util
import json
import pathlib
import sys

from cases import Draw
from fixtures import OPTIONS

HERE = pathlib.Path(__file__).resolve().parent
PROVIDERS = {
    "torch": ["torch"],
    "keras": ["tensorflow", "keras"],
    "optax": ["jax", "optax"],
    "onnx": ["onnx", "onnxruntime"],
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--provider", action="append", choices=PROVIDERS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--summary", action="store_true", help="count the recorded fixtures, record none")
    arguments = parser.parse_args()
    if not arguments.summary:
        importable = [
            name
            for name, modules in PROVIDERS.items()
            if all(importlib.util.find_spec(module) for module in modules)
        ]
        failed = [name for name in arguments.provider or importable if not record(name, arguments.seed)]
        if failed:
            sys.exit(f"unexplained differences: {', '.join(failed)}")
    summary()


def record(name, seed):
    """Writes the file of a library; whether every difference is explained."""
    provider = importlib.import_module(f"from_{name}")
    lines, unexplained, skipped = [], 0, 0
    noticed = collections.defaultdict(lambda: [0, 0])
    given, needed = set(), set()
    for number, fixture in enumerate(provider.fixtures(lambda *group: Draw(seed, name, *group))):
        if not fixture.fits_f32():
            skipped += 1
            continue
        given.add(fixture.differs)
        mismatch = fixture.compare()
        needed.add(fixture.differs)
        if mismatch:
            unexplained += 1
            print(f"{name} {number}: {mismatch}\n    {fixture.call}\n    {fixture.line('')[:600]}")
        for option in OPTIONS:
            if option in fixture.request and not fixture.expected.error:
                noticed[option][0] += fixture.notices(option)
                noticed[option][1] += 1
        lines.append(fixture.line(provider.LIBRARY))
    (HERE / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in lines))
    print(f"{provider.LIBRARY}: {len(lines)} fixtures, {skipped} beyond f32 left out")
    print("  noticed when left out: " + ", ".join(f"{o} {a}/{b}" for o, (a, b) in noticed.items()))
    for reason in given - needed - {None}:
        print(f"  explains nothing: {reason}")
    return unexplained == 0


def summary():
    """Library by operation, of the recorded files; and the reasons for which xent differs."""
    counts = collections.Counter()
    differing = collections.Counter()
    reasons = collections.Counter()
    for path in sorted(HERE.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            fixture = json.loads(line)
            key = fixture["library"], fixture["request"]["op"]
            counts[key] += 1
            gradient = "gradient" in fixture["request"]
            counts[fixture["library"], "(with gradient)"] += gradient
            counts[fixture["library"], "(recorded in float32)"] += fixture["dtype"] == "float32"
            counts[fixture["library"], "total"] += 1
            if "differs" in fixture:
                differing[key] += 1
                differing[fixture["library"], "total"] += 1
                reasons[fixture["library"], fixture["differs"]] += 1
    print(f"{'library':<24} {'op':<30} fixtures  differing")
    for (library, op), count in sorted(counts.items()):
        print(f"{library:<24} {op:<30} {count:8}  {differing[library, op] or '':>9}")
    print(f"{'all':<24} {'total':<30} {sum(c for (_, op), c in counts.items() if op == 'total'):8}")
    for (library, reason), count in sorted(reasons.items()):
        print(f"{library}: {count} x {reason}")


if __name__ == "__main__":
    main()
