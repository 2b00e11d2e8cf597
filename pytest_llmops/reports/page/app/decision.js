// The decision, and what closed the gate: the first thing that a reader sees.

const FEW = 8;
// Settings that limit what an open gate means, as in reports/verdicts.py, and how to say them.
const LIMITS = {
  env: (value) => `environment ${value}`,
  llm: (value) => ({ replay: "LLM answers replayed", live: "LLM answers live", record: "LLM answers recorded" })[value] ?? `LLM ${value}`,
  "max-rows": (value) => `first ${value} rows of each dataset`,
  variants: (value) => `variants ${value}`,
  repeat: (value) => `each row run ${value} times`,
  shard: (value) => `part ${value} of the work`,
  baseline: (value) => `baseline ${value}`,
  thresholds: (value) => `thresholds replaced: ${value}`,
  regated: (value) => `decided again: ${value}`,
};

/** Every gate with its experiment. */
const allGates = () => report.experiments.flatMap((experiment) => experiment.gates.map((gate) => ({ experiment, gate })));

/** Every cell with its experiment. */
const everyCell = () => report.experiments.flatMap((experiment) => experiment.cells.map((cell) => ({ experiment, cell })));

const cellOf = (experiment, gate) => experiment.cells.find((cell) => cell.id === gate.cell);

/** The variant of a cell, a candidate as what it is. */
const variantName = (cell) => (cell.isCandidate ? `candidate ${cell.variant}` : cell.variant);

/** Where a gate was decided, in words: use case, dataset and variant. */
function placeOf(experiment, gate) {
  const cell = cellOf(experiment, gate);
  return cell ? [experiment.name, cell.dataset, variantName(cell)].join(" · ") : `${experiment.name} · ${gate.cell}`;
}

const cellLink = (experiment, cell) => linkTo({ cell: `${experiment.path}::${cell.id}` });

const rowsLink = (experiment, gate) => linkTo({ cell: `${experiment.path}::${gate.cell}`, gate: gate.name });

/** What the decision holds for. */
function limits() {
  const isAsked = everyCell().some(({ cell }) => cell.calls !== 0);
  const given = { ...report.settings, llm: isAsked && report.settings.llm, shard: report.shard };
  const said = Object.entries(LIMITS).filter(([name]) => given[name]).map(([name, say]) => say(given[name]));
  return report.reuse ? [...said, `reused: ${report.reuse.text}`] : said;
}

const WORDS = { ERROR: "broken", FAIL: "failed", INCONCLUSIVE: "inconclusive" };

/** Gates that did not pass, by what became of them. */
const shortOf = (gates) => Object.entries(WORDS)
  .map(([verdict, word]) => [word, gates.filter((gate) => gate.verdict === verdict)]).filter(([, found]) => found.length);

function Counts() {
  const gates = allGates().map(({ gate }) => gate);
  const groups = [
    ...shortOf(gates.filter((gate) => gate.closes)).map(([word, found]) => ["closes", found, word]),
    ["", gates.filter((gate) => gate.verdict === "PASS"), "passed"],
  ];
  const weaker = shortOf(gates.filter((gate) => !gate.closes)).map(([word, found]) => `${found.length} ${word}`);
  return html`<ul class="counts">${groups.filter(([, found]) => found.length).map(([closes, found, word]) => html`
    <li class=${found[0].verdict}><span class="verdict ${found[0].verdict} ${closes}">
      <span aria-hidden="true">${MARKS[found[0].verdict]}</span> ${found.length}</span> ${word}</li>`)}
    ${weaker.length > 0 && html`<li>– ${weaker.join(", ")}; none closes the gate</li>`}
  </ul>`;
}

/** The state in a mark, a word and a colour, and the reasons that no gate stands for. */
function Decision() {
  const { state, reasons } = report.decision;
  const gates = allGates();
  const closers = new Set(gates.filter(({ gate }) => gate.closes).map(({ gate }) => `${gate.verdict} ${gate.name}[${gate.cell}]`));
  const others = reasons.filter((reason) => ![...closers].some((start) => reason.startsWith(start)));
  return html`<div class="decision ${state === "open" ? "PASS" : "FAIL"}" data-state=${state}>
    <span class="state-mark" aria-hidden="true">${state === "open" ? MARKS.PASS : MARKS.FAIL}</span>
    <div>
      <h1 tabindex="-1">${report.line}</h1>
      ${others.length > 0 && html`<ul class="reasons">${others.map((reason) => html`<li>${reason}</li>`)}</ul>`}
      <${Counts} />
      <p class="hint">${[moment(report.created), ...limits()].join(" · ")}</p>
    </div>
  </div>`;
}

const inThreeDigits = (value) => (typeof value === "number" ? Number(value.toPrecision(3)) : value);

/** What became of a metric since its baseline. */
function compared({ comparison, bound }) {
  if (!comparison) return [];
  const worst = bound === null ? "" : `, at worst ${signed(inThreeDigits(bound))}`;
  return [
    [comparison.name === BASELINE || comparison.with_flow ? comparison.name : `${BASELINE}, ${comparison.name}`, figure(comparison.baseline)],
    ["difference", signed(comparison.delta) + worst],
  ];
}

/** The numbers of a gate beside what is asked of them. */
function Numbers({ gate }) {
  const facts = [
    ["value", gate.text],
    ["required", gate.rule],
    [gate.interval && `${percent(gate.interval.level)} interval`, intervalText(gate.interval)],
    ...compared(gate),
    ["rows", figure(gate.n)],
  ].filter(([, value]) => value !== "");
  return html`<dl class="facts">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

const marksOf = (gate) => [gate.value, gate.low, gate.high, gate.interval?.low, gate.interval?.high, gate.comparison?.baseline]
  .filter((value) => value !== null && value !== undefined);

/** Rows and slices behind a verdict. They hold text of datasets and models. */
function Evidence({ gate }) {
  const slices = gate.slices.map(({ column, value, score, n }) => `${column} = ${value}: ${figure(score)} (${count(n, "row")})`);
  if (!gate.details.length && !slices.length) return null;
  return html`<details><summary>What is behind it</summary>
    <ul class="evidence">${[...gate.details, ...slices].map((line) => html`<li>${line}</li>`)}</ul>
  </details>`;
}

/** One gate as a card: the numbers it failed on, why, and the way to its rows. */
function GateCard({ experiment, gate }) {
  const { comparison } = gate;
  const moved = comparison && [comparison.worse.length && `${count(comparison.worse.length, "row")} got worse`,
    comparison.better.length && `${comparison.better.length} better`].filter(Boolean).join(", ");
  const domain = domainOf(marksOf(gate));
  return html`<article class="card ${gate.verdict}" aria-label="${gate.name}, ${placeOf(experiment, gate)}">
    <p class="card-head"><${Verdict} gate=${gate} /> <strong>${gate.name}</strong></p>
    <p class="hint">${placeOf(experiment, gate)}</p>
    <${Numbers} gate=${gate} />
    ${marksOf(gate).length > 1 && html`<div class="card-picture">
      <${Strip} gate=${gate} value=${gate.value} domain=${domain} /><${Axis} domain=${domain} />
    </div>`}
    ${gate.reason && html`<p>${gate.reason}</p>`}
    ${moved && html`<p><strong>${moved}</strong> than in ${comparison.name === BASELINE ? "the baseline" : comparison.name}</p>`}
    <${Evidence} gate=${gate} />
    <p class="card-foot">${cellOf(experiment, gate) ? html`<a href=${rowsLink(experiment, gate)}>Show the rows</a>` : "It has no rows."}
      ${gate.file && html`<span class="code">${gate.file}${gate.line ? `:${gate.line}` : ""}</span>`}</p>
  </article>`;
}

/** What closed the gate, a card each; the first ones, if there are many. */
function Closing() {
  const [all, showAll] = useState(false);
  const closing = allGates().filter(({ gate }) => gate.closes);
  if (!closing.length) return null;
  return html`<section class="section" aria-labelledby="closing"><h2 id="closing">What closed the gate</h2>
    <div class="cards">${(all ? closing : closing.slice(0, FEW)).map(({ experiment, gate }) => html`
      <${GateCard} key=${`${experiment.path}::${gate.name}::${gate.cell}`} experiment=${experiment} gate=${gate} />`)}</div>
    ${!all && closing.length > FEW && html`
      <p><button class="button" onClick=${() => showAll(true)}>Show all ${closing.length}</button></p>`}
  </section>`;
}

const WeakerTable = ({ weaker }) => html`<${Scroller} label="Verdicts that do not block"><table class="wide">
  <${Head} columns=${["Verdict", "Metric", "Where", ["Value", "number"], "Required", "Interval"]} />
  <tbody>${weaker.map(({ experiment, gate }) => html`<tr>
    <td><${VerdictMark} gate=${gate} /> <span aria-hidden="true">${gate.verdict}</span></td>
    <th scope="row"><a href=${rowsLink(experiment, gate)}>${gate.name}</a></th>
    <td>${placeOf(experiment, gate)}</td>
    <td class="number">${gate.text}</td>
    <td>${gate.rule}</td>
    <td>${intervalText(gate.interval)}</td>
  </tr>`)}</tbody>
</table><//>`;

/** What fell short of a pass and does not close the gate: folded, so that it does not pass for the reason. */
function Weaker() {
  const weaker = allGates().filter(({ gate }) => gate.verdict !== "PASS" && !gate.closes);
  const weak = allGates().filter(({ gate }) => gate.weak && gate.verdict === "PASS" && gate.blocking).length;
  return html`<section class="section" aria-label="What does not close the gate">
    ${weaker.length > 0 && html`<${Folded} className="panel"
      summary="${count(weaker.length, "verdict")} short of a pass that can't close the gate"
      make=${() => html`<${WeakerTable} weaker=${weaker} />`} />`}
    ${weak > 0 && html`<p class="hint weak">${weak === 1 ? "1 pass" : `${weak} passes`} could be a matter of luck:
      a bound of the rule lies inside the interval, so another draw of rows may fall on its other side.</p>`}
  </section>`;
}
