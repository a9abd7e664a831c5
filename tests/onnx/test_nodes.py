# SPDX-License-Identifier: Apache-2.0
"""The node tests of the onnx package, by every backend of the build, and docs/operators.md made from the result.

    test_nodes.py [--write] [--list] [NAME...]     NAME: part of a case's name or an operator

The package makes them (newer wheels carry no files). Programs have static shapes, so inputs that say what shape a
result has are constants of the model here (STATIC). An operator that run_model lists is claimed: all its cases pass, by
every backend, or stand in EXCEPTIONS with a reason. The others must be refused, with a message that names the operator.
--list shows every case that fails and no table; --write writes docs/operators.md, which is compared otherwise.
"""
import argparse
import collections
import concurrent.futures
import fnmatch
import os
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import onnx
from onnx import numpy_helper

import common

RUN = os.environ.get("VECQ_RUN_MODEL", "")
PAGE = os.path.join(common.ROOT, "docs", "operators.md")

# operator: inputs that must be known before run time
STATIC = {
    "AffineGrid": [1], "CenterCropPad": [1], "Clip": [], "Col2Im": [1, 2], "ConstantOfShape": [0], "CumProd": [1],
    "CumSum": [1], "Dropout": [1, 2], "Expand": [1], "EyeLike": [], "OneHot": [1, 2], "Pad": [1, 2, 3],
    "Range": [0, 1, 2], "Reshape": [1], "Resize": [1, 2, 3], "Slice": [1, 2, 3, 4], "Split": [1], "Squeeze": [1],
    "Tile": [1], "TopK": [1], "Trilu": [1], "Unsqueeze": [1], "Upsample": [1],
    "If": [0], "ReverseSequence": [], "MaxUnpool": [2],
    **{f"Reduce{k}": [1] for k in
       ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")},
}
# what programs compute in float32; (relative, absolute) tolerance by the type that the model declares
TOLERANCE = {np.dtype(np.float32): (1e-4, 1e-5), np.dtype(np.float64): (1e-4, 1e-5), np.dtype(np.float16): (2e-3, 2e-3)}
BFLOAT16 = (1e-2, 1e-2)
# cases of claimed operators that are left out: pattern, words of why they fail (one of several), reason
EXCEPTIONS = [
    *[(f"test_*{name}*", ("type FLOAT", "conversion to float"), "float8 and float4")
      for name in ("FLOAT8", "FLOAT4E2M1", "_e4m3fn", "_e5m2", "_float4e2m1")],
    ("test_equal_string*", "type STRING", "strings"),
    ("test_identity_sequence", "type sequence", "sequences"),
    ("test_identity_opt", "type optional", "optional values"),
    ("test_if_seq", "SequenceConstruct", "sequences"),
    ("test_if_opt", "Optional", "optional values"),
    ("test_batchnorm_*_training_mode", "running statistics", "training_mode=1 with further outputs"),
    ("test_training_dropout*", "differs", "a program that is only run drops nothing, whatever training_mode says"),
    ("test_range_*_expanded", "Loop", "the function has a Loop"),
    ("test_resize_downsample_scales_*_align_corners", "differs",
     "the size counts before it is rounded down; here, as in onnxruntime, the whole one"),
]
# cases whose expected values have fewer digits: pattern, tolerance, reason
COARSE = [("test_averagepool_2d_ceil_last_window_starts_on_pad", (1e-4, 6e-5), "rounded to four digits")]
USED = set()  # exceptions that were needed
TYPES = {n: t for t, n in common.TYPE_NAME.items()}


class Bad(Exception):
    """Why a case fails."""


def operators():
    """Name -> ({versions}, is_static)."""
    found = {}
    for line in subprocess.run([RUN, "--operators"], capture_output=True, text=True, check=True).stdout.splitlines():
        name, version, *static = line.split()
        versions, is_static = found.get(name, (set(), True))
        if static and not is_static:
            continue  # what runs counts
        found[name] = (versions if is_static == bool(static) else set()) | {int(version)}, bool(static)
    return found


def cases():
    """(case, operator) of every node test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases
        made = collect_testcases(None)
    base = {c.name: c for c in made}
    for case in made:
        origin = base.get(case.name.split("_expanded")[0], case)
        nodes = origin.model.graph.node
        yield case, nodes[-1].op_type if len(nodes) > 1 and nodes[0].op_type.startswith("Sequence") else nodes[0].op_type, origin


def constant(tensor, name):
    made = onnx.TensorProto()
    made.CopyFrom(tensor) if isinstance(tensor, onnx.TensorProto) else made.CopyFrom(numpy_helper.from_array(tensor))
    made.name = name
    return made


def prepare(case, operator, origin):
    """The model with static inputs as constants, and feeds by name."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    node = next(n for n in origin.model.graph.node if n.op_type == operator)
    static = {node.input[i] for i in STATIC.get(operator, []) if i < len(node.input)}
    values, outputs = case.data_sets[0]
    feeds = {}
    for given, value in zip(list(model.graph.input), values, strict=False):
        kind = given.type.WhichOneof("value")
        if kind != "tensor_type":
            raise Bad(f"input of type {kind}")
        if given.name in static:
            model.graph.initializer.append(constant(value, given.name))
            model.graph.input.remove(given)
            continue
        element = given.type.tensor_type.elem_type
        if isinstance(value, onnx.TensorProto):
            value = numpy_helper.to_array(value)
        feeds[given.name] = fed(np.asarray(value), element)
    return model, feeds, outputs


def fed(value, element):
    """As a program holds it: floats as float32, integers below 8 bits in a byte each."""
    if element in common.FLOATS:
        return value.astype(np.float32)
    if element in common.NARROW:
        return value.astype(common.NARROW[element])
    if element not in common.TYPE_NUMPY:
        raise Bad(f"input of type {onnx.TensorProto.DataType.Name(element)}")
    return value.astype(common.TYPE_NUMPY[element])


def compare(have, want, element, name):
    if have.shape != want.shape:
        raise Bad(f"shape {have.shape}, not {want.shape}")
    if element in common.FLOATS:
        if have.dtype != np.float32:
            raise Bad(f"{have.dtype}, not float")
        relative, absolute = BFLOAT16 if element == onnx.TensorProto.BFLOAT16 else TOLERANCE[want.dtype]
        for pattern, tolerance, _ in COARSE:
            relative, absolute = tolerance if fnmatch.fnmatchcase(name, pattern) else (relative, absolute)
        have, want = have.astype(np.float64), want.astype(np.float64)
        if not np.allclose(have, want, relative, absolute, equal_nan=True):
            with np.errstate(invalid="ignore"):
                raise Bad(f"differs by {np.nanmax(np.abs(have - want)):.3g}")
        return
    want = want.astype(common.NARROW.get(element, want.dtype))
    if have.dtype != want.dtype:
        raise Bad(f"{have.dtype}, not {want.dtype}")
    if not np.array_equal(have, want):
        raise Bad(f"{np.count_nonzero(have != want)} of {want.size} integers differ")


def run(path, feeds, backend, folder):
    arguments = []
    for i, (name, value) in enumerate(feeds.items()):
        file = os.path.join(folder, f"in{i}")
        np.ascontiguousarray(value).tofile(file)
        arguments.append(f"{name}={TYPES[value.dtype]}:{'x'.join(map(str, value.shape))}:{file}")
    done = subprocess.run([RUN, "--backend", backend, path, os.path.join(folder, "out"), *arguments],
                          capture_output=True, text=True, timeout=120)
    if done.returncode in (1, 3) and done.stderr.count("\n") == 1:
        raise Bad(f"refused: {done.stderr.strip()}")
    if done.returncode != 0:
        raise Bad(f"CRASH: exit {done.returncode}: {done.stderr.strip()[-300:]}")
    outputs, used = [], set()
    for line in done.stdout.splitlines():
        if line.startswith("step "):
            _, who, op = line.split(" ", 2)
            used |= {who} if op != "Reorder" else set()
        elif not line.startswith(("time ", "simplified ")):
            index, dtype, shape, _ = line.split(" ", 3)
            dims = [] if shape == "scalar" else [int(d) for d in shape.split("x")]
            outputs.append(np.fromfile(os.path.join(folder, f"out.{index}"),
                                       dtype=common.TYPE_NUMPY[int(dtype)]).reshape(dims))
    return outputs, used


def check(case, operator, origin, backends):
    """Backends whose steps were used, or Bad."""
    model, feeds, wants = prepare(case, operator, origin)
    used = set()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.onnx")
        onnx.save(model, path)
        for backend in backends:
            outputs, by = run(path, feeds, backend, folder)
            used |= by
            for declared, have, want in zip(model.graph.output, outputs, wants, strict=True):
                if declared.type.WhichOneof("value") != "tensor_type":
                    raise Bad(f"output of type {declared.type.WhichOneof('value')}")
                if isinstance(want, onnx.TensorProto):
                    want = numpy_helper.to_array(want)
                compare(have, np.asarray(want), declared.type.tensor_type.elem_type, case.name)
    return used


def exceptions_of(name):
    return [e for e in EXCEPTIONS if fnmatch.fnmatchcase(name, e[0])]


def kinds_of(case):
    """What sorts of element types a case has for inputs."""
    found = set()
    for value in case.model.graph.input:
        element = value.type.tensor_type.elem_type
        found.add("float" if element in common.FLOATS else "bool" if element == onnx.TensorProto.BOOL else
                  "int4, int2" if element in common.NARROW else "int")
    return found


PAGE_TOP = """# Operators

Made by `tests/onnx/test_nodes.py --write` from the tables of `src/graph/ops` and the node tests of the `onnx` package: what a model
may be made of to be run, with every shape known. The same test fails when this page is not what it would write.

- **from**: first opset version of the operator that is covered.
- **known**: inputs (by number) that must be known before run time, because shapes depend on them. `all`: the operator is only
  computed before run time, from constants and shapes.
- **types**: types of the tested inputs. float is float32; float16, bfloat16 and a model's double are computed in float32 (a Cast to
  float16 or bfloat16 rounds). int is all integers of 8 to 64 bits, signed and unsigned; int4 and int2, signed and unsigned, take a byte.
- **onednn**: oneDNN has a primitive for it (on float32); `ref`, plain C, runs the rest.
- **tests**: node tests that pass (by every backend), and of those that are left out; why is listed below. Cases called
  `..._expanded` count too: the function of an operator, written in other operators.

float32 agrees to 1e-4 relative plus 1e-5, float16 to 2e-3, bfloat16 to 1e-2, integers exactly. Expected values with fewer digits:
{coarse}.

Not covered, and refused by name before anything runs: operators that are not in the table; If with a condition that depends on
data; Loop, Scan; results whose shape depends on data (NonMaxSuppression, NonZero, Unique, Compress); strings, sequences, optional
values, float8, float4, complex numbers.

| operator | from | known | types | onednn | tests |
| --- | --- | --- | --- | --- | --- |
"""


def page(claimed, table, used, kinds, reasons):
    coarse = "; ".join(f"`{pattern}` ({reason})" for pattern, _, reason in COARSE)
    lines = [PAGE_TOP.format(coarse=coarse)]
    for name in sorted(claimed, key=str.lower):
        versions, is_static = claimed[name]
        known = "all" if is_static else ", ".join(map(str, STATIC.get(name, [])))
        count = table.get(name, {})
        tests = str(count.get("passed", 0)) + (f" (without {count['excepted']})" if count.get("excepted") else "")
        lines.append(f"| {name} | {min(versions)} | {known} | {', '.join(sorted(kinds[name]))} | "
                     f"{'yes' if 'onednn' in used[name] else ''} | {tests} |\n")
    lines.append("\n## Cases that are left out\n\n")
    for (operator, reason), n in sorted(reasons.items(), key=lambda r: (r[0][0].lower(), r[0][1])):
        lines.append(f"- {operator}, {n}: {reason}\n")
    return "".join(lines)


def check_page(text, write):
    """Whether docs/operators.md is what it should be."""
    if write:
        with open(PAGE, "w", encoding="utf-8") as file:
            file.write(text)
        return True
    with open(PAGE, encoding="utf-8") as file:
        return file.read() == text


def judge(case, operator, origin, claimed, backends):
    """(state, words): passed, excepted, refused (not claimed) or failed."""
    known = exceptions_of(case.name) if operator in claimed else []
    try:
        used = check(case, operator, origin, backends)
    except Bad as bad:
        words = str(bad)
    except Exception as error:  # noqa: BLE001: one case must not hide the others
        words = f"{type(error).__name__}: {error}"
    else:
        return "passed", used
    if "CRASH" in words:
        return "failed", words
    if operator not in claimed:
        return "refused", words
    for exception in known:
        expected = exception[1] if isinstance(exception[1], tuple) else (exception[1],)
        if any(e in words for e in expected):
            USED.add(exception)
            return "excepted", exception[2]
    return "failed", words


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    if not os.access(RUN, os.X_OK):
        print("skipped: VECQ_RUN_MODEL is not the program run_model")
        sys.exit(common.SKIP)
    backends = subprocess.run([RUN, "--backends"], capture_output=True, text=True, check=True).stdout.split()
    claimed = operators()
    todo = [c for c in cases() if not arguments.names or c[1] in arguments.names or
            any(n in c[0].name for n in arguments.names)]
    table = collections.defaultdict(collections.Counter)
    used, kinds = collections.defaultdict(set), collections.defaultdict(set)
    reasons = collections.Counter()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda c: judge(*c, claimed, backends), todo)
        for (case, operator, _), (state, words) in zip(todo, results):
            table[operator][state] += 1
            if state == "passed":
                used[operator] |= words
                kinds[operator] |= kinds_of(case)
            if state == "excepted":
                reasons[operator, words] += 1
            if state == "failed" or arguments.list and state == "refused":
                print(f"{'FAILED' if state == 'failed' else state} {operator} {case.name}: {words}", flush=True)
    total = collections.Counter()
    for operator in sorted(table):
        total.update(table[operator])
        print(f"{operator}: {', '.join(f'{n} {s}' for s, n in sorted(table[operator].items()))}"
              f"{'' if operator in claimed else ' (not claimed)'}")
    for (operator, reason), n in sorted(reasons.items()):
        print(f"left out: {operator}, {n}: {reason}")
    if not arguments.names and not arguments.list and "onednn" in backends and \
            not check_page(page(claimed, table, used, kinds, reasons), arguments.write):
        print("FAILED docs/operators.md is not what test_nodes.py --write makes")
        total["failed"] += 1
    for exception in EXCEPTIONS if not arguments.names else []:
        if exception not in USED:
            print(f"FAILED '{exception[0]}' leaves nothing out: take it off the list")
            total["failed"] += 1
    print(f"left out: {total['excepted']}; refused, of operators not claimed: {total['refused']}")
    common.finish(total["passed"], total["failed"], total["excepted"])


if __name__ == "__main__":
    main()
