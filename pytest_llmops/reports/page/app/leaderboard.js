// Variants of each use case, ranked, with their metrics as numbers and as pictures against the thresholds.

const MANY = 12;
const FEW_LEADERS = 3;

/** Gated metrics of an experiment, and those that are only reported. */
function metricColumns(experiment) {
  const gated = new Set(experiment.gates.filter(isEvaluated).map((gate) => gate.name));
  const hasValue = (metric) => experiment.cells.some((cell) => Number.isFinite(valueOf(experiment, cell, metric)));
  const metrics = metricsOf(experiment);
  return {
    asked: metrics.filter((metric) => gated.has(metric)),
    reported: metrics.filter((metric) => !gated.has(metric) && hasValue(metric)),
  };
}

/** Everything that a picture of a metric has to have room for, over all cells. */
const domainOfMetric = (experiment, metric) => domainOf(experiment.cells.flatMap((cell) => {
  const gate = gateOf(experiment, cell, metric);
  return gate ? marksOf(gate) : [valueOf(experiment, cell, metric)];
}));

/** A value with its interval and its picture. */
function MetricCell({ experiment, cell, metric, domain }) {
  const gate = gateOf(experiment, cell, metric);
  const value = valueOf(experiment, cell, metric);
  const text = gate ? gate.text || "none" : figure(value);
  return html`<td class="metric"><div class="metric-cell">
    <span class="figures">
      ${gate
        ? html`<a class="value" href=${rowsLink(experiment, gate)}><${VerdictMark} gate=${gate} /> ${text}</a>`
        : html`<span class="value">${text}</span>`}
      <span class="interval-text">${intervalText(gate?.interval, "–")}</span>
    </span>
    <${Strip} gate=${gate} value=${value} domain=${domain} />
  </div></td>`;
}

const TIED = "cannot be told apart from the first: the intervals overlap";

const Place = ({ ranked }) => ranked.tied
  ? html`<span title=${TIED}><span aria-hidden="true">≈ 1</span><span class="hidden">${ranked.place}, ${TIED}</span></span>`
  : html`${ranked.place}`;

function VariantRow({ experiment, ranked, metrics, domains }) {
  const { cell } = ranked;
  const run = gateOf(experiment, cell, "run");
  return html`<tr class=${ranked.place === 1 ? "first" : ""}>
    <td class="number place"><${Place} ranked=${ranked} /></td>
    <th scope="row" class="variant"><a href=${cellLink(experiment, cell)}><${Name} text=${cell.variant} /></a>
      ${cell.isDefault && html` <span class="chip">default</span>`}
      ${isRequired(experiment, cell) && html` <span class="chip strong">decides</span>`}
      ${run && run.verdict !== "PASS" && html` <${Verdict} gate=${run} /> <span class="hint">${run.reason}</span>`}
      ${cell.partial && html` <span class="chip">first ${cell.rows} rows</span>`}
    </th>
    ${metrics.map((metric) => html`
      <${MetricCell} experiment=${experiment} cell=${cell} metric=${metric} domain=${domains.get(metric)} />`)}
  </tr>`;
}

/** A dataset: what it asks of each metric, and the variants on it. */
function Group({ experiment, group, metrics, domains, by, all }) {
  const ranked = rank(experiment, group.cells, by);
  const shown = all ? ranked : ranked.filter(({ cell, place }) => place <= MANY || isRequired(experiment, cell));
  const rules = metrics.map((metric) => group.cells.map((cell) => gateOf(experiment, cell, metric)?.rule).find(Boolean));
  return html`<tbody>
    <tr class="group"><th scope="rowgroup" colspan="2">
        <bdi>${group.title}</bdi> <span class="hint">${count(group.cells[0].rows, "row")}</span></th>
      ${rules.map((rule) => html`<td>${rule
        ? html`<span class="hidden">required</span> ${rule}`
        : html`<span class="hint">only reported</span>`}</td>`)}
    </tr>
    ${shown.map((found) => html`
      <${VariantRow} key=${found.cell.id} experiment=${experiment} ranked=${found} metrics=${metrics} domains=${domains} />`)}
  </tbody>`;
}

/** Say which variant leads, and no more than the intervals allow. */
function leadText(experiment) {
  const leaders = leadersOf(experiment);
  if (!leaders.length) return "No variant was run.";
  const [{ variant, all, ties, alone }] = leaders;
  if (all && alone) return `${variant} is the only variant.`;
  if (all && ties) return `${variant} leads, but ${count(ties, "other")} can't be told apart from it by their intervals.`;
  if (all) return `${variant} leads.`;
  const [shown, rest] = [leaders.slice(0, FEW_LEADERS), leaders.length - FEW_LEADERS];
  const places = shown.map((leader) => `${leader.variant} on ${leader.led.map((group) => group.title).join(", ")}`);
  return `Which leads depends on the dataset: ${places.join("; ")}${rest > 0 ? `; and ${count(rest, "other")}` : ""}.`;
}

/** What a leaderboard is ranked by. */
const RankedBy = ({ experiment, metrics, by, rankBy }) => html`<label>Ranked by${" "}
  <select onChange=${(event) => rankBy(event.target.value)}>
    <option value="">gates kept, then ${leadingMetric(experiment)}</option>
    ${metrics.map((metric) => html`<option value=${metric} selected=${metric === by}>${metric}</option>`)}
  </select></label>`;

/** A button that shows more, and less again. */
const More = ({ on, turn, more, less }) => html`
  <button class="button quiet" aria-pressed=${on} onClick=${() => turn(!on)}>${on ? less : more}</button>`;

function UseCase({ experiment, number }) {
  const [by, rankBy] = useState("");
  const [all, showAll] = useState(false);
  const [logged, showLogged] = useState(false);
  const { asked, reported } = metricColumns(experiment);
  const metrics = logged || !asked.length ? [...asked, ...reported] : asked;
  const domains = new Map(metrics.map((metric) => [metric, domainOfMetric(experiment, metric)]));
  const groups = groupsOf(experiment);
  const unasked = count(reported.length, "metric");
  return html`<section class="panel" aria-labelledby="use-${number}">
    <div class="head"><h3 id="use-${number}" tabindex="-1">${experiment.name}</h3><p>${leadText(experiment)}</p>
      ${metrics.length > 0 && html`<${RankedBy} experiment=${experiment} metrics=${metrics} by=${by} rankBy=${rankBy} />`}</div>
    <${Scroller} label="Leaderboard of ${experiment.name}"><table class="board">
      <caption class="hidden">Variants of ${experiment.name}, best first, with their metrics</caption>
      <thead><tr>
        <th scope="col" class="number"><span aria-hidden="true">#</span><span class="hidden">Place</span></th>
        <th scope="col">Variant</th>
        ${metrics.map((metric) => html`
          <th scope="col" class="metric"><${Name} text=${metric} /><${Axis} domain=${domains.get(metric)} /></th>`)}
      </tr></thead>
      ${groups.map((group) => html`
        <${Group} experiment=${experiment} group=${group} metrics=${metrics} domains=${domains} by=${by} all=${all} />`)}
    </table><//>
    <p class="tools">
      ${asked.length > 0 && reported.length > 0 && html`
        <${More} on=${logged} turn=${showLogged} more="Show ${unasked} without a threshold" less="Hide ${unasked} without a threshold" />`}
      ${groups.some((group) => group.cells.length > MANY) && html`
        <${More} on=${all} turn=${showAll} more="Show all variants" less="Show the best ones" />`}
    </p>
  </section>`;
}

const Sample = ({ wide = false, children }) => html`<svg class="sample ${wide ? "wide" : ""}">${children}</svg>`;

const Legend = () => html`<p class="legend hint" aria-hidden="true">
  ${Object.keys(MARKS).map((verdict) => html`<span><${Sample}><${Mark} x="50%" gate=${{ verdict }} /><//>${verdict}</span>`)}
  <span><${Sample} wide><line class="interval" x1="5%" x2="95%" y1="50%" y2="50%" /><//>95 % interval</span>
  <span><${Sample} wide><rect class="allowed" x="40%" width="60%" height="100%" />
    <line class="threshold" x1="40%" x2="40%" y1="0" y2="100%" /><//>required</span>
  <span><${Sample}><${BaselineMark} x="50%" /><//>baseline</span>
</p>`;

const Leaderboard = () => html`<section class="section" aria-labelledby="leaderboard"><h2 id="leaderboard">Leaderboard</h2>
  <p class="hint">Best first on each dataset. A variant that <strong>decides</strong> can close the gate.${" "}
    <strong>≈ 1</strong>: its intervals overlap those of the first, so the rows do not tell them apart.</p>
  <${Legend} />
  ${report.experiments.map((experiment, number) => html`
    <${UseCase} key=${experiment.path} experiment=${experiment} number=${number} />`)}
</section>`;
