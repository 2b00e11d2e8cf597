// In what order variants stand, and what is shown of them beside the one that decides.

const isEvaluated = (gate) => gate.metric !== "";

/** Cells in groups that ask the same: a flow on a dataset. */
function groupsOf(experiment) {
  const groups = d3.group(experiment.cells, (cell) => JSON.stringify([cell.flow, cell.dataset]));
  const manyFlows = new Set(experiment.cells.map((cell) => cell.flow)).size > 1;
  return [...groups.values()].map((cells) => ({
    cells,
    title: manyFlows ? `${cells[0].flow} on ${cells[0].dataset}` : cells[0].dataset,
  }));
}

/** Whether verdicts on a variant can close the gate for its quality. */
const isRequired = (experiment, cell) => gatesOf(experiment, cell).some((gate) => gate.blocking && isEvaluated(gate));

/** The metric that stands for all others: the first one with a gate, else the first one that was logged. */
const leadingMetric = (experiment) => metricsOf(experiment).find((metric) => !metric.startsWith("run.")) ?? metricsOf(experiment)[0];

/** +1 where more is better, -1 where less is. What has no gate has no known direction: highest first. */
const directionOf = (experiment, metric) =>
  experiment.gates.some((gate) => gate.name === metric && gate.better === "lower") ? -1 : 1;

const missed = (experiment, cell) => gatesOf(experiment, cell).filter((gate) => gate.verdict !== "PASS").length;

/** Whether a cell has a value of what it is ranked by: of the metric or, without one, of any that is asked for. */
function hasValue(experiment, cell, by) {
  const metrics = by ? [by] : metricsOf(experiment);
  return !metrics.length || metrics.some((metric) => Number.isFinite(valueOf(experiment, cell, metric)));
}

/** Compare two cells; less than 0 where the first is better. Cells without a value come last. */
function compareCells(experiment, by) {
  const metric = by || leadingMetric(experiment);
  const direction = directionOf(experiment, metric);
  const score = (cell) => {
    const value = metric ? valueOf(experiment, cell, metric) : null;
    return Number.isFinite(value) ? value * direction : -Infinity;
  };
  const kept = (one, other) => hasValue(experiment, other) - hasValue(experiment, one)
    || missed(experiment, one) - missed(experiment, other);
  return (one, other) => (by ? 0 : kept(one, other)) || d3.descending(score(one), score(other));
}

/**
 * Rank cells of a group by a metric, or, without one, by the gates they keep and then by the leading metric.
 * Those that are equal in it share a place; without a value there is none.
 */
function rank(experiment, cells, by) {
  const compare = compareCells(experiment, by);
  const order = [...cells].sort(compare);
  return order.map((cell) => ({
    cell,
    place: hasValue(experiment, cell, by) ? order.findIndex((other) => compare(other, cell) === 0) + 1 : null,
  }));
}

/** Marks and words for what a metric of a variant is beside that of the one that decides. */
const STANDS = { better: ["▲", "better than"], worse: ["▼", "worse than"], alike: ["≈", "not told apart from"] };

/** The variant that a cell is compared with. */
const referenceOf = (experiment, cell) =>
  experiment.cells.find(({ id }) => id === experiment.stands[cell.id]?.reference)?.variant;

/** What the rows show of a metric of a cell, in words; nothing for the cell that others are compared with. */
function standText(experiment, cell, metric) {
  const found = experiment.stands[cell.id]?.metrics[metric];
  if (!found) return "";
  const reference = referenceOf(experiment, cell);
  if (found.word === "unknown") return `not compared with ${reference}: ${found.why}`;
  return `${STANDS[found.word][1]} ${reference}: ${signed(found.delta)} on ${count(found.n, "row")}, p = ${short(found.p_value)}`;
}

/** The metrics in which cells of a variant stand in one way, with datasets where it is not on all of them. */
function metricsWith(experiment, cells, word) {
  const found = groupsOf(experiment).flatMap((group) => group.cells.filter((cell) => cells.includes(cell)).flatMap((cell) =>
    Object.entries(experiment.stands[cell.id].metrics).filter(([, stand]) => stand.word === word)
      .map(([metric]) => ({ metric, title: group.title }))));
  return [...d3.group(found, ({ metric }) => metric)].map(([metric, places]) =>
    (places.length === cells.length ? metric : `${metric} on ${places.map(({ title }) => title).join(", ")}`));
}

/** Two metrics by name, more of them by number. */
const inMetrics = (metrics) => `in ${metrics.length > 2 ? count(metrics.length, "metric") : metrics.join(" and ")}`;

const FEW_VARIANTS = 3;

/** The first few of a list of texts, and how many more there are. */
const fewOf = (texts) =>
  [...texts.slice(0, FEW_VARIANTS), ...(texts.length > FEW_VARIANTS ? [`and ${count(texts.length - FEW_VARIANTS, "other")}`] : [])];

/** Say what the rows show of the flow's variants beside the one that decides, and no more. */
function othersText(experiment) {
  if (!experiment.cells.length) return "no variant was run";
  if (!experiment.cells.some((cell) => hasValue(experiment, cell))) return "no variant worked";
  const own = experiment.cells.filter((cell) => !cell.isCandidate);
  if (!own.length) return "no variant of the flow was run";
  const others = own.filter((cell) => experiment.stands[cell.id]);
  if (!others.length) return own.length < experiment.cells.length ? "only one variant of the flow" : "only one variant";
  const stands = others.flatMap((cell) => Object.values(experiment.stands[cell.id].metrics));
  const unknown = stands.filter(({ word }) => word === "unknown");
  if (unknown.length === stands.length) return `not compared: ${unknown[0]?.why ?? "no metric has a threshold"}`;
  const variants = [...d3.group(others, (cell) => cell.variant)].map(([variant, cells]) =>
    ({ variant, ...Object.fromEntries(["better", "worse"].map((word) => [word, metricsWith(experiment, cells, word)])) }));
  const better = variants.filter((found) => found.better.length);
  const worse = variants.filter((found) => found.worse.length && !found.better.length);
  const references = [...new Set(others.map((cell) => referenceOf(experiment, cell)))];
  return [
    ...fewOf(better.map((found) => (found.worse.length
      ? `trade-off: ${found.variant} is better ${inMetrics(found.better)}, worse ${inMetrics(found.worse)}`
      : `${found.variant} is better ${inMetrics(found.better)}`))),
    ...(better.length ? [] : [`none is shown to be better than ${references.length > 1 ? "the one that decides" : references[0]}`]),
    ...fewOf(worse.map((found) => `${found.variant}: worse ${inMetrics(found.worse)}`)),
    ...(unknown.length ? [`${unknown.length} of ${stands.length} comparisons could not be made`] : []),
  ].join("; ");
}
