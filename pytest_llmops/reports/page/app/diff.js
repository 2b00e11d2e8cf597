// Texts of models and datasets as they are, and two of them side by side with what changed between them.

const LONGEST_DIFF = 20_000;
const DIFF_MILLISECONDS = 300;
const LONG_TEXT = 1200;
const LONG_LINES = 14;

const ONE_LINE = 72;

/** A value as text: JSON on one line where it is short. */
function pretty(value) {
  const line = JSON.stringify(value) ?? "";
  return typeof value === "object" && line.length <= ONE_LINE ? line : plain(value);
}

const segmenter = new Intl.Segmenter(undefined, { granularity: "word" });

/** Words, spaces and marks of a text, in any script; what is one character to a reader is never split. */
const wordsOf = (text) => Array.from(segmenter.segment(text), ({ segment }) => segment);

/** What was removed from one text and added in another: [{value: words, added, removed}]; null where that takes too long. */
function wordDiff(before, after) {
  if (Math.max(before.length, after.length) > LONGEST_DIFF) return null;
  return Diff.diffArrays(wordsOf(before), wordsOf(after), { timeout: DIFF_MILLISECONDS }) ?? null;
}

/** A word of a diff: lines that were added or removed are shown by a sign, as they have no colour. */
const shownWords = (words) => {
  const text = words.join("");
  return text.trim() ? text : text.replaceAll("\n", "↵\n");
};

/** A part of a diff as one side shows it. The hidden word has its own direction, so it does not set that of the text. */
function Part({ part, side }) {
  const text = shownWords(part.value);
  const said = (word) => html`<span class="unseen" dir="ltr"> ${word}: </span>`;
  if (side === "before" && part.removed) return html`<del>${said("removed")}${text}</del>`;
  if (side === "after" && part.added) return html`<ins>${said("added")}${text}</ins>`;
  return part.added || part.removed ? null : part.value.join("");
}

const isLong = (text) => text.length > LONG_TEXT || text.split("\n", LONG_LINES + 1).length > LONG_LINES;

/** A text with its lines as they are, each in its own direction. A long one scrolls, for the keyboard too. */
function Text({ text, label, children = text, kind = "" }) {
  if (text === "") return html`<p class="quiet">nothing</p>`;
  const scrolls = isLong(text) ? { tabindex: 0, role: "group", "aria-label": label } : {};
  return html`<pre class="text ${kind} ${isLong(text) ? "long" : ""}" dir="auto" ...${scrolls}>${children}</pre>`;
}

/** A value by its name. Names are of people's making too, so they have their own direction. */
const Field = ({ name, value, label, note = "" }) => html`
  <dt><bdi>${name}</bdi>${note && html` <span class="of">${note}</span>`}</dt>
  <dd><${Text} text=${pretty(value)} label="${label}: ${name}" /></dd>`;

/** Values by name, each as text. */
function Fields({ values, label }) {
  const entries = Object.entries(values ?? {});
  if (!entries.length) return html`<p class="quiet">nothing</p>`;
  return html`<dl class="fields">${entries.map(([name, value]) => html`
    <${Field} name=${name} value=${value} label=${label} />`)}</dl>`;
}

/** One value of both outputs. */
function ComparedField({ name, before, after, titles }) {
  const texts = [pretty(before), pretty(after)];
  const parts = useMemo(() => (texts[0] === texts[1] ? [] : wordDiff(...texts)), texts);
  const sides = ["before", "after"].map((side, place) => html`<div>
    <h5>${titles[place]}</h5>
    <${Text} text=${texts[place]} label="${titles[place]}: ${name}">
      ${parts?.length ? parts.map((part) => html`<${Part} part=${part} side=${side} />`) : texts[place]}
    <//></div>`);
  return html`<section class="compared">
    <h4><bdi>${name}</bdi> ${parts?.length === 0 ? html`<span class="quiet">the same</span>` : ""}</h4>
    ${parts === null ? html`<p class="note">Too long, or too different, to mark what changed.</p>` : ""}
    <div class="sides">${sides}</div></section>`;
}

/** Two outputs with what changed, field by field. */
function ComparedOutputs({ before, after, titles }) {
  const names = [...new Set([...Object.keys(after), ...Object.keys(before)])];
  return names.map((name) => html`
    <${ComparedField} key=${name} name=${name} before=${before[name]} after=${after[name]} titles=${titles} />`);
}
