// How long rows took, and what they used: distributions over the rows of each cell.

const SPREADS = {
  latency: { title: "Latency of a row", text: duration, range: durations },
  tokens: { title: "Tokens of a row", text: short, range: (low, high) => `${short(low)}–${short(high)}` },
  cost: { title: "Cost of a row", text: short, range: (low, high) => `${short(low)}–${short(high)}` },
};

/** Why the times of cells may not be those of the service. */
function caveats(cells) {
  const where = (found, of) => (found.length < of.length ? ` in ${found.length} of ${of.length} cells` : "");
  const said = (found, of, start, end) => found.length > 0 && `${start}${where(found, of)}: ${end}`;
  const calling = cells.filter((cell) => cell.calls !== 0);
  return [
    said(calling.filter((cell) => cell.llm === "replay"), calling, "LLM answers are replayed", "latency is not that of the service."),
    said(cells.filter((cell) => cell.oldest), cells, "Rows are reused", "their latency is that of the session that ran them."),
  ].filter(Boolean);
}

const Caveats = ({ texts }) => texts.map((text) => html`<p class="hint warn">${text}</p>`);

function SpreadCell({ spread, kind, domain }) {
  if (!spread) return html`<td class="metric"><span class="hint">not known</span></td>`;
  const { text, range } = SPREADS[kind];
  return html`<td class="metric"><div class="metric-cell">
    <span class="figures"><span class="value">${text(spread.median)}</span>
      <span class="interval-text">${range(spread.p5, spread.p95)}</span></span>
    <${Box} spread=${spread} domain=${domain} />
  </div></td>`;
}

function Spreads({ experiment, known }) {
  const [all, showAll] = useState(false);
  const kinds = Object.keys(SPREADS).filter((kind) => experiment.cells.some((cell) => cell[kind]));
  const highest = (kind) => d3.max(experiment.cells, (cell) => cell[kind]?.p95);
  const domains = new Map(kinds.map((kind) => [kind, domainOf([0, highest(kind)])]));
  if (!kinds.length) return null;
  return html`<section class="panel"><div class="head"><h3>${experiment.name}</h3></div>
    <${Caveats} texts=${caveats(experiment.cells).filter((text) => !known.includes(text))} />
    <${Scroller} label="Latency, tokens and cost of ${experiment.name}"><table class="board spreads">
      <caption class="hidden">Median, and 5th to 95th percentile, of the rows of each cell of ${experiment.name}</caption>
      <thead><tr><th scope="col">Variant</th>
        ${kinds.map((kind) => html`<th scope="col" class="metric">${SPREADS[kind].title}
          <${Axis} domain=${domains.get(kind)} unit=${SPREADS[kind].text} /></th>`)}
        <th scope="col" class="number">Tokens in all</th><th scope="col" class="number">LLM calls</th></tr></thead>
      ${groupsOf(experiment).map(({ cells, title }) => html`<tbody>
        <tr class="group"><th scope="rowgroup" colspan=${kinds.length + 3}><bdi>${title}</bdi></th></tr>
        ${(all ? cells : cells.slice(0, MANY)).map((cell) => html`<tr>
          <th scope="row" class="variant"><a href=${cellLink(experiment, cell)}><${Name} text=${cell.variant} /></a></th>
          ${kinds.map((kind) => html`<${SpreadCell} spread=${cell[kind]} kind=${kind} domain=${domains.get(kind)} />`)}
          <td class="number">${cell.tokens ? short(cell.tokens.sum) : "–"}</td><td class="number">${cell.calls === null ? "–" : short(cell.calls)}</td></tr>`)}
      </tbody>`)}
    </table><//>
    ${groupsOf(experiment).some(({ cells }) => cells.length > MANY) && html`<p class="tools">
      <${More} on=${all} turn=${showAll} more="Show all variants" less="Show the first ones" /></p>`}
  </section>`;
}

function Distributions() {
  const known = caveats(everyCell().map(({ cell }) => cell));
  return html`<section class="section" aria-labelledby="distributions"><h2 id="distributions">Latency, tokens and cost</h2>
  <p class="hint">The line is the median, the box holds the middle half of the rows,
    the whiskers reach from the 5th to the 95th percentile.</p>
  <${Caveats} texts=${known} />
  ${report.experiments.map((experiment) => html`<${Spreads} key=${experiment.path} experiment=${experiment} known=${known} />`)}
</section>`;
}
