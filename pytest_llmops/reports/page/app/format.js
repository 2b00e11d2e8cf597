// Numbers and values as text, the same all over the page.

/** A number as reports/verdicts.py writes it: with at most four decimals, or four digits if it is less; other values as JSON. */
function figure(value) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "number") return typeof value === "string" ? value : JSON.stringify(value);
  const rounded = Math.round(value * 1e4) / 1e4;
  return rounded === 0 && value !== 0 ? tiny(value) : String(rounded);
}

/** "1.224e-05", as Python writes it. */
const tiny = (value) => Number(value.toPrecision(4)).toExponential().replace(/e-(\d)$/, "e-0$1");

/** A number in three digits, for where many stand side by side. */
function short(value) {
  if (typeof value !== "number") return figure(value);
  if (value !== 0 && Math.abs(value) < 1e-4) return value.toExponential(1);
  return Math.abs(value) >= 100 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));
}

/** A difference with its sign. */
const signed = (value) => (value > 0 ? "+" : "") + figure(value);

/** An interval in as many decimals as give its width two digits, as reports/verdicts.py writes it. */
function intervalText(interval) {
  if (!interval) return "";
  const { low, high } = interval;
  const width = high - low;
  if (!Number.isFinite(width) || width <= 0) return `${figure(low)} to ${figure(high)}`;
  const decimals = Math.min(20, Math.max(0, 1 - Math.floor(Math.log10(width))));
  return [low, high].map((end) => (Number(end.toFixed(decimals)) + 0).toFixed(decimals)).join(" to ");
}

/** A share such as 0.95 as a percentage. */
const percent = (share) => `${Number((share * 100).toPrecision(4))} %`;

const UNITS = { µs: 1e6, ms: 1000, s: 1, min: 1 / 60 };

/** A time in seconds, in the unit that suits it. */
function duration(seconds) {
  if (typeof seconds !== "number") return figure(seconds);
  if (seconds > 0 && seconds < 0.001) return `${short(seconds * 1e6)} µs`;
  if (seconds < 1) return `${short(seconds * 1000)} ms`;
  return seconds < 120 ? `${short(seconds)} s` : `${short(seconds / 60)} min`;
}

/** The bounds of times, in the unit that suits the longer one. */
function durations(low, high) {
  const [text, unit] = duration(high).split(" ");
  return `${short(low * UNITS[unit])}–${text} ${unit}`;
}

/** A count with its noun: "1 row", "2 rows". */
const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

/** A time in ISO 8601 for people. All times of a report are UTC. */
const moment = (iso) =>
  (/^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(iso ?? "") ? `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC` : iso || "unknown");

const AGES = [["day", 86400], ["hour", 3600], ["minute", 60]];

/** How much earlier than the session a time was, in the largest unit of which it is at least two. */
function ageOf(iso) {
  const seconds = (Date.parse(report.created) - Date.parse(iso)) / 1000;
  if (!Number.isFinite(seconds)) return "";
  const [unit, size] = AGES.find(([, size]) => seconds >= 2 * size) ?? ["second", 1];
  return `${count(Math.max(0, Math.floor(seconds / size)), unit)} earlier`;
}

/** Any value of a flow as text: strings as they are, all else as JSON. */
function plain(value) {
  if (value === null || value === undefined) return "";
  return typeof value === "string" ? value : JSON.stringify(value, null, 1);
}

/** A name that may be broken where its parts end. */
const Name = ({ text }) => html`<bdi>${text.split(/(?<=[+._=:/-])/).map((part) => html`${part}<wbr />`)}</bdi>`;

const MARKS = { PASS: "✓", FAIL: "✗", INCONCLUSIVE: "?", ERROR: "!" };

/** A verdict in words, with what it means for the decision. */
const verdictText = (gate) => gate.verdict + (gate.verdict !== "PASS" && !gate.closes ? ", not blocking" : "");

/** A verdict as a mark and a word: never colour alone. */
const Verdict = ({ gate }) => html`<span class="verdict ${gate.verdict} ${gate.closes ? "closes" : ""}">
  <span aria-hidden="true">${MARKS[gate.verdict]}</span> ${verdictText(gate)}
</span>`;

/** A verdict where there is room for its mark only. */
const VerdictMark = ({ gate }) => html`<span class="verdict ${gate.verdict} ${gate.closes ? "closes" : ""}" title=${verdictText(gate)}>
  <span aria-hidden="true">${MARKS[gate.verdict]}</span><span class="hidden">${verdictText(gate)}</span>
</span>`;

/** The head of a table. Columns are titles, or pairs of a title and a class. */
const Head = ({ columns }) => html`<thead><tr>${columns.map((column) => {
  const [title, kind] = [column].flat();
  return html`<th scope="col" class=${kind}>${title}</th>`;
})}</tr></thead>`;

/** A part that is folded up, and made only once it is opened: it may be large. */
function Folded({ summary, className, make }) {
  const [open, setOpen] = useState(false);
  return html`<details class=${className} onToggle=${(event) => setOpen(event.currentTarget.open)}>
    <summary>${summary}</summary>${open && make()}
  </details>`;
}

/** A part of the page that scrolls sideways on its own. Where nothing in it can have the focus, it is a `stop` itself. */
const Scroller = ({ label, children, stop = false }) => html`
  <div class="scroller" role="group" aria-label=${label} tabindex=${stop ? 0 : null}>${children}</div>`;
