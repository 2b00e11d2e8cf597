// The table of rows: a page of them at a time, so that twenty thousand open as fast as forty.

const PAGE = 100;

/** "-score" as {key: "score", descending: true}. */
function readSort(text) {
  const descending = text?.startsWith("-") ?? false;
  return text ? { key: descending ? text.slice(1) : text, descending } : null;
}

/** Entries in the order that a sort asks for, or in that of concern. */
function inOrder(entries, columns, sort, scoring) {
  const column = columns.find(({ key }) => key === sort?.key);
  return column ? sortBy(entries, column.value, sort.descending) : [...entries].sort(byConcern(scoring));
}

const classOf = (column) => [column.kind, ...["wide", "long", "strong"].filter((name) => column[name])].join(" ");

function Heading({ column, sort, onSort }) {
  const sorted = sort?.key === column.key;
  const direction = sort?.descending ? "descending" : "ascending";
  const next = `${sorted && !sort.descending ? "-" : ""}${column.key}`;
  const arrow = sort?.descending ? " ↓" : " ↑";
  return html`<th scope="col" class=${classOf(column)} aria-sort=${sorted ? direction : null}>
    <button type="button" onClick=${() => onSort(next)}>${column.title}
      ${sorted && html`<span aria-hidden="true">${arrow}</span>`}</button>
  </th>`;
}

/** Whether a click was meant for something else than the row: a button, a link, or text that was marked. */
const isElsewhere = (event) => event.target.closest("a, button") || String(getSelection());

function Line({ entry, columns, isOpen, onToggle }) {
  const { line } = entry.row;
  const toggle = (event) => {
    if (isElsewhere(event)) return;
    event.currentTarget.querySelector("button").focus({ preventScroll: true });
    onToggle(line);
  };
  const [first, ...others] = columns;
  return html`<tr id="row-${line}" class="entry ${entry.change ?? ""} ${isOpen ? "open" : ""}" onClick=${toggle}>
    <th scope="row"><button type="button" aria-expanded=${String(isOpen)} aria-controls=${isOpen ? `detail-${line}` : null}
      onClick=${() => onToggle(line)}><bdi>${first.cell(entry)}</bdi></button></th>
    ${others.map((column) => html`<td class=${classOf(column)}>${column.cell(entry)}</td>`)}
  </tr>`;
}

/** `detail` makes what stands below the row that is open. */
function Table({ entries, columns, sort, open, caption, onSort, onToggle, detail }) {
  return html`<div class="rows-scroll"><${Scroller} label=${caption}>
    <table class="rows">
      <caption class="unseen">${caption}</caption>
      <thead><tr>${columns.map((column) => html`<${Heading} column=${column} sort=${sort} onSort=${onSort} />`)}</tr></thead>
      <tbody>${entries.map((entry) => {
        const isOpen = entry.row.line === open;
        return html`
          <${Line} key=${entry.row.line} entry=${entry} columns=${columns} isOpen=${isOpen} onToggle=${onToggle} />
          ${isOpen && html`<tr key="detail" class="detail"><td colspan=${columns.length}>${detail(entry)}</td></tr>`}`;
      })}</tbody>
    </table><//></div>`;
}

/** The page to show: the one that holds the open row, else the one asked for, within what there is. */
function pageOf(entries, open, asked) {
  const place = open === null ? -1 : entries.findIndex(({ row }) => row.line === open);
  const last = Math.max(0, Math.ceil(entries.length / PAGE) - 1);
  if (place >= 0) return Math.floor(place / PAGE);
  return Math.min(Math.max(0, (Number.parseInt(asked, 10) || 1) - 1), last);
}

function Pager({ length, page, onPage, label }) {
  const last = Math.ceil(length / PAGE) - 1;
  if (last < 1) return null;
  const step = (to, title) => html`
    <button type="button" disabled=${to < 0 || to > last || to === page} onClick=${() => onPage(to)}>${title}</button>`;
  const [from, to, all] = [page * PAGE + 1, Math.min(length, (page + 1) * PAGE), length].map((it) => it.toLocaleString("en"));
  return html`<nav class="pager" aria-label=${label}>
    ${step(0, "First")}${step(page - 1, "Previous")}<span>${from} to ${to} of ${all}</span>
    ${step(page + 1, "Next")}${step(last, "Last")}</nav>`;
}
