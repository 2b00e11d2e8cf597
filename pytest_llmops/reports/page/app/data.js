// What reports/page/document.py wrote into the page. All text in it is text: it is only ever shown as such.
//
// Overview: { troubles: [what could not be read], created, decision: {state, reasons, counts}, line, settings, versions, shard: "1/3" | null,
//   reuse: {text, oldest} | null,
//   history: [{created, commit, name, limits: settings that make it partial, or "", gates: {"<experiment>::<item>": {value, verdict}}}], oldest first, this session last,
//   experiments: [{ path, name, cells: [Cell], gates: [Gate], stands: {cell: Stand} (not of cells that others are compared with),
//     candidates: [{name, answer: "may" | "may not" | "unknown" (take the flow's place), text}],
//     baseline: {path, created, commit, problem: why rows, all or some, are not beside it, a line each, or ""} | null }] }
//
// Cell: { id, flow, dataset, variant, isDefault, isCandidate, implementation (flow that a candidate is, or ""),
//   besideFlow (variant that a candidate is compared with, if it was run, or null), expected, rows, failed, error, partial, executions, llm, calls, misses,
//   seconds, oldest, metrics: {evaluator: {metric: value}}, broken: {evaluator: error},
//   latency | tokens | cost: {n, min, p5, q1, median, q3, p95, max, mean, sum} | null }  (of rows; seconds, tokens, money)
//
// Gate: fields of GateResult, with { name, item, evaluator, metric, by (column of slices, or ""), cell (whose Cell may be
//   missing), verdict, value, text (value with its unit), rule, low, high (bounds of the rule, or null), n,
//   interval: {low, high, level, method} | null, margin, blocking, closes, weak, headline, reason, details,
//   slices: [{column, value, score, n, interval}], score (output with the rows' scores, or ""), better: "higher" | "lower",
//   comparison: {name, value, baseline, delta, n, p_value, adjusted_p, interval, direction, worse: [row names],
//   better: [row names], added, removed, changed, with_flow} | null, bound, recorded, file, line }
//
// Stand: { reference: the cell that decides on the dataset, metrics: {metric: {word: "better" | "worse" | "alike" | "unknown",
//   delta, n, p_value (two-sided, Holm), why: it is not known, or ""}} }, of metrics with a rule, on rows that both cells have.
//
// A number that is not finite is the text "NaN", "Infinity" or "-Infinity".
//
// Rows of an experiment: { datasets: {dataset: {rows: [{line, name, inputs}], columns: {column: [text by line]}}},
//   runs: [{ cell, dataset, variant ("baseline" for the baseline's run), isCandidate, evaluators: [name],
//     agreement: {line: share of executions with the outputs of what the cell is compared with} | null,
//     executions: [[ [line, output | null, error | null, seconds, tokens, reusedSince, [scores by evaluator]] ]] }] }
//   with scores: [gold, output | null, error | null] | null where the evaluator has nothing on the row.

const { html, render, useState, useEffect, useMemo, useRef } = htmPreact;

const BASELINE = "baseline";

// What stands in addresses for what is no variant: a variant may well be named "baseline".
const WITH_BASELINE = "*baseline", WITH_NOTHING = "*nothing";

const block = (id) => JSON.parse(document.getElementById(id).textContent);

const report = block("llmops-overview");

const parsed = new Map();

/** Rows of an experiment, by its number. Parsed when they are first asked for: there may be many. */
function rowsOf(number) {
  if (!parsed.has(number)) parsed.set(number, block(`llmops-rows-${number}`));
  return parsed.get(number);
}

/** Name of a row for people: its key if it has one. */
const rowName = (row) => row.name || `row ${row.line}`;

/** Names of all metrics of an experiment, in the order of the thresholds in its file, then those that were only logged. */
function metricsOf(experiment) {
  const inFile = d3.sort(experiment.gates, ({ line }) => line || Infinity);
  const gated = inFile.filter((gate) => gate.metric).map((gate) => gate.name);
  const logged = experiment.cells.flatMap((cell) =>
    Object.entries(cell.metrics).flatMap(([evaluator, metrics]) => Object.keys(metrics).map((name) => `${evaluator}.${name}`)));
  return [...new Set([...gated, ...logged])];
}

const gatesByCell = new Map(report.experiments.map((experiment) => [experiment, d3.group(experiment.gates, (gate) => gate.cell)]));

/** The gates of a cell. */
const gatesOf = (experiment, cell) => gatesByCell.get(experiment).get(cell.id) ?? [];

/** The gate on a metric of a cell, if there is one. */
const gateOf = (experiment, cell, metric) => gatesOf(experiment, cell).find((gate) => gate.name === metric);

/** Value of a metric of a cell: the gate's, else the number that was logged, else null. */
function valueOf(experiment, cell, metric) {
  const gate = gateOf(experiment, cell, metric);
  if (gate) return gate.value;
  const values = Object.entries(cell.metrics).map(([evaluator, logged]) =>
    metric.startsWith(`${evaluator}.`) ? logged[metric.slice(evaluator.length + 1)] : null);
  return values.find((value) => typeof value === "number") ?? null;
}
