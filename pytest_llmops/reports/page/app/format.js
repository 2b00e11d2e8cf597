// Numbers and values as text, the same all over the page.

/** A number with at most four decimals, as reports/verdicts.py writes it; other values as JSON. */
function figure(value) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "number") return typeof value === "string" ? value : JSON.stringify(value);
  const rounded = Math.round(value * 1e4) / 1e4;
  return String(rounded === 0 && value !== 0 ? value : rounded);
}

/** Any value of a flow as text: strings as they are, all else as JSON. */
function plain(value) {
  if (value === null || value === undefined) return "";
  return typeof value === "string" ? value : JSON.stringify(value, null, 1);
}

const MARKS = { PASS: "✓", FAIL: "✗", INCONCLUSIVE: "?", ERROR: "!" };

/** A verdict as a mark and a word: never colour alone. */
const Verdict = ({ gate }) => html`<span class="verdict ${gate.verdict} ${gate.closes ? "closes" : ""}">
  <span aria-hidden="true">${MARKS[gate.verdict]}</span> ${gate.verdict}${gate.verdict !== "PASS" && !gate.closes ? ", not blocking" : ""}
</span>`;
