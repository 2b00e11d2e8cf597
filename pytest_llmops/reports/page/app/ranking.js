// Which variant is best, and how sure that is.

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

/** Compare two cells; less than 0 where the first is better. Cells without a value come last. */
function compareCells(experiment, metric, byGates) {
  const direction = directionOf(experiment, metric);
  const score = (cell) => {
    const value = metric ? valueOf(experiment, cell, metric) : null;
    return Number.isFinite(value) ? value * direction : -Infinity;
  };
  return (one, other) =>
    (byGates ? missed(experiment, one) - missed(experiment, other) : 0) || d3.descending(score(one), score(other));
}

/** Whether two cells can't be told apart by a metric: their intervals overlap or, without intervals, values are the same. */
function overlap(experiment, metric, one, other) {
  const [a, b] = [one, other].map((cell) => gateOf(experiment, cell, metric));
  if (a?.interval && b?.interval) return a.interval.low <= b.interval.high && b.interval.low <= a.interval.high;
  return valueOf(experiment, one, metric) === valueOf(experiment, other, metric);
}

/** Whether two cells can't be told apart by any gate: intervals overlap where there are some, verdicts are the same elsewhere. */
function alike(experiment, one, other) {
  const pairs = gatesOf(experiment, one).map((gate) => [gate, gateOf(experiment, other, gate.name)]);
  const isSure = ([gate, found]) => gate.interval && found?.interval;
  return pairs.some(isSure) && pairs.every((pair) =>
    (isSure(pair) ? overlap(experiment, pair[0].name, one, other) : pair[0].verdict === pair[1]?.verdict));
}

/**
 * Rank cells of a group by a metric, or, without one, by the gates they keep and then by the leading metric.
 * `tied` says that a cell can't be told apart from the first by what they are ranked by.
 */
function rank(experiment, cells, by) {
  const metric = by || leadingMetric(experiment);
  const order = [...cells].sort(compareCells(experiment, metric, !by));
  const [first] = order;
  return order.map((cell, place) => ({
    cell,
    place: place + 1,
    tied: place > 0 && (by ? overlap(experiment, by, first, cell) : alike(experiment, first, cell)),
  }));
}

/** The best variants of an experiment: those that lead a group, each with the groups it leads and how many it ties with. */
function leadersOf(experiment) {
  const groups = groupsOf(experiment).map(({ cells, title }) => {
    const [first, ...others] = rank(experiment, cells, "");
    return { title, cell: first.cell, ties: others.filter((other) => other.tied).length, of: cells.length };
  });
  return [...d3.group(groups, (group) => group.cell.variant)].map(([variant, led]) => ({
    variant,
    led,
    all: led.length === groups.length,
    ties: d3.max(led, (group) => group.ties),
    alone: led.every((group) => group.of === 1),
  }));
}
