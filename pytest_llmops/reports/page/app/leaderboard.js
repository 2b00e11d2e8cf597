// Variants of each use case, ranked, with their metrics as numbers and as pictures against the thresholds.

const MANY = 12;

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

/** What the rows show of a metric beside the variant that decides: a mark, and in words. */
function Stand({ experiment, cell, metric }) {
  const text = standText(experiment, cell, metric);
  const mark = STANDS[experiment.stands[cell.id]?.metrics[metric]?.word]?.[0];
  return text && html` <span class="stand" title=${text}><span aria-hidden="true">${mark}</span><span class="hidden">${text}</span></span>`;
}

/** A value with its interval and its picture. */
function MetricCell({ experiment, cell, metric, domain }) {
  const gate = gateOf(experiment, cell, metric);
  const value = valueOf(experiment, cell, metric);
  const text = gate ? gate.text || "none" : figure(value);
  return html`<td class="metric"><div class="metric-cell">
    <span class="figures">
      <span class="value-line">${gate
        ? html`<a class="value" href=${rowsLink(experiment, gate)}><${VerdictMark} gate=${gate} /> ${text}</a>`
        : html`<span class="value">${text}</span>`}<${Stand} experiment=${experiment} cell=${cell} metric=${metric} /></span>
      <span class="interval-text">${intervalText(gate?.interval)}</span>
    </span>
    <${Strip} gate=${gate} value=${value} domain=${domain} />
  </div></td>`;
}

const Place = ({ place }) => place ?? html`<span aria-hidden="true">–</span><span class="hidden">no value</span>`;

function VariantRow({ experiment, ranked, metrics, domains }) {
  const { cell } = ranked;
  const run = gateOf(experiment, cell, "run");
  const broke = run && run.verdict !== "PASS";
  return html`<tr>
    <td class="number place"><${Place} place=${ranked.place} /></td>
    <th scope="row" class="variant"><a href=${cellLink(experiment, cell)}><${Name} text=${cell.variant} /></a>
      ${cell.isDefault && html` <span class="chip">default</span>`}
      ${cell.isCandidate && html` <span class="chip">candidate${cell.implementation && `: ${cell.implementation}`}</span>`}
      ${isRequired(experiment, cell) && html` <span class="chip strong">decides</span>`}
      ${broke && html` <${Verdict} gate=${run} />`}
      ${cell.partial && html` <span class="chip">first ${cell.rows} rows</span>`}
    </th>
    ${metrics.map((metric) => html`
      <${MetricCell} experiment=${experiment} cell=${cell} metric=${metric} domain=${domains.get(metric)} />`)}
  </tr>
  ${broke && run.reason && html`<tr class="reason"><td></td><td class="hint" colspan=${metrics.length + 1}>
    <span class="hidden">${cell.variant}: </span>${run.reason}</td></tr>`}`;
}

/** Of many variants, the best ones and the first ones of those that decide. */
function shortened(experiment, ranked) {
  const deciding = ranked.slice(MANY).filter(({ cell }) => isRequired(experiment, cell));
  return [...ranked.slice(0, MANY), ...deciding.slice(0, MANY)];
}

/** What a dataset asks of a metric, and what of candidates, where that is more. */
function rulesOf(experiment, cells, metric) {
  const ruleOf = (among) => among.map((cell) => gateOf(experiment, cell, metric)?.rule).find(Boolean);
  const [own, ofCandidates] = [false, true].map((is) => ruleOf(cells.filter(({ isCandidate }) => isCandidate === is)));
  return { rule: own ?? ofCandidates, ofCandidates: own && ofCandidates !== own ? ofCandidates : null };
}

/** A dataset: what it asks of each metric, and the variants on it. */
function Group({ experiment, group, metrics, domains, by, all }) {
  const ranked = rank(experiment, group.cells, by);
  const shown = all ? ranked : shortened(experiment, ranked);
  const rules = metrics.map((metric) => rulesOf(experiment, group.cells, metric));
  return html`<tbody>
    <tr class="group"><th scope="rowgroup" colspan="2">
        <bdi>${group.title}</bdi> <span class="hint">${count(group.cells[0].rows, "row")}</span></th>
      ${rules.map(({ rule, ofCandidates }) => html`<td>${rule
        ? html`<span class="hidden">required</span> ${rule}`
        : html`<span class="hint">only reported</span>`}
        ${ofCandidates && html` <span class="hint">candidates: ${ofCandidates}</span>`}</td>`)}
    </tr>
    ${shown.map((found) => html`
      <${VariantRow} key=${found.cell.id} experiment=${experiment} ranked=${found} metrics=${metrics} domains=${domains} />`)}
  </tbody>`;
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
    <div class="head"><h3 id="use-${number}" tabindex="-1">${experiment.name}</h3><p>${othersText(experiment)}</p>
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

/** What the values of the session are compared with. */
function comparedWithText() {
  const ofFlow = new Set(allGates().filter(({ gate }) => gate.comparison).map(({ gate }) => gate.comparison.with_flow));
  return ofFlow.size > 1 ? "flow or baseline" : ofFlow.has(true) ? "flow" : "baseline";
}

const Legend = () => html`<p class="legend hint" aria-hidden="true">
  ${Object.keys(MARKS).map((verdict) => html`<span><${Sample}><${Mark} x="50%" gate=${{ verdict }} /><//>${verdict}</span>`)}
  <span><${Sample} wide><line class="interval" x1="5%" x2="95%" y1="50%" y2="50%" /><//>95 % interval</span>
  <span><${Sample} wide><rect class="allowed" x="40%" width="60%" height="100%" />
    <line class="threshold" x1="40%" x2="40%" y1="0" y2="100%" /><//>required</span>
  <span><${Sample}><${BaselineMark} x="50%" /><//>${comparedWithText()}</span>
  ${Object.values(STANDS).map(([mark, words]) => html`<span><span class="stand">${mark}</span> ${words} the variant that decides</span>`)}
</p>`;

const Leaderboard = () => html`<section class="section" aria-labelledby="leaderboard"><h2 id="leaderboard">Leaderboard</h2>
  <p class="hint">On each dataset by gates kept, then by value. A variant that <strong>decides</strong> can close the gate.
    The others are compared with the first of these on the same rows: two-sided at 5 %, corrected for all comparisons of
    the use case. Where a mark is missing, it was not compared.</p>
  <${Legend} />
  ${report.experiments.map((experiment, number) => html`
    <${UseCase} key=${experiment.path} experiment=${experiment} number=${number} />`)}
</section>`;
