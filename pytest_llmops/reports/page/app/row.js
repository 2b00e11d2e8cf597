// One row in full: what was asked, what is right, what came out here and there, and what evaluators made of it.

/** What evaluators held a row against, without its inputs: {name, value, evaluators}, each value once. */
function goldsOf({ row, here }) {
  const found = new Map();
  for (const evaluator of here.run.evaluators) {
    for (const [name, value] of Object.entries(withoutInputs(goldOf(here, evaluator), row.inputs))) {
      const key = canonical([name, value]);
      found.set(key, { name, value, evaluators: [...(found.get(key)?.evaluators ?? []), evaluator] });
    }
  }
  return [...found.values()];
}

function Golds({ entry }) {
  const golds = goldsOf(entry);
  const several = entry.here.run.evaluators.length > 1;
  if (!golds.length) return html`<p class="quiet">none</p>`;
  return html`<dl class="fields">${golds.map(({ name, value, evaluators }) => html`
    <${Field} name=${name} value=${value} label="Gold" note=${several ? evaluators.join(", ") : ""} />`)}</dl>`;
}

/** What an answer is if not compared: its output, or its error in full. */
function Answer({ answer, title, missing }) {
  if (!answer) return html`<p class="quiet">${missing}</p>`;
  if (isFailed(answer)) return html`<${Text} kind="error" text=${errorOf(answer)} label="Error: ${title}" />`;
  return html`<${Fields} values=${answer[OUTPUT]} label=${title} />`;
}

function Answers({ here, there, titles, comparing, missing }) {
  if (!comparing) return html`<${Answer} answer=${here} title="Output" missing="did not run" />`;
  if (here && there && !isFailed(here) && !isFailed(there)) {
    return html`<${ComparedOutputs} before=${there[OUTPUT]} after=${here[OUTPUT]} titles=${titles} />`;
  }
  return html`<div class="sides">
    <div><h5>${titles[0]}</h5><${Answer} answer=${there} title=${titles[0]} missing=${missing} /></div>
    <div><h5>${titles[1]}</h5><${Answer} answer=${here} title=${titles[1]} missing="did not run" /></div></div>`;
}

/** Everything evaluators gave an answer: [evaluator, output, value here, value there], errors included. */
function evaluationsOf(entry, place) {
  const { here, there } = entry;
  const names = [...new Set([here, there].flatMap((side) => side?.run.evaluators ?? []))];
  const of = (side, name) => (side?.answers[place] ? evaluated(side, side.answers[place], name) : null);
  return names.flatMap((name) => {
    const [mine, theirs] = [of(here, name), of(there, name)];
    const outputs = new Set([...Object.keys(mine?.[1] ?? {}), ...Object.keys(theirs?.[1] ?? {})]);
    const lines = [...outputs].map((output) => ({ name, output, mine: mine?.[1]?.[output], theirs: theirs?.[1]?.[output] }));
    const failed = mine?.[2] || theirs?.[2] ? [{ name, output: "error", mine: mine?.[2], theirs: theirs?.[2] }] : [];
    return [...lines, ...failed];
  });
}

function Given({ value }) {
  if (value === undefined || value === null) return html`<span class="quiet">–</span>`;
  return html`<span class="given" dir="auto">${figure(value)}</span>`;
}

function Evaluations({ entry, place, titles, comparing, scoring }) {
  const lines = evaluationsOf(entry, place);
  if (!lines.length) return html`<p class="quiet">No evaluator has anything on this row.</p>`;
  const isScore = ({ name, output }) => name === scoring?.evaluator && output === scoring?.output;
  return html`<table class="evaluations">
    <thead><tr><th scope="col">Evaluator</th><th scope="col">Output</th>
      ${comparing && html`<th scope="col">${titles[0]}</th>`}<th scope="col">${titles[1]}</th></tr></thead>
    <tbody>${lines.map((line) => html`<tr class=${isScore(line) ? "strong" : ""}>
      <td>${line.name}</td><th scope="row">${line.output}</th>
      ${comparing && html`<td><${Given} value=${line.theirs} /></td>`}<td><${Given} value=${line.mine} /></td></tr>`)}</tbody>
  </table>`;
}

/** Times and tokens of an answer, on one line. */
const spent = (answer) => {
  if (!answer) return "";
  const reused = answer[REUSED] ? `, reused from ${moment(answer[REUSED])}` : "";
  return `${duration(answer[SECONDS])}, ${count(answer[TOKENS], "token")}${reused}`;
};

function Execution({ entry, place, times, titles, comparing, scoring, missing }) {
  const [here, there] = [entry.here.answers[place], entry.there?.answers[place]];
  return html`<section class="execution">
    ${times > 1 && html`<h4 class="which">Execution ${place + 1} of ${times}</h4>`}
    <${Answers} here=${here} there=${there} titles=${titles} comparing=${comparing} missing=${missing} />
    <p class="quiet">${comparing && there ? `${titles[0]}: ${spent(there)}. ${titles[1]}: ` : ""}${spent(here)}</p>
    <${Evaluations} entry=${entry} place=${place} titles=${titles} comparing=${comparing} scoring=${scoring} />
  </section>`;
}

/** `other` is what the cell is compared with, or null; `link` the address of this row. */
function Detail({ entry, title, other, scoring, link, onStep, onClose }) {
  const { row, here, there, change } = entry;
  const titles = [other?.name ?? "", title];
  const times = Math.max(here.answers.length, there?.answers.length ?? 0);
  const absent = other?.key === WITH_BASELINE ? "Not in the baseline, or changed since." : "This row did not run there.";
  const missing = there ? "There was no such execution." : absent;
  const scoreText = (side) => measuredText(side, scoring.evaluator, scoring.output);
  const parts = { entry, times, titles, comparing: Boolean(other), scoring, missing };
  return html`<section class="row-detail" id="detail-${row.line}" aria-label="Row ${rowName(row)}">
    <header>
      <h3>${rowName(row)}${row.name && html` <span class="quiet">line ${row.line}</span>`}</h3>
      ${change && html`<${Change} change=${change} />`}
      ${scoring && html`<span>${scoring.output} ${there && !isAgreement(scoring) ? `${scoreText(there)} → ` : ""}
        <strong>${scoreText(here)}</strong></span>`}
      <span class="actions">
        <a href=${link}>Link to this row</a>
        <button type="button" onClick=${() => onStep(-1)}>Previous <kbd>k</kbd></button>
        <button type="button" onClick=${() => onStep(1)}>Next <kbd>j</kbd></button>
        <button type="button" onClick=${onClose}>Close <kbd>Esc</kbd></button>
      </span>
    </header>
    ${change === "regolded" && html`<p class="note">The gold was another one then: the two scores can't be compared.</p>`}
    <div class="sides">
      <section><h4 class="which">Inputs</h4><${Fields} values=${row.inputs} label="Input" /></section>
      <section><h4 class="which">Gold</h4><${Golds} entry=${entry} /></section>
    </div>
    <h4 class="which">${other ? "Outputs" : "Output"}</h4>
    ${Array.from({ length: times }, (_, place) => html`<${Execution} ...${parts} place=${place} />`)}
  </section>`;
}
