// The controls above the table: which rows, which slice, which words; and what the metric is over them.

const TYPING_PAUSE = 150;
const MOST_VALUES = 200;
const LONGEST_OPTION = 60;

/** A field whose text goes into the address when the reader pauses. */
function Search({ text, onText }) {
  const [typed, setTyped] = useState(text);
  const timer = useRef(0);
  useEffect(() => setTyped(text), [text]);
  const follow = (event) => {
    const { value } = event.target;
    setTyped(value);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => onText(value), TYPING_PAUSE);
  };
  return html`<label class="select">Search
    <input type="search" value=${typed} onInput=${follow} placeholder="in all texts of a row" /></label>`;
}

const sliceTitle = (column, values) => (values > MOST_VALUES ? `${column} (${MOST_VALUES} of ${values} values)` : column);

function SliceChooser({ entries, dataset, slice, onSlice }) {
  const columns = sliceColumns(dataset);
  const values = useMemo(() => columns.map((column) => [column, sliceValues(entries, dataset, column)]), [entries]);
  if (!columns.length) return null;
  const chosen = slice ? `${slice.column}=${slice.value}` : "";
  return html`<label class="select">Slice
    <select onChange=${(event) => onSlice(event.target.value)}>
      <option value="" selected=${!chosen}>all rows</option>
      ${values.map(([column, counts]) => html`<optgroup label=${sliceTitle(column, counts.length)}>
        ${counts.slice(0, MOST_VALUES).map(([value, number]) => {
          const key = `${column}=${value}`;
          const title = `${cut(value, LONGEST_OPTION) || "(empty)"}: ${number.toLocaleString("en")}`;
          return html`<option value=${key} selected=${key === chosen}>${title}</option>`;
        })}</optgroup>`)}
    </select></label>`;
}

/** "correct: 0.7 over 10 of the rows shown, 0.9 over all 40". */
function meansText(gate, shown, entries) {
  const [some, all] = [meanScore(shown), meanScore(entries)];
  const mean = ({ mean: value, n }) => (value === null ? "not known" : `${figure(value)} over ${count(n, "row")}`);
  if (shown.length === entries.length) return `Mean ${gate.score}: ${mean(all)}`;
  return `Mean ${gate.score}: ${mean(some)} shown, ${mean(all)} in all`;
}

/** What the rows shown were chosen by: on paper, in place of the controls. */
function Sifted({ title, slice, words }) {
  const chosen = [["Rows", title], ["Slice", slice && `${slice.column} = ${slice.value || "(empty)"}`], ["Search", words]];
  const said = chosen.filter(([, value]) => value).map(([name, value]) => `${name}: ${value}`);
  return html`<p class="printed">${said.join(" · ")}</p>`;
}

function Sifter({ rows, dataset, state, change, gate }) {
  const { entries, slice, show, counts, shown } = rows;
  const sift = (changes, how) => change({ page: undefined, row: undefined, ...changes }, how);
  return html`<div class="sifter">
    <div class="shows" role="group" aria-label="Which rows">
      ${counts.map(([key, title, number]) => html`<button type="button" aria-pressed=${String(key === show)}
        onClick=${() => sift({ show: key === "all" ? undefined : key })}>${title}${" "}
        <span class="count">${number.toLocaleString("en")}</span></button>`)}
    </div>
    <${SliceChooser} entries=${entries} dataset=${dataset} slice=${slice} onSlice=${(text) => sift({ slice: text })} />
    <${Search} text=${state.q ?? ""} onText=${(q) => sift({ q }, { replace: true })} />
    ${state.sort && html`<button type="button" onClick=${() => sift({ sort: undefined })}>Default order</button>`}
    <${Sifted} title=${SHOWS[show].title} slice=${slice} words=${state.q} />
    <p role="status">${count(shown.length, "row")} shown. ${gate ? meansText(gate, shown, entries) : ""}</p>
  </div>`;
}
