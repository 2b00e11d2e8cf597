// One metric over all flows, datasets and variants, as colours and numbers.

const KEPT = "kept";

/** Numbers that every cell has, whatever its use case measures; `lower` is better in some. */
const COMMON = {
  [KEPT]: { title: "Share of gates kept", of: (experiment, cell) => shareKept(gatesOf(experiment, cell)), text: percent },
  failed: { title: "Share of rows that failed", of: (_, cell) => (cell.rows ? cell.failed / cell.rows : null), lower: true, text: percent },
  latency: { title: "Latency of a row, median", of: (_, cell) => cell.latency?.median ?? null, lower: true, text: duration },
  tokens: { title: "Tokens of a row, median", of: (_, cell) => cell.tokens?.median ?? null, lower: true, text: short },
  cost: { title: "Cost of a row, mean", of: (_, cell) => cell.cost?.mean ?? null, lower: true, text: short },
};

const shareKept = (gates) => (gates.length ? gates.filter((gate) => gate.verdict === "PASS").length / gates.length : null);

const worstOf = (gates) => ["ERROR", "FAIL", "INCONCLUSIVE", "PASS"].flatMap((verdict) =>
  gates.filter((gate) => gate.verdict === verdict).sort((one, other) => other.closes - one.closes))[0];

/** How a cell is shown under a choice: its number, its text, and the verdict that stands for it. */
function shownIn(choice, experiment, cell) {
  const common = COMMON[choice];
  if (!common) {
    const value = valueOf(experiment, cell, choice.slice(1));
    const gate = gateOf(experiment, cell, choice.slice(1));
    return { value, text: gate?.text || figure(value), gate };
  }
  const value = common.of(experiment, cell);
  if (choice !== KEPT) return { value, text: value === null ? "" : common.text(value) };
  const gates = gatesOf(experiment, cell);
  return { value, text: `${gates.filter((gate) => gate.verdict === "PASS").length} of ${gates.length}`, gate: worstOf(gates) };
}

/** A colour of a scale that people see alike whatever their colour vision, and black or white to write on it. */
function paint(value, [worst, best]) {
  if (!Number.isFinite(value)) return {};
  const background = d3.interpolateCividis(best === worst ? 1 : (value - worst) / (best - worst));
  const { r, g, b } = d3.rgb(background);
  const [red, green, blue] = [r, g, b].map((part) => (part <= 10 ? part / 3294.6 : ((part / 255 + 0.055) / 1.055) ** 2.4));
  return { background, color: 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000" : "#fff" };
}

const STEPS = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };

/** Arrow keys move within a heat map, so that it is one stop for the tab key, however large it is. */
function moveInMap(event) {
  const step = STEPS[event.key];
  if (!step) return;
  const [row, column] = ["row", "column"].map((name) => Number(event.target.dataset[name]));
  const ahead = (link) => (link.dataset.row - row) * step[0] + (link.dataset.column - column) * step[1];
  const inLine = (link) => (step[0] ? Number(link.dataset.column) === column : Number(link.dataset.row) === row);
  const next = d3.least([...event.currentTarget.querySelectorAll("a")].filter((link) => inLine(link) && ahead(link) > 0), ahead);
  if (!next) return;
  event.preventDefault();
  event.target.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

function HeatCell({ choice, experiment, cell, domain, row, column, isFirst }) {
  if (!cell) return html`<td class="heat empty"><span class="hidden">not run</span></td>`;
  const { value, text, gate } = shownIn(choice, experiment, cell);
  const link = linkTo({ cell: `${experiment.path}::${cell.id}`, gate: choice in COMMON ? "" : choice.slice(1) });
  return html`<td class="heat"><a href=${link} style=${paint(value, domain)} data-row=${row} data-column=${column}
    tabindex=${isFirst ? 0 : -1} title="${cell.id}${gate ? `: ${verdictText(gate)}` : ""}">
    ${gate && html`<span aria-hidden="true">${MARKS[gate.verdict]} </span>`}${text || "none"}
    ${gate && html`<span class="hidden"> (${verdictText(gate)})</span>`}
  </a></td>`;
}

/** Cells of one flow: its variants down, its datasets across. */
function HeatTable({ choice, experiment, flow, domain }) {
  const cells = experiment.cells.filter((cell) => cell.flow === flow);
  const [variants, datasets] = ["variant", "dataset"].map((key) => [...new Set(cells.map((cell) => cell[key]))]);
  const cellAt = (variant, dataset) => cells.find((cell) => cell.variant === variant && cell.dataset === dataset);
  const title = experiment.name === flow ? flow : `${experiment.name} · ${flow}`;
  return html`<figure class="panel heat-panel"><h3>${title}</h3>
    <${Scroller} label="Heat map of ${title}"><table class="heat-table" onKeyDown=${moveInMap}>
      <caption class="hidden">${title}: variants by datasets. Arrow keys move, Enter shows the rows.</caption>
      <${Head} columns=${["Variant", ...datasets]} />
      <tbody>${variants.map((variant, row) => html`<tr><th scope="row"><${Name} text=${variant} /></th>
        ${datasets.map((dataset, column) => html`<${HeatCell} choice=${choice} experiment=${experiment} domain=${domain}
          row=${row} column=${column} cell=${cellAt(variant, dataset)} 
          isFirst=${row === 0 && dataset === datasets.find((name) => cellAt(variant, name))} />`)}
      </tr>`)}</tbody>
    </table><//></figure>`;
}

/** What can be chosen: metrics of the use cases by name, and what all of them have. */
function choices() {
  const common = Object.entries(COMMON).filter(([, { of }]) =>
    report.experiments.some((experiment) => experiment.cells.some((cell) => of(experiment, cell) !== null)));
  const metrics = [...new Set(report.experiments.flatMap((experiment) => Object.values(metricColumns(experiment)).flat()))];
  return { common, metrics };
}

/** Whether less of what is shown is better, as far as that is known: of metrics, their gates tell. */
const isLowerBetter = (choice) =>
  COMMON[choice]?.lower ?? report.experiments.some((experiment) => directionOf(experiment, choice.slice(1)) < 0);

/** Whether the direction in which it gets better is known. */
const hasDirection = (choice) =>
  choice in COMMON || report.experiments.some(({ gates }) => gates.some((gate) => gate.name === choice.slice(1)));

/** The colours and what they stand for. */
const Ramp = ({ domain, text, words: [worse, better] }) => html`<span class="ramp hint"><span>${worse} ${text(domain[0])}</span>
  <span class="ramp-bar" aria-hidden="true" style=${{ background: `linear-gradient(to right, ${RAMP.join(", ")})` }}></span>
  <span>${text(domain[1])} ${better}</span></span>`;

const RAMP = d3.range(0, 1.01, 0.1).map(d3.interpolateCividis);

function Choice({ choice, choose }) {
  const { common, metrics } = choices();
  const option = (key, title) => html`<option value=${key} selected=${key === choice}>${title}</option>`;
  return html`<label>Shows <select onChange=${(event) => choose(event.target.value)}>
    <optgroup label="All use cases">${common.map(([key, { title }]) => option(key, title))}</optgroup>
    <optgroup label="Metrics">${metrics.map((metric) => option(`:${metric}`, metric))}</optgroup>
  </select></label>`;
}

function HeatMap() {
  const [choice, choose] = useState(KEPT);
  const valuesOf = (experiment) =>
    experiment.cells.map((cell) => shownIn(choice, experiment, cell).value).filter(Number.isFinite);
  const shown = report.experiments.filter((experiment) => valuesOf(experiment).length);
  const values = shown.flatMap(valuesOf);
  const extent = choice === KEPT ? [0, 1] : d3.extent(values);
  const domain = isLowerBetter(choice) ? extent.toReversed() : extent;
  const words = hasDirection(choice) ? ["worse", "better"] : ["", ""];
  return html`<section class="section" aria-labelledby="heatmap">
    <div class="head"><h2 id="heatmap">Heat map</h2>
      <${Choice} choice=${choice} choose=${choose} />
      ${values.length > 0 && html`<${Ramp} domain=${domain} text=${COMMON[choice]?.text ?? short} words=${words} />`}
    </div>
    <div class="heat-maps">${shown.flatMap((experiment) => [...new Set(experiment.cells.map((cell) => cell.flow))].map((flow) => html`
      <${HeatTable} key=${`${experiment.path} ${flow}`} choice=${choice} experiment=${experiment} flow=${flow} domain=${domain} />`))}</div>
  </section>`;
}
