// Which cell is shown, what it is compared with, and which metric scores its rows.

const cellKey = (experiment, cell) => `${experiment.path}::${cell.id}`;

/** All cells of the session with their experiment and its number. */
const places = report.experiments.flatMap((experiment, number) =>
  experiment.cells.map((cell) => ({ experiment, number, cell, key: cellKey(experiment, cell) })));

/** The cell to begin with: one that stops the deployment, else the first. */
const firstPlace = () =>
  places.find(({ experiment, cell }) => gatesOf(experiment, cell).some(({ closes }) => closes)) ?? places[0];

/** A control, and on paper what was chosen with it. */
function Select({ label, value, options, onChange }) {
  const chosen = options.find(([key]) => key === value)?.[1];
  return html`<label class="select">${label}
    <select value=${value} onChange=${(event) => onChange(event.target.value)}>
      ${options.map(([key, title]) => html`<option key=${key} value=${key} selected=${key === value}>${title}</option>`)}
    </select><span class="printed">${chosen}</span></label>`;
}

const unique = (values) => [...new Set(values)];

/** Selects for experiment, dataset and variant. What was chosen before is kept where the new choice has it. */
function CellChooser({ place, onPlace }) {
  const { experiment, cell } = place;
  const within = experiment.cells;
  const choose = (cells, of = experiment) =>
    onPlace(cellKey(of, cells.find(({ variant }) => variant === cell.variant) ?? cells[0]));
  const chooseExperiment = (path) => {
    const chosen = report.experiments.find((known) => known.path === path);
    choose(chosen.cells, chosen);
  };
  const withCells = report.experiments.filter(({ cells }) => cells.length);
  return html`
    <${Select} label="Experiment" value=${experiment.path} onChange=${chooseExperiment}
      options=${withCells.map(({ path, name }) => [path, name])} />
    <${Select} label="Dataset" value=${cell.dataset}
      onChange=${(dataset) => choose(within.filter((known) => known.dataset === dataset))}
      options=${unique(within.map(({ dataset }) => dataset)).map((dataset) => [dataset, dataset])} />
    <${Select} label="Variant" value=${cell.id} onChange=${(id) => onPlace(cellKey(experiment, { id }))}
      options=${within.filter(({ dataset }) => dataset === cell.dataset).map(({ id, variant }) => [id, variant])} />`;
}

function ComparisonChooser({ others, other, onOther }) {
  if (!others.length) return null;
  return html`<${Select} label="Compared with" value=${other?.key ?? WITH_NOTHING} onChange=${onOther}
    options=${[[WITH_NOTHING, "nothing"], ...others.map(({ key, title }) => [key, title])]} />`;
}

function GateChooser({ gates, gate, onGate }) {
  if (!gates.length) return null;
  return html`<${Select} label="Scored by" value=${gate.name} onChange=${onGate}
    options=${gates.map(({ name, score }) => [name, name.endsWith(`.${score}`) ? name : `${name} (${score})`])} />`;
}
