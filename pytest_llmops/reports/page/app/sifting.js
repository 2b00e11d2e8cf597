// Which rows of a cell are shown, and in which order. Pure functions; what they compute of each row is kept.

/** Which rows can be asked for: title, whether it takes a comparison, and the test. */
const SHOWS = {
  all: { title: "All", test: () => true },
  failed: { title: "Failed", test: (entry) => entry.here.failures > 0 },
  worse: { title: "Worse", compares: true, test: (entry) => entry.change === "worse" },
  better: { title: "Better", compares: true, test: (entry) => entry.change === "better" },
  changed: { title: "Other output", compares: true, test: (entry) => isOtherOutput(entry) },
  below: { title: "Not full score", scores: true, test: ({ here }, full) => here.score !== null && here.score !== full },
};

const kept = new WeakMap();

/** Value that is computed of an entry once, when it is first asked for. */
function once(entry, key, compute) {
  if (!kept.has(entry)) kept.set(entry, {});
  const values = kept.get(entry);
  return (values[key] ??= compute(entry));
}

function isOtherOutput(entry) {
  if (!entry.there) return false;
  return once(entry, "isOther", ({ here, there }) => ({ it: !hasSameOutputs(here, there) })).it;
}

/** The best score a row can have: that of a right answer where scores are shares, else the best one seen. */
function fullScore(entries, scoring) {
  const scores = entries.flatMap(({ here, there }) => [here.score, there?.score ?? null]).filter((score) => score !== null);
  const higher = scoring?.better !== "lower";
  if (scores.every((score) => score >= 0 && score <= 1)) return Number(higher);
  return higher ? d3.max(scores) : d3.min(scores);
}

/** All texts in a value, from the innermost: what a reader may search for, without the marks of JSON. */
function textsIn(value) {
  if (value === null || value === undefined) return [];
  if (Array.isArray(value)) return value.flatMap(textsIn);
  if (typeof value === "object") return Object.values(value).flatMap(textsIn);
  return [String(value)];
}

const sideTexts = (side) => side.answers.flatMap((answer) => [
  ...textsIn(answer[OUTPUT]), answer[ERROR] ?? "", ...answer[SCORES].flatMap((score) => textsIn(score)),
]);

const searched = (entry) => once(entry, "text", ({ row, here, there }) =>
  [rowName(row), ...textsIn(row.inputs), ...sideTexts(here), ...(there ? sideTexts(there) : [])].join("\n").toLowerCase());

/** Entries in which every word of a query stands somewhere. */
function search(entries, query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  return words.length ? entries.filter((entry) => words.every((word) => searched(entry).includes(word))) : entries;
}

/** Columns of a dataset that tell groups of rows apart: not the one that names them. */
const sliceColumns = (dataset) => Object.keys(dataset.columns).filter((column) =>
  dataset.rows.some((row) => (dataset.columns[column][row.line] ?? "") !== row.name));

/** Read "column=value" of an address; null where there is no such column. */
function readSlice(dataset, text) {
  const column = sliceColumns(dataset).find((name) => text?.startsWith(`${name}=`));
  return column === undefined ? null : { column, value: text.slice(column.length + 1) };
}

const inSlice = (entries, dataset, slice) =>
  slice ? entries.filter(({ row }) => dataset.columns[slice.column][row.line] === slice.value) : entries;

/** Values of a column with the number of rows that have them, the most frequent first. */
function sliceValues(entries, dataset, column) {
  const counts = new Map();
  for (const { row } of entries) {
    const value = dataset.columns[column][row.line];
    if (value !== undefined) counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  return [...counts].sort(([, one], [, other]) => other - one);
}

/** Mean score of entries, and how many have one. */
function meanScore(entries) {
  const scores = entries.map((entry) => entry.here.score).filter((score) => score !== null);
  return { mean: meanOf(scores), n: scores.length };
}

/** The order in which a reader wants rows: what changed first, else what failed, then the lowest scores. */
function byConcern(scoring) {
  const sign = scoring?.better === "lower" ? -1 : 1;
  const concern = ({ here, change }) => (change ? CHANGE_ORDER.indexOf(change) : here.failures ? 0 : 1);
  const score = ({ here }) => (here.score === null ? Infinity : sign * here.score);
  const isFlip = ({ change }) => change === "worse" || change === "better";
  const size = (entry) => (isFlip(entry) ? Math.abs(entry.here.score - entry.there.score) : 0);
  return (one, other) =>
    concern(one) - concern(other) || size(other) - size(one)
    || compare(score(one), score(other)) || one.row.line - other.row.line;
}

const compare = (one, other) => (one < other ? -1 : one > other ? 1 : 0);

/** Entries by the values of a column; those without one stand last either way, ties in order of lines. */
function sortBy(entries, valueOf, descending) {
  const sign = descending ? -1 : 1;
  const valued = entries.map((entry) => [valueOf(entry), entry]);
  const isEmpty = (value) => value === null || value === "";
  valued.sort(([one, first], [other, second]) =>
    isEmpty(one) - isEmpty(other) || sign * compare(one, other) || first.row.line - second.row.line);
  return valued.map(([, entry]) => entry);
}

/** Text to sort by as people do: row 2 before row 10, capitals beside small letters. */
const sortText = (text) => text.slice(0, 200).toLowerCase().replace(/\d+/g, (digits) => digits.padStart(12, "0"));
