// The value of each gate over earlier sessions and this one.

/** What the chart shows as sessions: the present one is the last, and has no name of its own. */
const SESSIONS = report.history.map((session, number, all) => (number === all.length - 1 ? { ...session, name: "this session" } : session));

const itemOf = (experiment, gate) => `${experiment.path}::${gate.name}[${gate.cell}]`;

/** The sessions that had a gate. Its value is null where it had none: the line is broken there. */
const pointsOf = (experiment, gate, more) => SESSIONS.flatMap((session, number) => {
  const found = session.gates[itemOf(experiment, gate)];
  return found ? [{ ...more, number, session, value: found.value, verdict: found.verdict }] : [];
});

/** Lines of a metric, one for each variant, those that decide first. */
function linesOf(experiment, cells, metric) {
  const lines = cells.flatMap((cell) => {
    const gate = gateOf(experiment, cell, metric);
    const known = { variant: cell.variant, required: isRequired(experiment, cell) };
    return gate ? [{ ...known, gate, points: pointsOf(experiment, gate, known) }] : [];
  });
  return lines.filter((line) => line.points.length).sort((one, other) => other.required - one.required);
}

/** Panels: a metric on a dataset. */
function trendsOf(experiment) {
  const { asked } = metricColumns(experiment);
  const panels = groupsOf(experiment).flatMap(({ cells, title }) =>
    asked.map((metric) => ({ metric, title, lines: linesOf(experiment, cells, metric) })));
  return panels.filter(({ lines }) => lines.length);
}

const sessionName = (session) => [moment(session.created), session.commit?.slice(0, 10), session.name,
  session.limits && `partial: ${session.limits}`].filter(Boolean).join(" · ");

/** The value of a point with its verdict, in words where there is no value. */
const pointText = ({ value, verdict }) =>
  (value === null ? `${MARKS[verdict]} ${verdict}` : `${figure(value)} ${MARKS[verdict] ?? ""}`);

const DASHES = ["none", "6 4", "2 3", "8 3 2 3"];

/** More lines than patterns can tell apart: those that decide nothing are then only a background. */
const isCrowded = (lines) => lines.length > DASHES.length;

/** How the line of a variant is drawn: those that decide are dark. Patterns tell the first few apart. */
function strokeOf(line, lines) {
  if (line.required) return { stroke: "var(--ink)", strokeWidth: 2 };
  if (isCrowded(lines)) return { stroke: "var(--edge)", strokeWidth: 1, strokeOpacity: 0.5 };
  return { stroke: "var(--edge)", strokeWidth: 1.5, strokeDasharray: DASHES[lines.indexOf(line)] };
}

/** Crosses have no inside to fill. */
const paintOf = (verdict) =>
  (verdict === "FAIL" ? { stroke: tone, strokeWidth: 2.5 } : { fill: tone, stroke: "var(--surface)", strokeWidth: 1 });

const TONES = { PASS: "var(--pass)", FAIL: "var(--fail)", INCONCLUSIVE: "var(--unsure)", ERROR: "var(--error)" };

const tone = (point) => (point.required ? TONES[point.verdict] : "var(--edge)");

/** The chart of a panel. Variants that decide are in front and in colour; the others are there to compare. */
function drawTrend({ lines }, width) {
  const points = lines.flatMap((line) => line.points).sort((one, other) => one.required - other.required);
  const marked = isCrowded(lines) ? points.filter((point) => point.required) : points;
  const { low, high } = lines[0].gate;
  const last = SESSIONS.length - 1;
  const bounds = [low, high].filter((bound) => bound !== null);
  const domain = domainOf([...points.map((point) => point.value), ...bounds]);
  const height = (point) => point.value ?? domain[0];
  return Plot.plot({
    width,
    height: 190,
    marginLeft: 44,
    marginRight: 14,
    marginTop: 12,
    marginBottom: 26,
    style: { background: "transparent", color: "var(--muted)", fontSize: "12px", overflow: "visible" },
    x: { domain: [0, last], label: null, ticks: [0, last], tickSize: 0, inset: 10,
      tickFormat: (number) => (number === last ? "now" : moment(SESSIONS[number].created).slice(0, 10)) },
    y: { domain, label: null, ticks: 4, grid: true, tickSize: 0 },
    marks: [
      Plot.rect([0], { x1: 0, x2: last, y1: low ?? domain[0], y2: high ?? domain[1], insetLeft: -10, insetRight: -10,
        fill: "var(--pass-soft)" }),
      Plot.ruleY(bounds, { stroke: "var(--ink)", strokeDasharray: "4 3" }),
      ...lines.toReversed().map((line) => Plot.lineY(line.points, { x: "number", y: "value", ...strokeOf(line, lines) })),
      ...["PASS", "FAIL", "INCONCLUSIVE", "ERROR"].map((verdict) => Plot.dot(marked.filter((point) => point.verdict === verdict),
        { x: "number", y: height, r: 4.5, symbol: SYMBOLS[verdict], ...paintOf(verdict) })),
      Plot.dot(marked.filter((point) => point.session.limits), { x: "number", y: height, r: 8.5, stroke: "var(--muted)" }),
      Plot.tip(points, Plot.pointer({ x: "number", y: height, fill: "var(--surface)", stroke: "var(--edge)",
        title: (point) => `${point.variant}\n${figure(point.value) || "no value"} ${point.verdict}\n${sessionName(point.session)}` })),
    ],
  });
}

/** Which line is which variant. */
function Key({ lines }) {
  const named = isCrowded(lines) ? lines.filter((line) => line.required) : lines;
  const others = lines.length - named.length;
  return html`<ul class="key">
    ${named.map((line) => html`<li>
      <svg aria-hidden="true"><line x2="100%" y1="50%" y2="50%" style=${strokeOf(line, lines)} /></svg>
      ${line.variant}${line.required ? " (decides)" : ""}</li>`)}
    ${others > 0 && html`<li>thin: ${count(others, "other variant")}, named under the pointer</li>`}
  </ul>`;
}

function TrendTable({ lines }) {
  return html`<${Scroller} label="Values by session" stop><table>
    <thead><tr><th scope="col">Session</th>${lines.map((line) => html`<th scope="col" class="number">${line.variant}</th>`)}</tr></thead>
    <tbody>${SESSIONS.map((session, number) => html`<tr><th scope="row">${sessionName(session)}</th>
      ${lines.map((line) => {
        const point = line.points.find((found) => found.number === number);
        return html`<td class="number">${point ? pointText(point) : "–"}</td>`;
      })}</tr>`)}</tbody>
  </table><//>`;
}

function TrendPanel({ trend }) {
  const draw = useMemo(() => (width) => drawTrend(trend, width), [trend]);
  const last = trend.lines.map((line) => `${line.variant} ${figure(line.points.at(-1).value) || "no value"}`).join(", ");
  return html`<figure class="panel trend"><h3>${trend.metric}</h3>
    <p class="hint">${trend.title} · required ${trend.lines[0].gate.rule}</p>
    <${Chart} draw=${draw} height=${190} label="${trend.metric} on ${trend.title} over ${SESSIONS.length} sessions; last: ${last}" />
    <${Key} lines=${trend.lines} />
    <${Folded} summary="Numbers" make=${() => html`<${TrendTable} lines=${trend.lines} />`} />
  </figure>`;
}

function UseCaseTrend({ experiment }) {
  const trends = useMemo(() => trendsOf(experiment), [experiment]);
  if (!trends.length) return null;
  return html`<section class="section"><h2>${experiment.name}</h2>
    <div class="trends">${trends.map((trend) => html`<${TrendPanel} key=${`${trend.title} ${trend.metric}`} trend=${trend} />`)}</div>
  </section>`;
}

function Trend() {
  if (SESSIONS.length < 2) return html`<div class="panel empty-state">
    <p>There are no earlier sessions to show. Give the folder of their results:</p>
    <p><code>pytest evals --llmops-history earlier/reports</code></p>
    <p class="hint">or, for this report, <code>llmops report --history earlier/reports DIR</code></p></div>`;
  return html`<p class="hint">${count(SESSIONS.length, "session")}, oldest first. Variants that decide are in colour;
      the shaded side of the dashed line is what this session requires. A mark on the lower edge that no line reaches had
      no value.${SESSIONS.some((session) => session.limits) && " A ring marks a session that ran only a part, or was judged otherwise."}</p>
    ${report.experiments.map((experiment) => html`<${UseCaseTrend} key=${experiment.path} experiment=${experiment} />`)}`;
}
