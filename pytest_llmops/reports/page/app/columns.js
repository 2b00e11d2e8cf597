// Columns of the table of rows: what each is called, what it shows of a row, and what it sorts by.

const BRIEF = 300;

/** Start of a text, never cut within a character. */
const cut = (text, most = BRIEF) => (text.length <= most ? text : `${text.slice(0, most).replace(/[\ud800-\udbff]$/, "")}…`);

/** A value on one line: lists and objects as JSON. */
const compact = (value) => (value !== null && typeof value === "object" ? JSON.stringify(value) : plain(value));

/** Values of a flow on one line: a single one by itself, several with their names. */
function brief(values) {
  const entries = Object.entries(values ?? {});
  const texts = entries.map(([name, value]) => (entries.length === 1 ? compact(value) : `${name}: ${compact(value)}`));
  return cut(texts.join(" · "));
}

/** Gold of a row without what repeats its inputs: that of the score's evaluator, else the first there is. */
function goldValues(entry, scoring) {
  const { row, here } = entry;
  const evaluators = [...(scoring ? [scoring.evaluator] : []), ...here.run.evaluators];
  const golds = evaluators.map((evaluator) => withoutInputs(goldOf(here, evaluator), row.inputs));
  return golds.find((gold) => Object.keys(gold).length) ?? {};
}

function withoutInputs(values, inputs) {
  const isInput = ([name, value]) => Object.hasOwn(inputs, name) && isSame(value, inputs[name]);
  return Object.fromEntries(Object.entries(values ?? {}).filter((entry) => !isInput(entry)));
}

const errorOf = (answer) => answer[ERROR] ?? "no output, and no error either";

/** What stands in the table for an output: of several executions the first that failed, else the first. */
const briefOutput = (side) => (side.failures ? cut(errorOf(side.answers.find(isFailed))) : brief(side.answers[0][OUTPUT]));

const Brief = ({ text, kind = "" }) => html`<div class="brief ${kind}" dir="auto">${text}</div>`;

function Output({ side }) {
  if (!side) return html`<span class="quiet">not compared</span>`;
  return html`<${Brief} text=${briefOutput(side)} kind=${side.failures ? "error" : ""} />`;
}

const CHANGE_MARKS = { broke: "!", worse: "▼", better: "▲", mended: "✓", changed: "≠", same: "=" };

/** What changed, as a mark and words: never colour alone. */
const Change = ({ change }) => html`<span class="change ${change}">
  <span aria-hidden="true">${CHANGE_MARKS[change] ?? "–"}\u00a0</span>${CHANGES[change]}</span>`;

/** What is to be said of how a row came about: failures, scores that are missing, and reuse. */
function stateTexts({ here }) {
  const [times, first] = [here.answers.length, here.answers[0]];
  const failed = here.failures && (times === 1 ? "failed" : `${here.failures} of ${times} failed`);
  const hasError = (name) => here.answers.some((answer) => evaluated(here, answer, name)?.[2]);
  const unscored = here.run.evaluators.filter(hasError).join(", ");
  return { failed, unscored: unscored && `no ${unscored}`, reused: first[REUSED] && `reused, ${ageOf(first[REUSED])}` };
}

function RowState({ entry }) {
  const { failed, unscored, reused } = stateTexts(entry);
  return html`${failed ? html`<strong class="bad">${failed}</strong> ` : ""}
    ${unscored ? html`<span class="bad">${unscored}</span> ` : ""}<span class="quiet">${reused}</span>`;
}

/** Numbers that evaluators gave rows, beside the score: [evaluator, output]. */
function otherOutputs(entries, run, scoring) {
  const found = new Map();
  for (const { here } of entries) {
    for (const evaluator of run.evaluators) {
      for (const [output, value] of Object.entries(evaluated(here, here.answers[0], evaluator)?.[1] ?? {})) {
        if (numberOf(value) !== null) found.set(JSON.stringify([evaluator, output]), [evaluator, output]);
      }
    }
  }
  const isScore = ([evaluator, output]) => evaluator === scoring?.evaluator && output === scoring?.output;
  return [...found.values()].filter((pair) => !isScore(pair));
}

/** A column of what an evaluator gave the rows; `pick` takes a side of an entry, which may be null. */
const judged = (key, title, pick, { evaluator, output }, more) => ({
  key, title, kind: "number", ...more,
  value: (entry) => pick(entry) && measured(pick(entry), evaluator, output),
  cell: (entry) => (pick(entry) ? measuredText(pick(entry), evaluator, output) : "–"),
});

const numeric = (key, title, value, more = {}) =>
  ({ key, title, value, kind: "number", cell: (entry) => figure(value(entry)), ...more });

/** Its text is computed again where it is shown: that is a hundred times, and sorting needs all. */
function textual(key, title, text, more = {}) {
  const value = (entry) => once(entry, key, (it) => sortText(text(it)));
  return { key, title, value, kind: "words", cell: (entry) => html`<${Brief} text=${text(entry)} />`, ...more };
}

const averaged = (place) => ({ here }) => meanOf(here.answers.map((answer) => answer[place]));

const NAME_COLUMN = textual("name", "Row", ({ row }) => rowName(row), { cell: ({ row }) => rowName(row) });

const STATE_COLUMN = {
  key: "state",
  title: "State",
  kind: "state",
  wide: true,
  value: (entry) => Object.values(stateTexts(entry)).filter(Boolean).join(),
  cell: (entry) => html`<${RowState} entry=${entry} />`,
};

const CHANGE_COLUMN = {
  key: "change",
  title: "Change",
  kind: "words",
  value: ({ change }) => CHANGE_ORDER.indexOf(change),
  cell: ({ change }) => html`<${Change} change=${change} />`,
};

/** A column for an output of an evaluator, by its own name where no other has that. */
function outputColumn([evaluator, output], names, scoring) {
  const isAlone = names.filter(([, name]) => name === output).length === 1 && output !== scoring?.output;
  const name = `${evaluator}.${output}`;
  return judged(`of:${name}`, isAlone ? output : name, ({ here }) => here, { evaluator, output }, { wide: true });
}

/** All columns. `other` is what the cell is compared with, or null; `scoring` is null where rows have no scores. */
function columnsOf(entries, run, scoring, other) {
  const names = otherOutputs(entries, run, scoring);
  const outputText = (side) => (side ? briefOutput(side) : "");
  const columns = [
    NAME_COLUMN,
    textual("inputs", "Inputs", ({ row }) => brief(row.inputs), { wide: true, long: true }),
    textual("gold", "Gold", (entry) => brief(goldValues(entry, scoring)), { wide: true }),
    other && textual("other", `Output of ${other.name}`, ({ there }) => outputText(there),
      { wide: true, cell: ({ there }) => html`<${Output} side=${there} />` }),
    textual("output", "Output", ({ here }) => outputText(here), { cell: ({ here }) => html`<${Output} side=${here} />` }),
    other && scoring && !isAgreement(scoring) && judged("before", `Score of ${other.name}`, ({ there }) => there, scoring, { wide: true }),
    scoring && judged("score", `Score (${scoring.output})`, ({ here }) => here, scoring, { strong: true }),
    other && CHANGE_COLUMN,
    ...names.map((name) => outputColumn(name, names, scoring)),
    numeric("seconds", "Seconds", averaged(SECONDS), { wide: true }),
    numeric("tokens", "Tokens", averaged(TOKENS), { wide: true }),
    entries.some(STATE_COLUMN.value) && STATE_COLUMN,
  ];
  return columns.filter(Boolean);
}
