// Rows of a cell beside those of what it is compared with, and what changed between the two. Pure functions of the data.
//
// Answer: [line, output | null, error | null, seconds, tokens, reusedSince, scores]: a row of one execution, as in data.js.
// Side: what one run made of a row in all its executions. Entry: a row with its sides here and there.

const RUN = "run", AGREEMENT = "agreement";
const NOT_FINITE = ["NaN", "Infinity", "-Infinity"];

const OUTPUT = 1, ERROR = 2, SECONDS = 3, TOKENS = 4, REUSED = 5, SCORES = 6;

/** What can have become of a row, in the order in which it matters to a reader. */
const CHANGES = {
  broke: "now fails",
  worse: "worse",
  better: "better",
  mended: "fails no more",
  changed: "other output",
  failed: "fails in both",
  unscored: "not scored in both",
  regolded: "other gold",
  missing: "not compared",
  same: "same",
};

const CHANGE_ORDER = Object.keys(CHANGES);

/** The runs of a cell: its own, and that of the baseline if there is one. */
const runsOf = (data, cell) => data.runs.filter((run) => run.cell === cell.id);

/** What a cell can be compared with: the baseline, and other variants on the same dataset. Each has a key for addresses. */
function othersOf(data, cells, cell) {
  const [, baseline] = runsOf(data, cell);
  const isOfFlow = baseline && cell.isCandidate && !baseline.isCandidate;
  const saved = isOfFlow ? { title: "the flow in the baseline", name: "flow (baseline)" } : { title: "the baseline", name: BASELINE };
  const variants = cells.filter((other) => other.dataset === cell.dataset && other.id !== cell.id);
  return [
    ...(baseline ? [{ key: WITH_BASELINE, ...saved, run: baseline }] : []),
    ...variants.map((other) => {
      const { variant } = other;
      const title = variant === cell.besideFlow ? `the flow, ${variant}` : variant;
      return { key: variant, title, name: variant, run: runsOf(data, other)[0] };
    }),
  ];
}

/** What the scores of rows are: an output of an evaluator, and the direction in which it gets better. */
const scoringOf = (gate) => gate && { evaluator: gate.evaluator, output: gate.score, better: gate.better };

/** Gates of a cell that rest on scores of rows, those that stop a deployment first. */
function scoredGates(experiment, cell) {
  const gates = gatesOf(experiment, cell).filter(({ score }) => score);
  return gates.sort((one, other) => Number(other.closes) - Number(one.closes));
}

/** A number, or a truth as 0 or 1; null for anything else. */
function numberOf(value) {
  if (typeof value === "boolean") return Number(value);
  return typeof value === "number" ? value : null;
}

/** Mean of numbers, null where one of them is not known: half of the executions say nothing of all of them. */
function meanOf(values) {
  if (!values.length || values.includes(null)) return null;
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** What an evaluator made of an answer: [gold, output, error], or null. */
const evaluated = (side, answer, evaluator) => answer[SCORES][side.run.evaluators.indexOf(evaluator)] ?? null;

/** Whether rows are scored by what they are compared with: then only one side has scores. */
const isAgreement = (scoring) => scoring?.evaluator === RUN && scoring.output === AGREEMENT;

/** What an answer was given for an output. The run is no evaluator: all that is scored of single answers is whether they failed. */
const given = (side, answer, evaluator, output) =>
  (evaluator === RUN ? isFailed(answer) : evaluated(side, answer, evaluator)?.[1]?.[output]);

/** A number that an evaluator gave a row, as the mean of all executions. */
const measured = (side, evaluator, output) => (isAgreement({ evaluator, output })
  ? side.run.agreement?.[side.answers[0][0]] ?? null
  : meanOf(side.answers.map((answer) => numberOf(given(side, answer, evaluator, output)))));

/** That number as text: "NaN" and the like where it is none, a dash where there is nothing. */
function measuredText(side, evaluator, output) {
  const value = measured(side, evaluator, output);
  if (value !== null) return figure(value);
  if (isAgreement({ evaluator, output })) return "–";
  const values = side.answers.map((answer) => given(side, answer, evaluator, output));
  return values.find((known) => NOT_FINITE.includes(known)) ?? "–";
}

const goldOf = (side, evaluator) => evaluated(side, side.answers[0], evaluator)?.[0] ?? null;

const isFailed = (answer) => answer[OUTPUT] === null;

function sideOf(run, answers, scoring) {
  const side = { run, answers, failures: answers.filter(isFailed).length };
  side.score = scoring ? measured(side, scoring.evaluator, scoring.output) : null;
  return side;
}

/** All answers of a run by line: one for each execution in which the row was run. */
function answersOf(run) {
  const found = new Map();
  for (const answer of run.executions.flat()) {
    const known = found.get(answer[0]);
    if (known) known.push(answer);
    else found.set(answer[0], [answer]);
  }
  return found;
}

/** Text of a value that does not depend on the order of its keys. */
function canonical(value) {
  return JSON.stringify(value, (_, item) =>
    item && typeof item === "object" && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([one], [other]) => (one < other ? -1 : 1)))
      : item);
}

const isSame = (one, other) => JSON.stringify(one) === JSON.stringify(other) || canonical(one) === canonical(other);

/** Outputs of a side. Of two implementations, only what the flow gives counts: a candidate may give more. */
function outputsOf(side, other) {
  const outputs = side.answers.map((answer) => answer[OUTPUT]);
  if (!side.run.isCandidate || other.run.isCandidate) return outputs;
  const names = new Set(other.answers.flatMap((answer) => Object.keys(answer[OUTPUT] ?? {})));
  const ofFlow = (output) => Object.fromEntries(Object.entries(output).filter(([name]) => names.has(name)));
  return outputs.map((output) => (output && names.size ? ofFlow(output) : output));
}

/** Whether two sides gave the same outputs, in any order and however often: executions are samples. */
function hasSameOutputs(here, there) {
  const [mine, theirs] = [outputsOf(here, there), outputsOf(there, here)];
  const distinct = (outputs) => [...new Set(outputs.map(canonical))].sort();
  return JSON.stringify(mine) === JSON.stringify(theirs) || isSame(distinct(mine), distinct(theirs));
}

/** Whether two sides were measured by different golds: then their scores say nothing of each other. */
function hasOtherGold(here, there, { evaluator }) {
  const golds = [goldOf(here, evaluator), goldOf(there, evaluator)];
  return !golds.includes(null) && !isSame(...golds);
}

/** What a score that is another one says of a row. */
const flipOf = (here, there, { better }) => (here.score > there.score === (better === "higher") ? "better" : "worse");

function changeOf(here, there, scoring) {
  if (!there) return "missing";
  if (isAgreement(scoring)) {
    const change = changeOf(here, there, null);
    return change === "same" && here.score !== null && here.score < 1 ? "changed" : change;
  }
  if (scoring?.evaluator === RUN && here.score !== there.score) return flipOf(here, there, scoring);
  if (here.failures || there.failures) return !there.failures ? "broke" : here.failures ? "failed" : "mended";
  if (scoring && hasOtherGold(here, there, scoring)) return "regolded";
  if (scoring && (here.score === null || there.score === null)) return "unscored";
  if (scoring && here.score !== there.score) return flipOf(here, there, scoring);
  return hasSameOutputs(here, there) ? "same" : "changed";
}

/** Rows that a run answered, in order, each with what the other run made of it. */
function entriesOf(dataset, run, other, scoring) {
  const mine = answersOf(run);
  const theirs = other && answersOf(other);
  return dataset.rows.filter((row) => mine.has(row.line)).map((row) => {
    const here = sideOf(run, mine.get(row.line), scoring);
    const answers = theirs?.get(row.line);
    const there = answers ? sideOf(other, answers, scoring) : null;
    return { row, here, there, change: other ? changeOf(here, there, scoring) : null };
  });
}

/** How many rows each change happened to. */
function countChanges(entries) {
  const counts = Object.fromEntries(CHANGE_ORDER.map((change) => [change, 0]));
  for (const entry of entries) counts[entry.change] += 1;
  return counts;
}

/** "8 worse, 1 better, 31 same of 40 rows": what changed, without what happened to no row. */
function changesText(entries) {
  const counts = countChanges(entries);
  const said = CHANGE_ORDER.filter((change) => counts[change] || ["worse", "better", "same"].includes(change));
  return `${said.map((change) => `${counts[change]} ${CHANGES[change]}`).join(", ")} of ${count(entries.length, "row")}`;
}
