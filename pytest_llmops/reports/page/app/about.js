// What the session was: where it ran, with which settings and versions, and which of its results are older than itself.

const Facts = ({ title, facts }) => html`<section class="panel"><h2>${title}</h2>
  ${facts.length === 0 && html`<p class="hint">none</p>`}
  <dl class="pairs">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
</section>`;

/** What was compared with what. */
function Baselines() {
  const compared = report.experiments.filter((experiment) => experiment.baseline);
  return html`<section class="panel"><h2>Baselines</h2>
    ${compared.length ? html`<${Scroller} label="Baselines" stop><table class="wide">
      <${Head} columns=${["Use case", "Baseline", "Created", "Commit", "Remarks"]} />
      <tbody>${compared.map(({ name, baseline }) => html`<tr><th scope="row">${name}</th><td class="code">${baseline.path}</td>
        <td>${baseline.created ? `${moment(baseline.created)} (${ageOf(baseline.created)})` : "not known"}</td>
        <td class="code">${baseline.commit ?? "not known"}</td>
          <td>${baseline.problem}</td></tr>`)}</tbody>
    </table><//>` : html`<p class="hint">No use case was compared with saved results.</p>`}
  </section>`;
}

const rowsText = (cell) => (cell.expected === null || cell.expected === cell.rows ? `${cell.rows}` : `${cell.rows} of ${cell.expected}`);

/** Every cell: how it was run, and how old its results are. */
const Cells = () => html`<section class="panel"><h2>Cells</h2>
  <p class="hint">${report.reuse ? `Reused: ${report.reuse.text}.` : "All rows were run in this session; none is reused."}</p>
  <${Scroller} label="Cells"><table class="wide">
    <${Head} columns=${["Use case", "Cell", ["Rows", "number"], ["Failed", "number"], "LLM", ["Calls", "number"], ["Runs", "number"],
      ["Took", "number"], "Oldest reused row"]} />
    <tbody>${everyCell().map(({ experiment, cell }) => html`<tr>
      <td>${experiment.name}</td>
      <th scope="row"><a href=${cellLink(experiment, cell)}>${cell.dataset} · ${cell.variant}</a>${cell.partial && " (first rows only)"}</th>
      <td class="number">${rowsText(cell)}</td>
      <td class="number">${cell.failed}</td>
      <td>${cell.llm}</td>
      <td class="number">${cell.calls ?? "–"}</td>
      <td class="number">${cell.executions}</td>
      <td class="number">${duration(cell.seconds)}</td>
      <td title=${cell.oldest && moment(cell.oldest)}>${cell.oldest ? ageOf(cell.oldest) || moment(cell.oldest) : "run now"}</td>
    </tr>`)}</tbody>
  </table><//></section>`;

const missText = ({ request, nearest }) => request + (nearest ? `\n\nThe nearest that it holds:\n${nearest}` : "");

/** What broke: runs, evaluators, and LLM calls that no cassette answers. */
function Troubles() {
  const troubles = everyCell().flatMap(({ experiment, cell }) => [
    ...(cell.error ? [{ experiment, cell, what: "run", text: cell.error }] : []),
    ...Object.entries(cell.broken).map(([evaluator, text]) => ({ experiment, cell, what: `evaluator ${evaluator}`, text })),
    ...cell.misses.map((miss) => ({ experiment, cell, what: `not in cassette ${miss.cassette}`, text: missText(miss) })),
  ]);
  const unread = report.troubles.map((text) => html`<li><strong>not read</strong><pre>${text}</pre></li>`);
  const nothing = html`<p class="hint">Nothing: no run or evaluator failed as a whole, and each LLM call was answered.</p>`;
  return html`<section class="panel"><h2>What broke</h2>
    ${troubles.length + unread.length === 0 ? nothing : html`<ul class="troubles">${unread}${troubles.map(({ experiment, cell, what, text }) => html`<li>
      <strong>${what}</strong>, <a href=${cellLink(experiment, cell)}>${experiment.name} · ${cell.id}</a><pre>${text}</pre>
    </li>`)}</ul>`}
  </section>`;
}

const Again = () => html`<section class="panel"><h2>This page, again</h2>
  <p>It holds all it shows and asks no network. It is built from <code>results.json</code>, which lies beside it:</p>
  <p><code>llmops report DIR</code> builds it anew, <code>llmops view DIR</code> serves it on this machine.</p>
</section>`;

function About() {
  const { commit, build, ...packages } = report.versions;
  const session = Object.entries({
    Created: moment(report.created), Commit: commit, Build: build, Part: report.shard, Decision: report.line,
  });
  return html`<div class="about">
    <div class="columns">
      <${Facts} title="Session" facts=${session.filter(([, value]) => value)} />
      <${Facts} title="Settings" facts=${Object.entries(report.settings)} />
      <${Facts} title="Versions" facts=${Object.entries(packages)} />
    </div>
    <${Baselines} /><${Troubles} /><${Cells} /><${Again} />
  </div>`;
}
