# SPDX-License-Identifier: Apache-2.0
"""Every real model at every width: the written files, judged by onnx and onnxruntime.

    test_models.py [--bits 1,2,...] [--options "-g tensor"] [--csv FILE] [NAME...]     NAME: part of a model's name

For each model and k = 1..8: `vecq quantize` packed, packed --inline (at k = 3), float, qdq. Then
  - onnx.checker accepts each file; the operator set stayed what it was
  - decoded weights are bit for bit those of the float file
  - outputs for one random input equal those of the float file: exactly, or to 1e-5 of the largest output
  - the packed file is not larger than 1.01 (weights k/8 + scales + everything else) + 8 KiB + 400 bytes a weight
VECQ_TEST_JOBS processes (2) work at once.
"""
import argparse
import concurrent.futures
import csv
import json
import os
import sys
import tempfile

import onnx

import common

TOLERANCE = 1e-5


def nbytes(tensor):
    return common.array(tensor).nbytes


def check_weights(packed, feeds, float_model, op):
    """Decoded weights against the constants of the float file. Returns their names. `op`: how decodes begin."""
    names = common.decoded(packed)
    calls = [n for n in packed.graph.node if n.op_type.startswith(op) and n.name.startswith("vecq")]
    assert len(names) == len(calls), f"{len(calls)} decodes end in {len(names)} weights"
    assert len(set(names)) == len(names), "a weight is decoded twice"
    exposed = onnx.ModelProto()
    exposed.CopyFrom(packed)
    there = {o.name for o in exposed.graph.output}
    exposed.graph.output.extend(onnx.ValueInfoProto(name=n) for n in names if n not in there)
    values = common.session(exposed).run(names, feeds)
    known = common.constants(float_model)
    for name, value in zip(names, values, strict=True):
        assert name in known, f"{name}: not a constant of the float file"
        wanted = common.array(known[name][0])
        assert value.dtype == wanted.dtype and value.shape == wanted.shape, f"{name}: {value.dtype}{value.shape}"
        assert value.tobytes() == wanted.tobytes(), f"{name}: decoded values differ from the float file's"
    return names


def check_size(paths, source, packed, float_model, names, bits):
    """The bound of the file size, and the size itself."""
    in_float, in_source = common.constants(float_model), common.constants(source)
    initializers = {t.name: t for t in packed.graph.initializer}
    scales = sum(nbytes(t) for n, t in initializers.items() if n.startswith("vecq") and n.endswith("_s"))
    elements = sum(common.array(in_float[n][0]).size for n in names)
    if all(n in in_source for n in names):
        rest = os.path.getsize(paths["source"]) - sum(nbytes(in_source[n][0]) for n in names)
    else:  # a weight that the source computes from other constants
        rest = os.path.getsize(paths["float"]) - sum(nbytes(in_float[n][0]) for n in names)
    bound = 1.01 * (elements * bits / 8 + scales + rest) + 8192 + 400 * len(names)
    size = os.path.getsize(paths["packed"])
    assert size <= bound, f"{size} bytes, bound {bound:.0f} ({len(names)} weights)"
    return size


def opset_of(model):
    return next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), None)


def compare(row, form, paths, feeds, wanted):
    worst = common.largest_difference(common.session(paths[form]).run(None, feeds), wanted)
    row[form] = "exact" if worst == 0 else f"{worst:.1e}"
    assert worst <= TOLERANCE, f"{form}: outputs differ by {worst:.2e} of the largest"


def check_qdq(row, paths, bits, options, packed_names, feeds, float_model, wanted):
    """DequantizeLinear has scales per channel from opset 13 and INT8 holds odd integers up to 7 bits: what does
    not fit stays float, and nothing at all is a refusal."""
    def quantize(form, *more):
        common.vecq("quantize", paths["source"], "-q", "-b", bits, "-o", paths[form], "--format", form, *options, *more)

    try:
        quantize("qdq")
    except common.Refused as e:
        row["qdq"] = f"refused: {e}"
        assert not os.path.exists(paths["qdq"]), "refused, but a file is there"
        # stored scales are half of ours, and a denormal one may not halve
        assert bits == 8 or opset_of(float_model) < 13 or "too small to be halved" in str(e), f"qdq refused: {e}"
        return
    qdq = onnx.load(paths["qdq"])
    onnx.checker.check_model(qdq)
    names = check_weights(qdq, feeds, float_model, "DequantizeLinear")
    if len(names) < len(packed_names):
        assert opset_of(qdq) < 13, f"only {len(names)} of {len(packed_names)} weights are quantized"
        escaped = ["".join(f"[{c}]" if c in "*?[" else c for c in n) for n in names]
        quantize("float", *(a for n in escaped for a in ("--include", n)))
        wanted = common.session(paths["float"]).run(None, feeds)
    compare(row, "qdq", paths, feeds, wanted)
    if len(names) < len(packed_names):
        row["qdq"] += f" ({len(names)} weights)"


def run_case(name, path, bits, options):
    """One model at one width: a row for the table; row["failed"] says what is wrong."""
    row = {"model": name, "bits": bits, "weights": 0, "bytes": 0, "packed": "", "inline": "", "qdq": "", "failed": ""}
    with tempfile.TemporaryDirectory() as folder:
        paths = {f: os.path.join(folder, f + ".onnx") for f in ("packed", "float", "inline", "qdq")}
        paths["source"] = path
        try:
            common.vecq("quantize", path, "-q", "-b", bits, "-o", paths["packed"], *options)
            common.vecq("quantize", path, "-q", "-b", bits, "-o", paths["float"], "--format", "float", *options)
            source, packed, float_model = (onnx.load(paths[f]) for f in ("source", "packed", "float"))
            onnx.checker.check_model(packed)
            onnx.checker.check_model(float_model)
            assert opset_of(packed) == opset_of(source), "the operator set changed"
            assert packed.ir_version == max(8, source.ir_version), f"IR version {packed.ir_version}"
            feeds = common.inputs(source, name)
            names = check_weights(packed, feeds, float_model, "Dequantize")
            row["weights"] = len(names)
            row["bytes"] = check_size(paths, source, packed, float_model, names, bits)
            wanted = common.session(paths["float"]).run(None, feeds)

            compare(row, "packed", paths, feeds, wanted)
            if bits == 3:
                common.vecq("quantize", path, "-q", "-b", bits, "-o", paths["inline"], "--inline", *options)
                inline = onnx.load(paths["inline"])
                onnx.checker.check_model(inline)
                assert not any(o.domain == "ai.vecq" for o in inline.opset_import), "inline file imports ai.vecq"
                compare(row, "inline", paths, feeds, wanted)
            check_qdq(row, paths, bits, options, names, feeds, float_model, wanted)
        except Exception as e:  # every kind of failure is a line of the report
            row["failed"] = f"{type(e).__name__}: {str(e)[:300]}"
    return row


def report(row):
    state = "FAILED " + row["failed"] if row["failed"] else (
        f"packed {row['packed']}" + (f", inline {row['inline']}" if row["inline"] else "") +
        f", qdq {row['qdq'][:60]}")
    print(f"{row['model']:42} {row['bits']} {row['weights']:4} {row['bytes']:9}  {state}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--bits", default="1,2,3,4,5,6,7,8")
    parser.add_argument("--options", default="", help="more options for vecq quantize")
    parser.add_argument("--csv", default=os.path.join(common.BUILD, "test_models.csv"))
    parser.add_argument("--json", help="write the rows here too")
    arguments = parser.parse_args()
    common.need("command", "data")
    chosen = [m for m in common.models() if not arguments.names or any(n in m[0] for n in arguments.names)]
    jobs = [(name, path, int(b), arguments.options.split()) for name, path in chosen
            for b in arguments.bits.split(",")]
    if not jobs:
        print("skipped: no such model")
        sys.exit(common.SKIP)
    rows = []
    with concurrent.futures.ProcessPoolExecutor(int(os.environ.get("VECQ_TEST_JOBS", 2))) as pool:
        for row in pool.map(run_case, *zip(*jobs)):
            rows.append(row)
            report(row)
    with open(arguments.csv, "w", newline="") as f:
        writer = csv.DictWriter(f, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    if arguments.json:
        with open(arguments.json, "w") as f:
            json.dump(rows, f, indent=1)
    failed = sum(bool(r["failed"]) for r in rows)
    exact = sum(r["packed"] == "exact" for r in rows)
    refused = sum(r["qdq"].startswith("refused") for r in rows)
    print(f"{len(chosen)} models; packed outputs exact in {exact} of {len(rows)}; qdq refused, as it must be, in {refused}")
    common.finish(len(rows) - failed, failed)


if __name__ == "__main__":
    main()
