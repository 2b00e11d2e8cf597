// The view of rows: the rows of one cell, compared with those of the baseline or of another variant.

/** What the address asks for that is not there, in words. */
const unknownText = (what, name) => html`<p class="note" role="alert">
  This page has no ${what} <q>${name}</q>. The link may be of another session.</p>`;

/** What another cell starts with: nothing of what was asked of the one before. */
const AFRESH = Object.fromEntries(["gate", "row", "with", "show", "slice", "page", "sort"].map((key) => [key, undefined]));

/** The view. An address without a cell shows the one that most needs a look. */
function RowsView({ state, change }) {
  const place = state.cell ? places.find(({ key }) => key === state.cell) : firstPlace();
  const onPlace = (cell) => change({ ...AFRESH, cell });
  if (!places.length) return html`<p class="note">No cell was run in this session, so there are no rows.</p>`;
  if (!place) {
    return html`<${NoCell} name=${state.cell} />
      <div class="choices"><${CellChooser} place=${firstPlace()} onPlace=${onPlace} /></div>`;
  }
  return html`<${CellView} key=${place.key} place=${place} state=${state} change=${change} onPlace=${onPlace} />`;
}

/** What is known of a cell that has no results: what its gates say, if it was to be run. */
function NoCell({ name }) {
  const gates = report.experiments.flatMap((experiment) =>
    experiment.gates.filter(({ cell }) => cellKey(experiment, { id: cell }) === name));
  if (!gates.length) return unknownText("cell", name);
  return html`<p class="note" role="alert">The cell <q>${name}</q> has no results.</p>
    ${gates.map((gate) => html`<${Finding} gate=${gate} />`)}`;
}

/** What the cell's rows are scored by and compared with: what the address asks for, else the best there is. */
function choicesOf({ experiment, number, cell }, state) {
  const data = rowsOf(number);
  const gates = scoredGates(experiment, cell);
  const others = othersOf(data, experiment.cells, cell);
  return {
    data, gates, others,
    run: runsOf(data, cell)[0],
    dataset: data.datasets[cell.dataset] ?? { rows: [], columns: {} },
    gate: gates.find(({ name }) => name === state.gate) ?? gates[0] ?? null,
    other: others.find(({ key }) => key === (state.with ?? cell.besideFlow ?? WITH_BASELINE)) ?? null,
  };
}

function CellView({ place, state, change, onPlace }) {
  const { experiment, cell } = place;
  const choices = choicesOf(place, state);
  const { gates, gate, others, other } = choices;
  const asked = gateOf(experiment, cell, state.gate);
  const onOther = (key) => change({ ...AFRESH, gate: state.gate, slice: state.slice, with: key });
  const isUnknown = state.with && state.with !== WITH_NOTHING && !other;
  const instead = gate ? `; they are scored by ${gate.name} here` : "";
  return html`
    <h2 class="rows-title">${experiment.name} <span class="quiet">${cell.dataset}</span> ${cell.variant}</h2>
    <div class="choices">
      <${CellChooser} place=${place} onPlace=${onPlace} />
      <${ComparisonChooser} others=${others} other=${other} onOther=${onOther} />
      <${GateChooser} gates=${gates} gate=${gate} onGate=${(name) => change({ gate: name, page: undefined })} />
    </div>
    ${state.gate && !asked && unknownText("gate of this cell named", state.gate)}
    ${isUnknown && unknownText("run to compare with, named", state.with)}
    ${asked && asked !== gate && html`<p class="note">${asked.name} has no scores of single rows${instead}.</p>`}
    ${experiment.baseline?.problem && html`<p class="note lines">The baseline: ${experiment.baseline.problem}</p>`}
    <${Findings} cell=${cell} gate=${asked ?? gate} />
    ${cell.rows > 0 && html`<${Rows} choices=${choices} place=${place} state=${state} change=${change} />`}`;
}

const joined = (texts, between) => texts.filter(Boolean).join(between);

/** What a gate found: its value, what it required, and why it came out as it did. */
function Finding({ gate }) {
  const numbers = joined([gate.text, gate.rule && `required ${gate.rule}`], ", ");
  return html`<p class="finding"><${Verdict} gate=${gate} /> <strong>${gate.name}</strong> ${joined([numbers, gate.reason], ": ")}</p>`;
}

const Failure = ({ title, error }) => html`<div class="whole">
  <p><strong class="bad">${title}</strong></p><${Text} kind="error" text=${error} label=${title} /></div>`;

/** The verdict of the gate, and what broke in the cell as a whole. */
function Findings({ cell, gate }) {
  const missing = cell.expected === null || cell.error ? 0 : cell.expected - cell.rows;
  return html`
    ${gate && html`<${Finding} gate=${gate} />`}
    ${cell.error && html`<${Failure} title="The whole cell failed." error=${cell.error} />`}
    ${Object.entries(cell.broken).map(([name, error]) => html`<${Failure} title="Evaluator ${name} failed." error=${error} />`)}
    ${missing > 0 && html`<p class="note">${count(missing, "row")} of ${cell.expected} did not run.</p>`}
    ${cell.partial && html`<p class="note">Only the first rows of the dataset were run.</p>`}`;
}

/** All that is derived of a cell's rows; each step is done anew only where what it rests on has changed. */
function useRows({ dataset, run, gate, other }, state) {
  const scoring = scoringOf(gate);
  const slice = readSlice(dataset, state.slice);
  const sort = readSort(state.sort);
  const entries = useMemo(() => entriesOf(dataset, run, other?.run, scoring), [run, other?.key, gate]);
  const columns = useMemo(() => columnsOf(entries, run, scoring, other), [entries]);
  const sorted = useMemo(() => inOrder(entries, columns, sort, scoring), [entries, state.sort]);
  const found = useMemo(() => search(inSlice(sorted, dataset, slice), state.q ?? ""), [sorted, state.slice, state.q]);
  const full = useMemo(() => fullScore(entries, scoring), [entries]);
  const shows = Object.entries(SHOWS).filter(([, show]) => (!show.compares || other) && (!show.scores || gate));
  const show = shows.some(([key]) => key === state.show) ? state.show : "all";
  const countOf = ({ test }) => found.filter((entry) => test(entry, full)).length;
  const counts = useMemo(() => shows.map(([key, known]) => [key, known.title, countOf(known)]), [found]);
  const shown = useMemo(() => found.filter((entry) => SHOWS[show].test(entry, full)), [found, show]);
  return { scoring, slice, sort, entries, columns, found, shows, show, counts, shown };
}

function Rows({ choices, place, state, change }) {
  const { dataset, gate, other } = choices;
  const rows = useRows(choices, state);
  const { entries, shown, columns, sort, scoring } = rows;
  const section = useRef(null);
  const open = state.row === undefined ? null : Number(state.row);
  const isShown = shown.some(({ row }) => row.line === open);
  const page = pageOf(shown, open, state.page);
  const close = () => change({ row: undefined, page: page + 1 });
  const toggle = (line) => (line === open ? close() : change({ row: line, page: undefined }));
  const turn = (to) => change({ page: to + 1, row: undefined });
  const order = (key) => change({ sort: key, row: undefined, page: undefined });
  const step = (by) => {
    const next = stepFrom(shown, open, by);
    if (next !== null) change({ row: next, page: undefined }, { replace: true });
  };
  useFocusOnRow(section, open, isShown);
  const link = (line) => linkTo({ cell: place.key, gate: gate?.name, with: state.with, row: line });
  const detail = (entry) => html`<${Detail} entry=${entry} title=${place.cell.variant} other=${other} scoring=${scoring}
    link=${link(entry.row.line)} onStep=${step} onClose=${() => { focusRow(section, open); close(); }} />`;
  return html`<section ref=${section} aria-label="Rows" onKeyDown=${(event) => onKey(event, { section, open, step, close })}>
    <${Sifter} rows=${rows} dataset=${dataset} state=${state} change=${change} gate=${gate} />
    ${other && html`<${Changes} entries=${rows.found} title=${other.title} />`}
    ${open !== null && !isShown && html`<${NotShown} entries=${entries} text=${state.row} open=${open} change=${change} />`}
    <${Pager} length=${shown.length} page=${page} label="Pages, above the rows" onPage=${turn} />
    <${Table} entries=${shown.slice(page * PAGE, (page + 1) * PAGE)} columns=${columns} sort=${sort} open=${open}
      caption="Rows of ${place.cell.id}" onToggle=${toggle} detail=${detail} onSort=${order} />
    ${shown.length === 0 && html`<p class="note">No rows are like this.</p>`}
    <${Pager} length=${shown.length} page=${page} label="Pages, below the rows" onPage=${turn} />
  </section>`;
}

/** What changed, in words and as a bar. */
function Changes({ entries, title }) {
  const counts = countChanges(entries);
  return html`<div class="changes"><p>Compared with ${title}: <strong>${changesText(entries)}</strong></p>
    <div class="shares" aria-hidden="true">${CHANGE_ORDER.filter((change) => counts[change]).map((change) =>
      html`<span class=${change} style=${{ flexGrow: counts[change] }}></span>`)}</div></div>`;
}

function NotShown({ entries, text, open, change }) {
  const showAll = () => change({ show: undefined, q: undefined, slice: undefined, page: undefined });
  if (!entries.some(({ row }) => row.line === open)) return unknownText("row of this cell with the line number", text);
  return html`<p class="note" role="alert">Row ${text} is not among the rows shown.
    ${" "}<button type="button" onClick=${showAll}>Show all rows</button></p>`;
}
